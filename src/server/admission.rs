//! The gate: how many clients run, how many wait, and for how long.
//!
//! The pool's own queue has no bound, and its workers wait for each other there: each that takes a job from it
//! wakes the next. So clients wait here, and so do the workers, each of which has one job of the pool for life.
//! This knows neither sockets nor the pool: it is generic over what waits, and counts.

use std::collections::VecDeque;
use std::time::Duration;

use super::sync::{Arc, Condvar, Instant, Mutex, MutexGuard, PoisonError, Semaphore};

/// Counts the running and holds the waiting, `workers` and `max_pending` of them at most.
#[derive(Debug)]
pub(crate) struct Admission<T> {
    workers: usize,
    max_pending: usize,
    state: Mutex<State<T>>,
    /// Where workers sleep for whom nobody waits.
    sleep: Semaphore,
    /// A place became free, or the gate closed. Told only if `State::watchers` says that somebody listens:
    /// it happens at the end of every session, and each notification is a system call.
    freed: Condvar,
    /// A client has to wait, or the gate closed.
    waits: Condvar,
}

#[derive(Debug)]
struct State<T> {
    waiting: VecDeque<(Instant, T)>,
    running: usize,
    /// Workers that sleep, and how many of them have been woken and not come to run yet. One that then finds nobody has
    /// lost its client to a worker that came free, and sleeps again.
    asleep: usize,
    woken: usize,
    watchers: usize,
    /// Clients that are not waiting here yet because there is no place.
    placeless: usize,
    /// Workers that were asked for from silent sessions and have not come free. Any worker that comes free
    /// counts: it serves the one who waits just as well.
    expected: usize,
    closed: bool,
}

/// What the reaper is to do.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Watch<T> {
    /// This one has waited too long.
    Expired(T),
    /// Somebody waits, and no worker is expected to come free. From now on one is, until
    /// [`Admission::expect_no_worker`].
    NeedsWorker,
    /// The time has come.
    Time,
    /// The gate is closed.
    Closed,
}

/// What became of an arrival.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Admitted<T> {
    /// It waits; a worker will take it up.
    Waits,
    /// All places are taken.
    Full(T),
    /// The gate is closed.
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
            closed: false,
        };
        Self { workers, max_pending, state: Mutex::new(state), sleep, freed: Condvar::new(), waits: Condvar::new() }
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
            self.waits.notify_one();
        }
        // If all are busy, the first to come free looks for itself.
        let wakes = state.asleep > state.woken;
        state.woken += usize::from(wakes);
        drop(state);
        if wakes {
            self.sleep.post(1);
        }
        Admitted::Waits
    }

    /// Sleeps until somebody leaves, the gate closes or `limit` has passed; whether somebody left or it closed.
    pub(crate) fn wait_freed(&self, limit: Duration) -> bool {
        let mut state = self.lock();
        if state.closed {
            return true;
        }
        state.watchers += 1;
        let (mut state, timeout) = self.freed.wait_timeout(state, limit).unwrap_or_else(PoisonError::into_inner);
        state.watchers -= 1;
        !timeout.timed_out()
    }

    /// Sleeps until there is a place or the gate is closed.
    pub(crate) fn wait_for_place(&self) {
        let mut state = self.lock();
        state.watchers += 1;
        state.placeless += 1;
        self.waits.notify_one();
        while !state.closed && self.is_full(&state) {
            state = self.freed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.placeless -= 1;
        state.watchers -= 1;
    }

    /// Sleeps until somebody waits: whoever has waited longest, with the permit to run. `None` if the gate is closed.
    pub(crate) fn next(self: &Arc<Self>) -> Option<(T, Permit<T>)> {
        let mut state = self.lock();
        while !state.closed {
            if let Some((_, item)) = state.waiting.pop_front() {
                state.running += 1;
                return Some((item, Permit(Arc::clone(self))));
            }
            state.asleep += 1;
            drop(state);
            self.sleep.wait();
            state = self.lock();
            state.asleep -= 1;
            state.woken -= 1;
        }
        None
    }

    /// Sleeps until there is something for the reaper to do: somebody has waited for longer than
    /// `queue_timeout`, more clients wait than workers are expected to come free (told from `yield_from`
    /// on), or `wake_at` has come.
    pub(crate) fn watch(
        &self,
        queue_timeout: Option<Duration>,
        yield_from: Option<Instant>,
        wake_at: Option<Instant>,
    ) -> Watch<T> {
        let mut state = self.lock();
        loop {
            let now = Instant::now();
            let overdue = state.waiting.front().and_then(|(since, _)| Some(*since + queue_timeout?));
            let lacking = (state.running + state.waiting.len() + state.placeless).saturating_sub(self.workers);
            let yield_at = yield_from.filter(|_| lacking > state.expected);
            let is_due = |time: Option<Instant>| time.is_some_and(|time| time <= now);
            if state.closed {
                return Watch::Closed;
            }
            if is_due(overdue)
                && let Some((_, item)) = state.waiting.pop_front()
            {
                self.tell_freed(&state);
                return Watch::Expired(item);
            }
            if is_due(yield_at) {
                // Before the worker is asked for: it may come free before the reaper gets any further, and
                // whoever is expected after that never comes.
                state.expected += 1;
                return Watch::NeedsWorker;
            }
            if is_due(wake_at) {
                return Watch::Time;
            }
            state = match [overdue, yield_at, wake_at].into_iter().flatten().min() {
                Some(time) => self.waits.wait_timeout(state, time - now).unwrap_or_else(PoisonError::into_inner).0,
                None => self.waits.wait(state).unwrap_or_else(PoisonError::into_inner),
            };
        }
    }

    /// There was no session to ask for its worker.
    pub(crate) fn expect_no_worker(&self) {
        let mut state = self.lock();
        // A worker may have come free meanwhile and been taken for the expected one.
        state.expected = state.expected.saturating_sub(1);
    }

    /// Lets nobody in any more and returns those who wait.
    pub(crate) fn close(&self) -> Vec<T> {
        let mut state = self.lock();
        state.closed = true;
        self.freed.notify_all();
        self.waits.notify_all();
        let sleeping = state.asleep - state.woken;
        state.woken = state.asleep;
        let waiting = state.waiting.drain(..).map(|(_, item)| item).collect();
        drop(state);
        self.sleep.post(sleeping);
        waiting
    }

    /// Sleeps until nobody runs or waits, `limit` at most; whether that came about.
    pub(crate) fn wait_idle(&self, limit: Duration) -> bool {
        let busy = |state: &mut State<T>| state.running + state.waiting.len() > 0;
        let mut state = self.lock();
        state.watchers += 1;
        let (mut state, _) =
            self.freed.wait_timeout_while(state, limit, busy).unwrap_or_else(PoisonError::into_inner);
        state.watchers -= 1;
        !busy(&mut state)
    }

    /// How many wait.
    pub(crate) fn waiting(&self) -> usize {
        self.lock().waiting.len()
    }

    fn is_full(&self, state: &State<T>) -> bool {
        state.running + state.waiting.len() >= self.workers + self.max_pending
    }

    fn tell_freed(&self, state: &State<T>) {
        if state.watchers > 0 {
            self.freed.notify_all();
        }
    }

    /// The lock is never held while anything can panic, so a poisoned one is as good as any.
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The right to run, given back on drop.
#[derive(Debug)]
pub(crate) struct Permit<T>(Arc<Admission<T>>);

impl<T> Drop for Permit<T> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.running -= 1;
        state.expected = state.expected.saturating_sub(1);
        self.0.tell_freed(&state);
    }
}
