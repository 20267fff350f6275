//! The signal by which every thread of a server learns that it stops.

use std::sync::atomic::{AtomicU8, Ordering::SeqCst};

const RUNNING: u8 = 0;
const DRAINING: u8 = 1;
const CUTTING: u8 = 2;

/// A latch with two steps: draining, then cutting off.
///
/// Reading it is one load. It wakes no thread: a sleeping thread is woken through what it sleeps on, when admission is
/// closed and listeners and sessions are shut down.
#[derive(Debug, Default)]
pub(crate) struct ShutdownToken(AtomicU8);

impl ShutdownToken {
    /// Starts the drain.
    pub(crate) fn trigger(&self) {
        self.0.fetch_max(DRAINING, SeqCst);
    }

    /// Ends the drain: the sessions that still run are being cut off.
    pub(crate) fn cut(&self) {
        self.0.fetch_max(CUTTING, SeqCst);
    }

    /// Returns whether the server stops.
    pub(crate) fn is_set(&self) -> bool {
        self.0.load(SeqCst) != RUNNING
    }

    /// Returns whether sessions are being cut off.
    pub(crate) fn is_cutting(&self) -> bool {
        self.0.load(SeqCst) == CUTTING
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_never_goes_back() {
        let token = ShutdownToken::default();
        assert!(!token.is_set());
        token.trigger();
        assert!(token.is_set() && !token.is_cutting());
        token.cut();
        token.trigger();
        assert!(token.is_set() && token.is_cutting());
    }
}
