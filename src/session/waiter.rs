//! [`Waiter`]: lets a handler wait on its worker for as long as its session lasts, and no longer.

use std::io::{self, ErrorKind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};
use std::{error, fmt};

use super::Session;

/// How often a thread that waits looks whether the client has reset the connection.
const LOOK: Duration = Duration::from_secs(1);

/// Lets a handler wait. [`Session::waiter`] makes it.
///
/// A handler may block, for example to answer at a certain time. One that sleeps holds up whatever ends its session: a
/// stop, [`disconnect`](crate::RunningServer::disconnect), [`max_lifetime`](crate::ServerConfig::max_lifetime). This
/// wait ends early instead:
///
/// ```
/// use std::io::{self, Write};
/// use std::time::Duration;
///
/// use hebra::testing::Script;
/// use hebra::{Handler, Next, ServerConfig, Waiter};
///
/// /// Thinks before it answers.
/// struct Thinker(Waiter);
///
/// impl Handler for Thinker {
///     fn message(&mut self, _message: &[u8], reply: &mut dyn Write) -> io::Result<Next> {
///         self.0.wait(Duration::from_millis(5))?;
///         reply.write_all(b"42\n")?;
///         Ok(Next::Continue)
///     }
/// }
///
/// let outcome = Script::reads(["?"]).run(&ServerConfig::default(), |session| Thinker(session.waiter()));
/// assert_eq!(outcome.written, b"42\n");
/// ```
///
/// The time is not counted as silence of the client, nor as time that the client takes for its answer. A stop lets the
/// wait go on until the drain deadline. A client that resets its connection ends the wait within a second or two. One
/// that only closes it does not, because it may have closed one direction and still read the answer.
///
/// A clone may wait on another thread. Its wait ends with the session, for whatever reason that ends.
///
/// It keeps neither the session nor the connection alive.
#[derive(Clone, Debug)]
pub struct Waiter(Arc<Waits>);

/// The session has ended, or is about to, so its handler need not wait any more.
///
/// Pass it on with `?`, or return an error of your own: the session knows why it ends, and reports that.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SessionEnded(());

impl fmt::Display for SessionEnded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the session has ended")
    }
}

impl error::Error for SessionEnded {}

impl From<SessionEnded> for io::Error {
    fn from(ended: SessionEnded) -> Self {
        Self::other(ended)
    }
}

impl Waiter {
    pub(super) fn new(waits: &Arc<Waits>) -> Self {
        Self(Arc::clone(waits))
    }

    /// Blocks for `time`, or until the session has to end.
    ///
    /// # Errors
    ///
    /// [`SessionEnded`] if the session has to end, even if it did not have to wait.
    pub fn wait(&self, time: Duration) -> Result<(), SessionEnded> {
        // A time that the clock cannot hold never comes.
        self.0.block(Instant::now().checked_add(time))
    }

    /// Blocks until `time`, or until the session has to end.
    ///
    /// # Errors
    ///
    /// As for [`wait`](Self::wait).
    pub fn wait_until(&self, time: Instant) -> Result<(), SessionEnded> {
        self.0.block(Some(time))
    }
}

/// What the waits of one session share with it. A session whose handler asks for no [`Waiter`] has none.
///
/// It does not hold the session: the thread that drops a session last closes its connection, and a wait may be long.
#[derive(Debug)]
pub(super) struct Waits {
    session: Weak<Session>,
    state: Mutex<State>,
    woken: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// Threads that sleep. Without one, waking makes no system call.
    sleepers: usize,
    /// No wait is possible any more.
    is_over: bool,
    /// What the system reported of the connection. It does so once, so it is kept here.
    failure: Option<ErrorKind>,
    /// Whether a wait has failed.
    was_broken_off: bool,
    /// When the last wait ended.
    ended: Option<Instant>,
}

impl Waits {
    pub(super) fn new(session: &Weak<Session>) -> Self {
        Self { session: Weak::clone(session), state: Mutex::default(), woken: Condvar::new() }
    }

    fn block(&self, until: Option<Instant>) -> Result<(), SessionEnded> {
        let mut state = self.lock();
        loop {
            let now = Instant::now();
            let left = until.map_or(LOOK, |until| until.saturating_duration_since(now));
            if state.is_over || left.is_zero() {
                state.ended = Some(now);
                state.was_broken_off |= state.is_over;
                return if state.is_over { Err(SessionEnded(())) } else { Ok(()) };
            }
            state.sleepers += 1;
            (state, _) = self.woken.wait_timeout(state, left.min(LOOK)).unwrap_or_else(PoisonError::into_inner);
            state.sleepers -= 1;
            // Short waits need not ask: the write that follows reports it.
            if left >= LOOK && !state.is_over {
                // Without the lock, because this may drop the session.
                drop(state);
                let failure = self.session.upgrade().and_then(|session| session.take_failure());
                state = self.lock();
                if failure.is_some() {
                    state.failure = failure;
                    self.end_with(&mut state);
                }
            }
        }
    }

    /// Ends all waits, and those that are still to come.
    pub(super) fn end(&self) {
        self.end_with(&mut self.lock());
    }

    fn end_with(&self, state: &mut State) {
        state.is_over = true;
        if state.sleepers > 0 {
            self.woken.notify_all();
        }
    }

    /// Returns what the system reported of the connection during a wait.
    pub(super) fn failure(&self) -> Option<ErrorKind> {
        self.lock().failure
    }

    /// Returns whether a wait has failed, because the session has to end.
    pub(super) fn was_broken_off(&self) -> bool {
        self.lock().was_broken_off
    }

    /// Returns when the last wait ended.
    pub(super) fn ended(&self) -> Option<Instant> {
        self.lock().ended
    }

    /// The lock is never held while anything can panic, so a poisoned one is as good as any.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
