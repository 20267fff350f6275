//! What others can see of a running server: its totals, its sessions, and whether its threads make progress.

use std::sync::{Arc, Weak};
use std::time::Duration;

use super::heartbeat::Beat;
use super::registry::SessionInfo;
use super::worker::Core;
use crate::events::Stats;

/// A view of a running server that any thread may keep: it does not keep the server alive, and does not slow it.
#[derive(Clone, Debug)]
pub struct Monitor {
    core: Weak<Core>,
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
        core.config.heartbeat.filter(|_| !core.token.is_set())?;
        core.beats.iter().map(Beat::age).max()
    }
}
