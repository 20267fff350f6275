//! Failures of a loop that must go on: which are about one peer, and how long to rest after the others.

use std::io::{self, ErrorKind};
use std::time::{Duration, Instant};

/// The pause after the first failure; each further one is twice as long, up to [`LONGEST_PAUSE`].
///
/// Without a pause a process out of descriptors fails here two million times a second.
const FIRST_PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Whether one connection, or what was sent to one peer, has failed, and not accepting or receiving itself.
///
/// Everything else is taken for a lack of something: running out of descriptors has no [`ErrorKind`] of its
/// own.
pub(crate) fn is_about_one_peer(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::ConnectionRefused
            | ErrorKind::ConnectionAborted
            | ErrorKind::ConnectionReset
            | ErrorKind::Interrupted
    )
}

/// An episode of failures to accept or receive. Single successes in between belong to it: out of descriptors, each
/// client that leaves lets one other in.
#[derive(Debug, Default)]
pub(crate) struct Failures {
    count: u64,
    last: Option<Instant>,
    /// Pauses since they last began anew.
    pauses: u32,
}

impl Failures {
    pub(crate) fn is_first(&self) -> bool {
        self.count == 0
    }

    pub(crate) fn next_pause(&mut self, now: Instant) -> Duration {
        let doublings = self.pauses.min(10);
        self.count += 1;
        self.last = Some(now);
        self.pauses += 1;
        (FIRST_PAUSE * 2_u32.pow(doublings)).min(LONGEST_PAUSE)
    }

    pub(crate) fn begin_pauses_anew(&mut self) {
        self.pauses = 0;
    }

    /// A success. It ends an episode that has not failed for as long as its longest pause: how often it had.
    pub(crate) fn end(&mut self, now: Instant) -> Option<u64> {
        self.begin_pauses_anew();
        self.last.take_if(|last| now - *last > LONGEST_PAUSE).map(|_| std::mem::take(&mut self.count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_second_and_begin_anew() {
        let now = Instant::now();
        let mut failures = Failures::default();
        let pauses: Vec<u128> = (0..12).map(|_| failures.next_pause(now).as_millis()).collect();
        assert_eq!(pauses, [5, 10, 20, 40, 80, 160, 320, 640, 1000, 1000, 1000, 1000]);
        failures.begin_pauses_anew();
        assert_eq!(failures.next_pause(now), FIRST_PAUSE);
    }

    #[test]
    fn an_episode_goes_on_until_it_has_not_failed_for_a_while() {
        let now = Instant::now();
        let mut failures = Failures::default();
        assert_eq!(failures.end(now), None);
        for _ in 0..3 {
            failures.next_pause(now);
            assert_eq!(failures.end(now), None);
            assert!(!failures.is_first());
        }
        assert_eq!(failures.end(now + 2 * LONGEST_PAUSE), Some(3));
        assert!(failures.is_first());
        assert_eq!(failures.end(now + 4 * LONGEST_PAUSE), None);
    }

    #[test]
    fn only_errors_about_one_peer_are_retried_at_once() {
        const EMFILE: i32 = 24;
        assert!(is_about_one_peer(&ErrorKind::ConnectionAborted.into()));
        assert!(!is_about_one_peer(&io::Error::from_raw_os_error(EMFILE)));
    }
}
