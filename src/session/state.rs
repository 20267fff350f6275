//! What a session, the reaper and a stop tell each other without a lock: since when the client has been
//! silent, and that the session is to end.

use std::io::ErrorKind;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering::AcqRel, Ordering::Acquire, Ordering::Relaxed};
use std::time::{Duration, Instant};

use crate::CloseReason;

/// A session's sign of life. The worker writes it around each read; the reaper and a stop look at it.
#[derive(Debug)]
pub(crate) struct Pulse {
    /// Where the times of this server begin; they are nanoseconds since.
    epoch: Instant,
    /// When the worker began to wait for the client, while it does; else [`BUSY`] or [`FINISHED`].
    silent_since: AtomicU64,
    order: AtomicU8,
}

/// The worker is not waiting for the client.
const BUSY: u64 = u64::MAX;

/// The client was told the end while the worker waited for it.
const FINISHED: u64 = u64::MAX - 1;

/// Why somebody other than its worker ends a session: the reaper, the service or the session's writer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Order {
    /// Its worker is needed.
    Yield = 1,
    /// It is old enough.
    Expire = 2,
    /// The service wants it.
    Dismiss = 3,
    /// Its client does not read what is pushed to it.
    TooSlow = 4,
    /// Its client did not take what was sent in time.
    WriteTimeout = 5,
    /// Its client cannot be written to.
    Broken = 6,
    /// Its client has been silent for too long.
    Idle = 7,
}

impl Pulse {
    /// The pulse of a session that is being served, in a server whose times begin at `epoch`.
    pub(crate) fn new(epoch: Instant) -> Self {
        Self { epoch, silent_since: AtomicU64::new(BUSY), order: AtomicU8::new(0) }
    }

    /// The time.
    ///
    /// A message costs two looks at the clock, which are no system calls where the kernel maps the clock into
    /// the process, as Linux does.
    pub(crate) fn now(&self) -> u64 {
        nanos(self.epoch.elapsed())
    }

    /// How long ago `time` was.
    pub(crate) fn since(&self, time: u64) -> Duration {
        Duration::from_nanos(self.now().saturating_sub(time))
    }

    /// The worker begins to wait for the client; the time.
    pub(crate) fn wait(&self) -> u64 {
        let time = self.now();
        self.silent_since.store(time, Relaxed);
        time
    }

    /// How long the worker has been waiting for the client.
    pub(crate) fn waited(&self) -> Duration {
        self.since(self.silent_since.load(Relaxed))
    }

    /// The worker, which began to wait with `time`, waits no more; false if the session was finished meanwhile.
    pub(crate) fn wake(&self, time: u64) -> bool {
        // One step, so that nobody can finish a session that has begun to answer.
        self.silent_since.compare_exchange(time, BUSY, AcqRel, Acquire).is_ok()
    }

    /// Lets `tell` tell the client the end, if the worker waits for it: then there is nothing to answer.
    pub(crate) fn finish(&self, tell: impl FnOnce()) {
        let since = self.silent_since.load(Relaxed);
        if since < FINISHED && self.silent_since.compare_exchange(since, FINISHED, AcqRel, Relaxed).is_ok() {
            tell();
        }
    }

    /// Whether the session was finished: there is nothing left to answer.
    pub(crate) fn is_finished(&self) -> bool {
        self.silent_since.load(Acquire) == FINISHED
    }

    /// Since when the client has been silent; not before `now` if the worker is busy with it.
    pub(crate) fn silent_since(&self, now: u64) -> u64 {
        self.silent_since.load(Relaxed).min(now)
    }

    /// Asks the session to end, unless it was asked before. It sees that after its current message, or when its
    /// read is ended.
    pub(crate) fn give(&self, order: Order) {
        // Whether it was the first one does not matter: the session ends.
        let _ = self.order.compare_exchange(0, order as u8, Relaxed, Relaxed);
    }

    /// The reason to end that was given, if one was.
    pub(crate) fn order(&self) -> Option<CloseReason> {
        match self.order.load(Relaxed) {
            1 => Some(CloseReason::Yielded),
            2 => Some(CloseReason::Expired),
            3 => Some(CloseReason::ServiceClosed),
            4 => Some(CloseReason::TooSlow),
            5 => Some(CloseReason::WriteTimeout),
            6 => Some(CloseReason::Failed(ErrorKind::BrokenPipe)),
            7 => Some(CloseReason::IdleTimeout),
            _ => None,
        }
    }
}

/// A duration in nanoseconds, of which 64 bits hold five centuries.
pub(crate) fn nanos(duration: Duration) -> u64 {
    duration.as_nanos().try_into().unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_finished_only_while_its_worker_waits() {
        let pulse = Pulse::new(Instant::now());
        let mut told = 0;
        pulse.finish(|| told += 1);
        assert_eq!((told, pulse.is_finished()), (0, false));
        let since = pulse.wait();
        assert!(pulse.wake(since));
        pulse.finish(|| told += 1);
        assert_eq!(told, 0);
        let since = pulse.wait();
        for _ in 0..2 {
            pulse.finish(|| told += 1);
            assert_eq!((told, pulse.is_finished()), (1, true));
            assert!(!pulse.wake(since));
        }
    }
}
