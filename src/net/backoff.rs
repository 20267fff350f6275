//! The errors of a loop that must go on: which of them concern one peer, and how long to rest after the others.

use std::io::{self, ErrorKind};
use std::time::{Duration, Instant};

/// The pause after the first failure; each further one is twice as long, up to [`LONGEST_PAUSE`].
///
/// Without a pause a process out of descriptors fails here two million times a second.
const FIRST_PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Returns whether an error is about one connection or one peer, and not about accepting or receiving itself.
///
/// Every other error is taken for a lack of something: running out of descriptors has no [`ErrorKind`] of its own.
pub(crate) fn concerns_one_peer(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::ConnectionRefused
            | ErrorKind::ConnectionAborted
            | ErrorKind::ConnectionReset
            | ErrorKind::Interrupted
    )
}

/// An episode of failures to accept or receive. Single successes in between belong to it: while descriptors are
/// exhausted, each client that leaves lets another one in.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    failures: u64,
    last: Option<Instant>,
    /// Pauses since they were last reset.
    pauses: u32,
}

impl Backoff {
    /// Returns whether the next failure begins an episode.
    pub(crate) fn is_first(&self) -> bool {
        self.failures == 0
    }

    /// Records a failure. Returns how long to rest after it.
    pub(crate) fn next_pause(&mut self, now: Instant) -> Duration {
        let doublings = self.pauses.min(10);
        self.failures += 1;
        self.last = Some(now);
        self.pauses += 1;
        (FIRST_PAUSE * 2_u32.pow(doublings)).min(LONGEST_PAUSE)
    }

    /// Makes the next pause the shortest again.
    pub(crate) fn reset_pauses(&mut self) {
        self.pauses = 0;
    }

    /// Records a success. If the last failure is longer ago than the longest pause, the episode ends, and the number of
    /// its failures is returned.
    pub(crate) fn succeed(&mut self, now: Instant) -> Option<u64> {
        self.reset_pauses();
        self.last.take_if(|last| now - *last > LONGEST_PAUSE).map(|_| std::mem::take(&mut self.failures))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_second_and_can_be_reset() {
        let now = Instant::now();
        let mut backoff = Backoff::default();
        let pauses: Vec<u128> = (0..12).map(|_| backoff.next_pause(now).as_millis()).collect();
        assert_eq!(pauses, [5, 10, 20, 40, 80, 160, 320, 640, 1000, 1000, 1000, 1000]);
        backoff.reset_pauses();
        assert_eq!(backoff.next_pause(now), FIRST_PAUSE);
    }

    #[test]
    fn an_episode_goes_on_until_it_has_not_failed_for_a_while() {
        let now = Instant::now();
        let mut backoff = Backoff::default();
        assert_eq!(backoff.succeed(now), None);
        for _ in 0..3 {
            backoff.next_pause(now);
            assert_eq!(backoff.succeed(now), None);
            assert!(!backoff.is_first());
        }
        assert_eq!(backoff.succeed(now + 2 * LONGEST_PAUSE), Some(3));
        assert!(backoff.is_first());
        assert_eq!(backoff.succeed(now + 4 * LONGEST_PAUSE), None);
    }

    #[test]
    fn only_errors_that_concern_one_peer_are_retried_at_once() {
        const EMFILE: i32 = 24;
        assert!(concerns_one_peer(&ErrorKind::ConnectionAborted.into()));
        assert!(!concerns_one_peer(&io::Error::from_raw_os_error(EMFILE)));
    }
}
