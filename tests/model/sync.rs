//! Locks and a clock for admission, under a scheduler that chooses which thread runs next and when a wait times out.
//!
//! Shuttle does not model time. Here time passes only when a wait times out, which it may do at any moment: a wait with
//! a limit lets other threads run for a while and then ends, notified or not.

use std::cell::Cell;
use std::ops::{Add, Deref, DerefMut, Sub};
use std::sync::LockResult;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
pub(crate) use std::sync::{Arc, PoisonError};
use std::time::Duration;

use shuttle::sync as scheduled;
use shuttle::thread::yield_now;

/// A limit that is never reached.
pub(crate) const NEVER: Duration = Duration::MAX;

thread_local! {
    /// Shuttle runs all threads of a schedule on one thread of the system, so they share this.
    static NOW: Cell<Duration> = const { Cell::new(Duration::ZERO) };
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Instant(Duration);

impl Instant {
    pub(crate) fn now() -> Self {
        Self(NOW.get())
    }
}

impl Add<Duration> for Instant {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        Self(self.0 + duration)
    }
}

impl Sub for Instant {
    type Output = Duration;

    fn sub(self, earlier: Self) -> Duration {
        self.0 - earlier.0
    }
}

#[derive(Debug)]
pub(crate) struct Mutex<T>(scheduled::Mutex<T>);

/// A guard that knows its mutex, so that a wait can unlock it and lock it again.
pub(crate) struct MutexGuard<'a, T> {
    guard: scheduled::MutexGuard<'a, T>,
    mutex: &'a Mutex<T>,
}

impl<T> Mutex<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(scheduled::Mutex::new(value))
    }

    pub(crate) fn lock(&self) -> LockResult<MutexGuard<'_, T>> {
        Ok(self.take())
    }

    fn take(&self) -> MutexGuard<'_, T> {
        MutexGuard { guard: self.0.lock().unwrap_or_else(PoisonError::into_inner), mutex: self }
    }
}

impl<T> Deref for MutexGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.guard
    }
}

impl<T> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.guard
    }
}

#[derive(Debug)]
pub(crate) struct Condvar {
    untimed: scheduled::Condvar,
    /// Counts notifications, so that a wait with a limit can see whether it was notified.
    notified: AtomicU64,
}

#[derive(Debug)]
pub(crate) struct WaitTimeoutResult(bool);

impl WaitTimeoutResult {
    pub(crate) fn timed_out(&self) -> bool {
        self.0
    }
}

impl Condvar {
    pub(crate) fn new() -> Self {
        Self { untimed: scheduled::Condvar::new(), notified: AtomicU64::new(0) }
    }

    pub(crate) fn notify_one(&self) {
        self.notified.fetch_add(1, SeqCst);
        self.untimed.notify_one();
    }

    pub(crate) fn notify_all(&self) {
        self.notified.fetch_add(1, SeqCst);
        self.untimed.notify_all();
    }

    pub(crate) fn wait<'a, T>(&self, guard: MutexGuard<'a, T>) -> LockResult<MutexGuard<'a, T>> {
        Ok(self.sleep(guard, NEVER).0)
    }

    pub(crate) fn wait_timeout<'a, T>(
        &self,
        guard: MutexGuard<'a, T>,
        limit: Duration,
    ) -> LockResult<(MutexGuard<'a, T>, WaitTimeoutResult)> {
        Ok(self.sleep(guard, limit))
    }

    pub(crate) fn wait_timeout_while<'a, T>(
        &self,
        mut guard: MutexGuard<'a, T>,
        limit: Duration,
        mut condition: impl FnMut(&mut T) -> bool,
    ) -> LockResult<(MutexGuard<'a, T>, WaitTimeoutResult)> {
        let mut result = WaitTimeoutResult(false);
        while condition(&mut guard) && !result.timed_out() {
            (guard, result) = self.sleep(guard, limit);
        }
        Ok((guard, result))
    }

    fn sleep<'a, T>(&self, guard: MutexGuard<'a, T>, limit: Duration) -> (MutexGuard<'a, T>, WaitTimeoutResult) {
        let MutexGuard { guard, mutex } = guard;
        if limit == NEVER {
            let guard = self.untimed.wait(guard).unwrap_or_else(PoisonError::into_inner);
            return (MutexGuard { guard, mutex }, WaitTimeoutResult(false));
        }
        let notified = self.notified.load(SeqCst);
        drop(guard);
        yield_now();
        let guard = mutex.take();
        let timed_out = self.notified.load(SeqCst) == notified;
        if timed_out {
            NOW.set(NOW.get() + limit);
        }
        (guard, WaitTimeoutResult(timed_out))
    }
}

/// The semaphore of `src/server/semaphore.rs`, without its pipe.
#[derive(Debug, Default)]
pub(crate) struct Semaphore {
    permits: scheduled::Mutex<usize>,
    given: scheduled::Condvar,
}

impl Semaphore {
    pub(crate) fn post(&self, count: usize) {
        *self.permits.lock().unwrap_or_else(PoisonError::into_inner) += count;
        (0..count).for_each(|_| self.given.notify_one());
    }

    pub(crate) fn wait(&self) {
        let mut permits = self.permits.lock().unwrap_or_else(PoisonError::into_inner);
        while *permits == 0 {
            permits = self.given.wait(permits).unwrap_or_else(PoisonError::into_inner);
        }
        *permits -= 1;
    }
}
