//! What others can see of a running server: its totals, its sessions, and whether its threads make progress.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use super::worker::Core;
use crate::client::{Client, ListenAddress};
use crate::events::Stats;

/// A view of a running server that any thread may keep: it does not keep the server alive, and does not slow it.
#[derive(Clone, Debug)]
pub struct Monitor {
    core: Weak<Core>,
}

/// A live session at one moment.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SessionInfo {
    /// The client.
    pub client: Client,
    /// Where it connected to.
    pub listener: Arc<ListenAddress>,
    /// Since the session began on a worker.
    pub age: Duration,
    /// Since the server began to wait for the client; zero while it answers.
    pub silence: Duration,
    /// Messages handed to the handler.
    pub messages: u64,
    /// Bytes received.
    pub bytes_in: u64,
    /// Bytes sent.
    pub bytes_out: u64,
}

impl Monitor {
    /// A view of the server with this core, if it still runs.
    pub(super) fn new(core: Option<&Arc<Core>>) -> Self {
        Self { core: core.map(Arc::downgrade).unwrap_or_default() }
    }

    /// Returns the totals at this moment; `None` once the server has stopped.
    #[must_use]
    pub fn stats(&self) -> Option<Stats> {
        self.core.upgrade().map(|core| core.stats())
    }

    /// Returns the live sessions, the oldest first. No session waits for that, however many there are.
    #[must_use]
    pub fn sessions(&self) -> Vec<SessionInfo> {
        self.core.upgrade().map(|core| core.registry.sessions()).unwrap_or_default()
    }

    /// Returns the longest time since which an acceptor or the reaper has not shown that it runs. `None` without
    /// [`heartbeat`](crate::ServerConfig::heartbeat), and once the server stops. A healthy thread shows it in every
    /// interval, so twice that means that one is stuck.
    #[must_use]
    pub fn stalled_for(&self) -> Option<Duration> {
        let core = self.core.upgrade()?;
        core.config.heartbeat.filter(|_| !core.token.is_set()).map(|_| core.beats.oldest())
    }
}

/// When each thread that admits clients last showed that it runs.
#[derive(Debug)]
pub(crate) struct Beats {
    epoch: Instant,
    last: Vec<Beat>,
}

/// When one thread last showed that it runs, in milliseconds of the epoch.
#[derive(Debug)]
pub(crate) struct Beat {
    epoch: Instant,
    last: AtomicU64,
}

/// The thread waits for something that may take any time, and that is no fault.
const RESTING: u64 = u64::MAX;

impl Beats {
    pub(super) fn new(threads: usize) -> Self {
        let epoch = Instant::now();
        Self { epoch, last: (0..threads).map(|_| Beat { epoch, last: AtomicU64::new(0) }).collect() }
    }

    /// Returns the beat of one thread.
    pub(super) fn of(&self, thread: usize) -> &Beat {
        &self.last[thread]
    }

    fn oldest(&self) -> Duration {
        let oldest = self.last.iter().map(|beat| beat.last.load(Relaxed)).min().unwrap_or(RESTING);
        self.epoch.elapsed().saturating_sub(Duration::from_millis(oldest))
    }
}

impl Beat {
    /// The thread runs.
    pub(super) fn beat(&self) {
        let now = self.epoch.elapsed().as_millis();
        self.last.store(u64::try_from(now).unwrap_or(RESTING - 1), Relaxed);
    }

    /// The thread waits for a place, however long that takes, until it [beats](Self::beat) again.
    pub(super) fn rest(&self) {
        self.last.store(RESTING, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_thread_that_beat_longest_ago_counts_unless_it_rests() {
        let beats = Beats::new(2);
        std::thread::sleep(Duration::from_millis(20));
        beats.of(0).beat();
        assert!(beats.oldest() >= Duration::from_millis(20));
        beats.of(1).rest();
        assert!(beats.oldest() < Duration::from_secs(60));
        beats.of(0).rest();
        assert_eq!(beats.oldest(), Duration::ZERO);
    }
}
