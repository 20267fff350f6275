//! Whether a thread that admits clients makes progress, for a watchdog.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// When a thread last showed that it runs.
#[derive(Debug)]
pub(super) struct Beat {
    epoch: Instant,
    /// In milliseconds of the epoch.
    last: AtomicU64,
}

/// The thread waits for something that may take any time, and that is no fault.
const RESTING: u64 = u64::MAX;

impl Beat {
    /// The thread runs now.
    pub(super) fn new() -> Self {
        Self { epoch: Instant::now(), last: AtomicU64::new(0) }
    }

    /// The thread runs.
    pub(super) fn beat(&self) {
        let now = self.epoch.elapsed().as_millis();
        self.last.store(u64::try_from(now).unwrap_or(RESTING - 1), Relaxed);
    }

    /// The thread waits, however long that takes, until it [beats](Self::beat) again.
    pub(super) fn rest(&self) {
        self.last.store(RESTING, Relaxed);
    }

    /// Returns how long ago the thread showed that it runs; zero while it rests.
    pub(super) fn age(&self) -> Duration {
        self.epoch.elapsed().saturating_sub(Duration::from_millis(self.last.load(Relaxed)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_ages_until_it_beats_and_not_while_it_rests() {
        let beat = Beat::new();
        std::thread::sleep(Duration::from_millis(20));
        assert!(beat.age() >= Duration::from_millis(20));
        beat.rest();
        assert_eq!(beat.age(), Duration::ZERO);
        beat.beat();
        assert!(beat.age() < Duration::from_secs(60));
    }
}
