//! What a session, the reaper and a stop know of each other without a lock: whether the worker waits for its
//! client and since when, and why the session is to end.

use std::sync::OnceLock;
use std::sync::atomic::{
    AtomicBool, AtomicU64, Ordering::AcqRel, Ordering::Acquire, Ordering::Relaxed, Ordering::Release,
    Ordering::SeqCst, fence,
};
use std::time::{Duration, Instant};

use crate::events::CloseReason;

/// The state of a session. The worker writes it around each read; the reaper and a stop read it, and may end a
/// session while its worker waits.
#[derive(Debug)]
pub(crate) struct State {
    /// The times of this server are nanoseconds since then.
    epoch: Instant,
    /// When the worker began to wait for the client, while it does; else [`BUSY`] or [`ENDED`].
    idle_since: AtomicU64,
    /// Why a thread other than the worker ended the session. The first reason stays.
    reason: OnceLock<CloseReason>,
    /// Whether the client has begun a line, which is answered if the server stops.
    owes_rest: AtomicBool,
}

/// The worker is not waiting for the client.
const BUSY: u64 = u64::MAX;

/// The session was ended while the worker waited, so it owes its client nothing.
const ENDED: u64 = u64::MAX - 1;

impl State {
    /// The state of a session that is being served, in a server whose times begin at `epoch`.
    pub(crate) fn new(epoch: Instant) -> Self {
        Self { epoch, idle_since: AtomicU64::new(BUSY), reason: OnceLock::new(), owes_rest: AtomicBool::new(false) }
    }

    /// Returns the time.
    ///
    /// A message reads the clock twice. That is no system call where the kernel maps the clock into the process, as
    /// Linux does.
    pub(crate) fn now(&self) -> u64 {
        nanos(self.epoch.elapsed())
    }

    /// Returns how long ago `time` was.
    pub(crate) fn since(&self, time: u64) -> Duration {
        Duration::from_nanos(self.now().saturating_sub(time))
    }

    /// The worker begins to wait for the client. Returns the time, or fails with the reason if the session was asked to
    /// end.
    pub(crate) fn begin_wait(&self) -> Result<u64, CloseReason> {
        let time = self.now();
        // Released, so that a thread which ends this wait sees whether the client has begun a line.
        self.idle_since.store(time, Release);
        // Pairs with the fence in `end`: either this thread sees the reason, or that one sees that this one waits.
        fence(SeqCst);
        let Some(reason) = self.reason() else { return Ok(time) };
        // It does not wait, so nothing may end it as idle while it says its farewell.
        let _ = self.idle_since.compare_exchange(time, BUSY, Relaxed, Relaxed);
        Err(reason)
    }

    /// Returns how long the worker has been waiting for the client.
    pub(crate) fn waited(&self) -> Duration {
        self.since(self.idle_since.load(Relaxed))
    }

    /// The worker, which began to wait at `time`, stops waiting. Fails with the reason if the session was ended
    /// meanwhile.
    pub(crate) fn end_wait(&self, time: u64) -> Result<(), CloseReason> {
        // One atomic step, so that a session which has begun to answer cannot be ended.
        match self.idle_since.compare_exchange(time, BUSY, AcqRel, Acquire) {
            Ok(_) => Ok(()),
            // The thread that ended it stores the reason next, if it has not yet.
            Err(_) => Err(*self.reason.wait()),
        }
    }

    /// The worker answers what a client had begun when its session was ended, so it owes its client something again.
    pub(crate) fn resume(&self) {
        self.idle_since.store(BUSY, Release);
    }

    /// Ends the session if its worker waits for the client and so owes it nothing. Returns whether it did.
    pub(crate) fn end_if_idle(&self, reason: CloseReason) -> bool {
        let ended = self.mark_ended();
        if ended {
            let _ = self.reason.set(reason);
        }
        ended
    }

    /// Returns whether the session was ended while its worker waited: it owes its client nothing.
    pub(crate) fn is_ended(&self) -> bool {
        self.idle_since.load(Acquire) == ENDED
    }

    /// Returns the time since which the worker has been waiting for the client, or `now` if it is not waiting.
    pub(crate) fn idle_since(&self, now: u64) -> u64 {
        self.idle_since.load(Relaxed).min(now)
    }

    /// Asks the session to end, unless it was asked before. The worker sees that after its current message. Returns
    /// whether the worker waits for its client and must be woken.
    pub(crate) fn end(&self, reason: CloseReason) -> bool {
        self.give_reason(reason);
        self.mark_ended()
    }

    /// Asks the session to end, without a need to wake its worker: another thread will.
    pub(crate) fn give_reason(&self, reason: CloseReason) {
        // Whether this reason is the first does not matter: the session ends.
        let _ = self.reason.set(reason);
        fence(SeqCst);
    }

    fn mark_ended(&self) -> bool {
        let since = self.idle_since.load(Relaxed);
        since < ENDED && self.idle_since.compare_exchange(since, ENDED, AcqRel, Relaxed).is_ok()
    }

    /// Records whether the client has begun a line. The next wait publishes it.
    pub(crate) fn set_owes_rest(&self, owes_rest: bool) {
        self.owes_rest.store(owes_rest, Relaxed);
    }

    /// Returns whether the client has begun a line.
    pub(crate) fn owes_rest(&self) -> bool {
        self.owes_rest.load(Relaxed)
    }

    /// Returns the reason for which the session was asked to end, if it was.
    pub(crate) fn reason(&self) -> Option<CloseReason> {
        self.reason.get().copied()
    }
}

/// A duration in nanoseconds, of which 64 bits hold five centuries.
pub(crate) fn nanos(duration: Duration) -> u64 {
    duration.as_nanos().try_into().unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state() -> State {
        State::new(Instant::now())
    }

    #[test]
    fn a_session_is_ended_as_idle_only_while_its_worker_waits() {
        let state = state();
        assert!(!state.end_if_idle(CloseReason::Shutdown));
        assert_eq!((state.is_ended(), state.reason()), (false, None));
        let since = state.begin_wait().expect("no reason was given");
        assert_eq!(state.end_wait(since), Ok(()));
        assert!(!state.end_if_idle(CloseReason::Shutdown));
        let since = state.begin_wait().expect("no reason was given");
        assert!(state.end_if_idle(CloseReason::Shutdown));
        assert!(!state.end_if_idle(CloseReason::IdleTimeout));
        assert!(state.is_ended());
        assert_eq!(state.end_wait(since), Err(CloseReason::Shutdown));
    }

    #[test]
    fn a_busy_worker_sees_the_reason_before_it_waits_again_and_one_that_waits_must_be_woken() {
        let busy = state();
        assert!(!busy.end(CloseReason::Expired), "it is not waiting");
        assert_eq!(busy.begin_wait(), Err(CloseReason::Expired));
        assert!(!busy.end_if_idle(CloseReason::IdleTimeout), "it says its farewell");
        let waiting = state();
        let since = waiting.begin_wait().expect("no reason was given");
        assert!(waiting.end(CloseReason::Expired));
        assert!(!waiting.end(CloseReason::Expired), "it is woken once");
        assert_eq!(waiting.end_wait(since), Err(CloseReason::Expired));
    }

    #[test]
    fn the_first_reason_stays() {
        let state = state();
        state.end(CloseReason::Expired);
        state.end(CloseReason::TooSlow);
        assert_eq!(state.reason(), Some(CloseReason::Expired));
    }
}
