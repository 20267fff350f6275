//! What a session and the reaper tell each other, without a lock: since when the client has been silent, and
//! that the session is to end.

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use crate::CloseReason;

/// A session's sign of life. The worker writes it around each read; the reaper reads it.
#[derive(Debug)]
pub(crate) struct Pulse {
    /// Where the times of this server begin.
    epoch: Instant,
    /// When the worker began to wait for the client, or [`BUSY`].
    waiting_since: AtomicU64,
    order: AtomicU8,
}

/// The worker is not waiting for the client.
const BUSY: u64 = u64::MAX;

/// Why the reaper ends a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Order {
    /// Its worker is needed.
    Yield = 1,
    /// It is old enough.
    Expire = 2,
}

impl Pulse {
    /// The pulse of a session that is being served, in a server whose times begin at `epoch`.
    pub(crate) fn new(epoch: Instant) -> Self {
        Self { epoch, waiting_since: AtomicU64::new(BUSY), order: AtomicU8::new(0) }
    }

    /// The worker begins to wait for the client. The one look at the clock that a message costs; it is not a
    /// system call where the kernel maps the clock into the process.
    pub(crate) fn wait(&self) {
        self.waiting_since.store(nanos(self.epoch.elapsed()), Relaxed);
    }

    /// The client has sent something.
    pub(crate) fn wake(&self) {
        self.waiting_since.store(BUSY, Relaxed);
    }

    /// Since when the client has been silent, in nanoseconds of the server's time; not before `now` if the
    /// worker is busy with it.
    pub(crate) fn silent_since(&self, now: u64) -> u64 {
        self.waiting_since.load(Relaxed).min(now)
    }

    /// Asks the session to end. It sees that after its current message, or when its read is ended.
    pub(crate) fn give(&self, order: Order) {
        self.order.store(order as u8, Relaxed);
    }

    /// The reason to end that was given, if one was.
    pub(crate) fn order(&self) -> Option<CloseReason> {
        match self.order.load(Relaxed) {
            1 => Some(CloseReason::Yielded),
            2 => Some(CloseReason::Expired),
            _ => None,
        }
    }
}

/// A time of the server in nanoseconds: enough for five centuries.
pub(crate) fn nanos(duration: Duration) -> u64 {
    duration.as_nanos().try_into().unwrap_or(u64::MAX)
}
