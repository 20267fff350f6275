//! The one signal by which every thread learns that the server stops.

use std::sync::atomic::{AtomicU8, Ordering::SeqCst};
use std::sync::{Arc, Condvar, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

const RUNNING: u8 = 0;
const DRAINING: u8 = 1;
const CUTTING: u8 = 2;

/// A latch with two steps: draining, then cutting off. Cheap to look at, and it can be waited for.
#[derive(Clone, Debug, Default)]
pub(crate) struct ShutdownToken(Arc<Latch>);

#[derive(Debug, Default)]
struct Latch {
    stage: AtomicU8,
    since: OnceLock<Instant>,
    lock: Mutex<()>,
    changed: Condvar,
}

impl ShutdownToken {
    /// Starts the drain.
    pub(crate) fn trigger(&self) {
        self.0.since.get_or_init(Instant::now);
        self.advance(DRAINING);
    }

    /// The drain is over: sessions that still run are being cut off.
    pub(crate) fn cut(&self) {
        self.advance(CUTTING);
    }

    fn advance(&self, stage: u8) {
        // Under the lock, so that a waiter cannot miss it between its look and its sleep.
        let _guard = self.0.lock.lock().unwrap_or_else(PoisonError::into_inner);
        self.0.stage.fetch_max(stage, SeqCst);
        self.0.changed.notify_all();
    }

    /// Whether the server stops. One load.
    pub(crate) fn is_set(&self) -> bool {
        self.0.stage.load(SeqCst) != RUNNING
    }

    /// Whether sessions are being cut off.
    pub(crate) fn is_cutting(&self) -> bool {
        self.0.stage.load(SeqCst) == CUTTING
    }

    /// How long the server has been stopping; zero while it runs.
    pub(crate) fn elapsed(&self) -> Duration {
        self.0.since.get().map_or(Duration::ZERO, Instant::elapsed)
    }

    /// Sleeps for `pause`, or until the server stops.
    pub(crate) fn wait(&self, pause: Duration) {
        let guard = self.0.lock.lock().unwrap_or_else(PoisonError::into_inner);
        // A poisoned lock is of no account: it guards nothing.
        let _ = self.0.changed.wait_timeout_while(guard, pause, |()| !self.is_set());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trigger_ends_a_wait_before_or_during_it() {
        const FUSE: Duration = Duration::from_secs(600);
        let token = ShutdownToken::default();
        assert!(!token.is_set());
        std::thread::scope(|scope| {
            scope.spawn(|| token.wait(FUSE));
            token.trigger();
        });
        token.wait(FUSE);
        assert!(token.is_set() && !token.is_cutting());
        token.cut();
        token.trigger();
        assert!(token.is_cutting());
    }
}
