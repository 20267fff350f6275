//! Admission: how many clients are served, how many wait, and for how long.
//!
//! Clients do not wait in the pool's own queue, because it has no bound, and because each worker that takes a job there
//! has to wake the next. So clients and idle workers wait here, and each worker runs one job of the pool for as long as
//! it lives. This module knows neither sockets nor the pool: it is generic over what waits, and it counts.

use std::collections::VecDeque;
use std::time::Duration;

use super::sync::{Arc, Condvar, Instant, Mutex, MutexGuard, PoisonError, Semaphore};

/// Counts the clients that are served and holds those that wait: at most `workers` and `max_pending`.
#[derive(Debug)]
pub(crate) struct Admission<T> {
    workers: usize,
    max_pending: usize,
    state: Mutex<State<T>>,
    /// Idle workers sleep here.
    sleep: Semaphore,
    /// A place became free, or admission closed. Notified only if `State::watchers` says that a thread waits, because
    /// places become free at the end of every session, and each notification is a system call.
    freed: Condvar,
    /// Wakes the reaper: `State::has_news` was set.
    news: Condvar,
}

#[derive(Debug)]
struct State<T> {
    waiting: VecDeque<(Instant, T)>,
    running: usize,
    /// Workers that sleep, and how many of them were woken and do not run yet. If a woken worker finds no client, a
    /// worker that became free was faster, and it sleeps again.
    asleep: usize,
    woken: usize,
    /// Threads that sleep on `Admission::freed`.
    watchers: usize,
    /// Clients that acceptors hold until there is a place for them here.
    placeless: usize,
    /// Workers that idle sessions were asked to give up and that are not free yet. Any worker that becomes free
    /// counts: it serves the client that waits just as well.
    expected: usize,
    /// A client has to wait, or admission closed, since the reaper last woke.
    has_news: bool,
    /// The server stops: no acceptor waits for a place.
    stopping: bool,
    closed: bool,
}

/// What became of an arrival.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Admitted<T> {
    /// It waits for a worker.
    Waits,
    /// All places are taken.
    Full(T),
    /// Admission is closed.
    Closed(T),
}

impl<T> Admission<T> {
    pub(crate) fn new(workers: usize, max_pending: usize, sleep: Semaphore) -> Self {
        let state = State {
            waiting: VecDeque::new(),
            running: 0,
            asleep: 0,
            woken: 0,
            watchers: 0,
            placeless: 0,
            expected: 0,
            has_news: false,
            stopping: false,
            closed: false,
        };
        Self { workers, max_pending, state: Mutex::new(state), sleep, freed: Condvar::new(), news: Condvar::new() }
    }

    /// Lets `item` wait for a worker, if there is a place.
    pub(crate) fn admit(&self, item: T) -> Admitted<T> {
        let mut state = self.lock();
        if state.closed {
            return Admitted::Closed(item);
        }
        if self.is_full(&state) {
            return Admitted::Full(item);
        }
        state.waiting.push_back((Instant::now(), item));
        if state.running + state.waiting.len() > self.workers {
            self.wake_reaper(&mut state);
        }
        // If all workers are busy, the first that becomes free looks for clients by itself.
        let wakes = state.asleep > state.woken;
        state.woken += usize::from(wakes);
        drop(state);
        if wakes {
            self.sleep.post(1);
        }
        Admitted::Waits
    }

    /// Blocks until a client leaves, the server stops or `limit` has passed. Returns `false` on timeout.
    pub(crate) fn wait_freed(&self, limit: Duration) -> bool {
        let mut state = self.lock();
        if state.stopping {
            return true;
        }
        state.watchers += 1;
        let (mut state, timeout) = self.freed.wait_timeout(state, limit).unwrap_or_else(PoisonError::into_inner);
        state.watchers -= 1;
        !timeout.timed_out()
    }

