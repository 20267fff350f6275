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
/// It keeps neither the session nor the connection alive.
#[derive(Clone, Debug)]
pub struct Waiter(Weak<Session>);

/// The session has ended, or is about to, so its handler need not wait any more.
///
/// Pass it on with `?`, like an error of `reply`: the session knows the reason, and reports that.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SessionEnded {
    /// What the system reported of the connection, if that is why.
    failure: Option<ErrorKind>,
}

impl SessionEnded {
    /// Returns what the system reported of the connection, if that is why the session ends.
    pub(super) fn failure(self) -> Option<ErrorKind> {
        self.failure
    }

    /// Returns what an error carries.
    pub(super) fn of(error: &io::Error) -> Option<Self> {
        error.get_ref()?.downcast_ref().copied()
    }
}

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
    pub(super) fn new(session: &Weak<Session>) -> Self {
        Self(Weak::clone(session))
    }

    /// Blocks for `time`, or until the session has to end.
    ///
    /// # Errors
    ///
    /// [`SessionEnded`] if the session has to end, even if it did not have to wait.
    pub fn wait(&self, time: Duration) -> Result<(), SessionEnded> {
        // A time that the clock cannot hold never comes.
        self.block(Instant::now().checked_add(time))
    }

    /// Blocks until `time`, or until the session has to end.
    ///
    /// # Errors
    ///
    /// As for [`wait`](Self::wait).
    pub fn wait_until(&self, time: Instant) -> Result<(), SessionEnded> {
        self.block(Some(time))
    }

    fn block(&self, until: Option<Instant>) -> Result<(), SessionEnded> {
        let session: Arc<Session> = self.0.upgrade().ok_or(SessionEnded { failure: None })?;
        let outcome = session.waits.block(until, || session.must_end(), || session.take_failure());
        session.waits.lock().ended = session.state.now();
        outcome
    }
}

/// What the waits of one session share with the threads that end it.
#[derive(Debug, Default)]
pub(super) struct Waits {
    state: Mutex<State>,
    woken: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// Threads that sleep. Without one, waking makes no system call.
    sleepers: usize,
    /// When the last wait ended, in the time of the server.
    ended: u64,
}

impl Waits {
    fn block(
        &self,
        until: Option<Instant>,
        must_end: impl Fn() -> bool,
        failure: impl Fn() -> Option<ErrorKind>,
    ) -> Result<(), SessionEnded> {
        loop {
            let mut state = self.lock();
            // Under the lock, so that what ends the session is seen here or finds a sleeper.
            if must_end() {
                return Err(SessionEnded { failure: None });
            }
            let left = until.map_or(LOOK, |until| until.saturating_duration_since(Instant::now()));
            if left.is_zero() {
                return Ok(());
            }
            state.sleepers += 1;
            let (mut state, _) =
                self.woken.wait_timeout(state, left.min(LOOK)).unwrap_or_else(PoisonError::into_inner);
            state.sleepers -= 1;
            drop(state);
            // Short waits need not ask: the write that follows reports it.
            if left >= LOOK
                && let Some(kind) = failure()
            {
                return Err(SessionEnded { failure: Some(kind) });
            }
        }
    }

    /// Makes the waits look again whether the session must end.
    pub(super) fn wake(&self) {
        if self.lock().sleepers > 0 {
            self.woken.notify_all();
        }
    }

    /// Returns when the last wait ended, in the time of the server.
    pub(super) fn ended(&self) -> u64 {
        self.lock().ended
    }

    /// The lock is never held while anything can panic, so a poisoned one is as good as any.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
