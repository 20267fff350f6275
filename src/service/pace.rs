//! A limit on how fast one party may speak to many.

use std::thread;
use std::time::{Duration, Instant};

/// Bytes a second that one may say for long.
const RATE: f64 = 1024.0 * 1024.0;

/// How much faster one may be for a moment: what is said in this time may be said at once.
const BURST: Duration = Duration::from_millis(64);

/// Shorter waits are added up: a sleep takes longer than it is asked for.
const SHORTEST: Duration = Duration::from_millis(5);

/// One speaker's pace. It delays nobody but the speaker.
#[derive(Debug)]
pub(crate) struct Pace {
    /// When all that was said so far may have been said.
    due: Instant,
}

impl Pace {
    pub(crate) fn new() -> Self {
        Self { due: Instant::now() }
    }

    /// Says so many bytes: how long to wait then.
    fn say(&mut self, bytes: usize, now: Instant) -> Duration {
        let earliest = now.checked_sub(BURST).unwrap_or(now);
        self.due = self.due.max(earliest) + Duration::from_secs_f64(bytes as f64 / RATE);
        self.due.saturating_duration_since(now)
    }

    /// Says so many bytes, and waits as long as that is too fast.
    pub(crate) fn keep(&mut self, bytes: usize) {
        let wait = self.say(bytes, Instant::now());
        if wait >= SHORTEST {
            thread::sleep(wait);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_free_and_what_goes_on_is_not() {
        let mut pace = Pace::new();
        let now = Instant::now() + Duration::from_secs(1);
        assert_eq!(pace.say(64 * 1024, now), Duration::ZERO);
        let wait = pace.say(1024 * 1024, now);
        assert!((0.9..1.1).contains(&wait.as_secs_f64()), "{wait:?}");
        // After a while everything is forgiven, and no more than that.
        let later = now + Duration::from_secs(3600);
        assert_eq!(pace.say(64 * 1024, later), Duration::ZERO);
        assert!(pace.say(64 * 1024, later) > Duration::ZERO);
    }
}