    /// Blocks until there is a place or the server stops.
    pub(crate) fn wait_for_place(&self) {
        let mut state = self.lock();
        state.watchers += 1;
        state.placeless += 1;
        self.wake_reaper(&mut state);
        while !state.stopping && self.is_full(&state) {
            state = self.freed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.placeless -= 1;
        state.watchers -= 1;
    }

    /// Blocks until a client waits. Returns the one that has waited longest, with the permit to serve it; `None` if
    /// admission is closed and no client is left.
    pub(crate) fn next(self: &Arc<Self>) -> Option<(T, Permit<T>)> {
        let mut state = self.lock();
        loop {
            if let Some((_, item)) = state.waiting.pop_front() {
                state.running += 1;
                return Some((item, Permit(Arc::clone(self))));
            }
            if state.closed {
                return None;
            }
            state.asleep += 1;
            drop(state);
            self.sleep.wait();
            state = self.lock();
            state.asleep -= 1;
            state.woken -= 1;
        }
    }

    /// Blocks the reaper until `wake_at`, or until there is news for it: a client has to wait, or admission closed.
    /// Returns `false` if admission is closed.
    pub(crate) fn wait_for_news(&self, wake_at: Option<Instant>) -> bool {
        let mut state = self.lock();
        while !state.has_news {
            let now = Instant::now();
            state = match wake_at {
                Some(time) if time <= now => break,
                Some(time) => self.news.wait_timeout(state, time - now).unwrap_or_else(PoisonError::into_inner).0,
                None => self.news.wait(state).unwrap_or_else(PoisonError::into_inner),
            };
        }
        state.has_news = false;
        !state.closed
    }

    /// Takes out the client that has waited longest, if it has waited for longer than `limit`. Otherwise returns the
    /// time at which that will be so, if a client waits.
    pub(crate) fn take_overdue(&self, limit: Duration) -> Result<T, Option<Instant>> {
        let mut state = self.lock();
        let due = state.waiting.front().map(|(since, _)| *since + limit);
        match due {
            Some(due) if due <= Instant::now() => {
                let (_, item) = state.waiting.pop_front().ok_or(None)?;
                self.notify_freed(&state);
                Ok(item)
            }
            _ => Err(due),
        }
    }

    /// Counts a worker as expected for each waiting client for which none is free or expected yet. Returns `None` if
    /// there is no such client.
    pub(crate) fn expect_workers(&self) -> Option<Expected<'_, T>> {
        let mut state = self.lock();
        let lacking = self.lacking(&state);
        // Before any session is asked, because a worker that becomes free in the meantime is one of those expected.
        state.expected += lacking;
        (lacking > 0).then(|| Expected { admission: self, workers: lacking })
    }

    /// Returns whether a client waits for which no worker is free or expected.
    pub(crate) fn lacks_workers(&self) -> bool {
        self.lacking(&self.lock()) > 0
    }

    fn lacking(&self, state: &State<T>) -> usize {
        let wanted = state.running + state.waiting.len() + state.placeless;
        wanted.saturating_sub(self.workers + state.expected)
    }

    /// Begins the stop: acceptors that wait for a place or for a client to leave do so no longer.
    pub(crate) fn begin_stop(&self) {
        self.lock().stopping = true;
        self.freed.notify_all();
    }

    /// Closes admission. Returns the clients for which no worker is free. Those for which one is free are served.
    pub(crate) fn close(&self) -> Vec<T> {
        let mut state = self.lock();
        state.stopping = true;
        state.closed = true;
        self.freed.notify_all();
        self.wake_reaper(&mut state);
        let sleeping = state.asleep - state.woken;
        state.woken = state.asleep;
        let served = self.workers.saturating_sub(state.running).min(state.waiting.len());
        let waiting = state.waiting.drain(served..).map(|(_, item)| item).collect();
        drop(state);
        self.sleep.post(sleeping);
        waiting
    }

    /// Waits until no client is served or waits. Returns `false` on timeout.
    pub(crate) fn wait_idle(&self, limit: Duration) -> bool {
        let busy = |state: &mut State<T>| state.running + state.waiting.len() > 0;
        let mut state = self.lock();
        state.watchers += 1;
        let (mut state, _) =
            self.freed.wait_timeout_while(state, limit, busy).unwrap_or_else(PoisonError::into_inner);
        state.watchers -= 1;
        !busy(&mut state)
    }

    /// Returns how many clients wait, those that acceptors hold included.
    pub(crate) fn waiting(&self) -> usize {
        let state = self.lock();
        state.waiting.len() + state.placeless
    }

    fn is_full(&self, state: &State<T>) -> bool {
        state.running + state.waiting.len() >= self.workers + self.max_pending
    }

    fn notify_freed(&self, state: &State<T>) {
        if state.watchers > 0 {
            self.freed.notify_all();
        }
    }

    fn wake_reaper(&self, state: &mut State<T>) {
        state.has_news = true;
        self.news.notify_one();
    }

    /// The lock is never held while anything can panic, so a poisoned one is as good as any.
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The right to be served, given back on drop.
#[derive(Debug)]
pub(crate) struct Permit<T>(Arc<Admission<T>>);

impl<T> Drop for Permit<T> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.running -= 1;
        state.expected = state.expected.saturating_sub(1);
        self.0.notify_freed(&state);
    }
}

/// Workers that are expected to become free. On drop, those that no session was asked for are no longer expected.
#[derive(Debug)]
pub(crate) struct Expected<'a, T> {
    admission: &'a Admission<T>,
    workers: usize,
}

impl<T> Expected<'_, T> {
    /// Returns for how many workers sessions must still be asked.
    pub(crate) fn workers(&self) -> usize {
        self.workers
    }

    /// Records that `sessions` sessions were asked to end: their workers stay expected.
    pub(crate) fn asked(&mut self, sessions: usize) {
        self.workers = self.workers.saturating_sub(sessions);
    }
}

impl<T> Drop for Expected<'_, T> {
    fn drop(&mut self) {
        let mut state = self.admission.lock();
        // Workers may have become free in the meantime, and were counted as expected ones.
        state.expected = state.expected.saturating_sub(self.workers);
    }
}
