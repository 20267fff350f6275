//! The one signal by which every thread learns that the server stops.

use std::sync::atomic::{AtomicU8, Ordering::SeqCst};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

const RUNNING: u8 = 0;
const DRAINING: u8 = 1;
const CUTTING: u8 = 2;

/// A latch with two steps: draining, then cutting off. Looking at it is one load; whoever sleeps is woken by
/// what it sleeps on: the gate closes, listeners and sessions are shut.
#[derive(Clone, Debug, Default)]
pub(crate) struct ShutdownToken(Arc<Latch>);

#[derive(Debug, Default)]
struct Latch {
    stage: AtomicU8,
    since: OnceLock<Instant>,
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
        self.0.stage.fetch_max(stage, SeqCst);
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
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_never_goes_back() {
        let token = ShutdownToken::default();
        assert!(!token.is_set() && token.elapsed() == Duration::ZERO);
        token.trigger();
        assert!(token.is_set() && !token.is_cutting());
        token.cut();
        token.trigger();
        assert!(token.is_set() && token.is_cutting());
    }
}
