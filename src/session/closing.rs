//! How the connection of an ended session is closed so that everything that was sent arrives.
//!
//! Closing a socket that holds unread bytes resets the connection, and so does input that arrives after the close. A
//! reset destroys the replies that the client has not received yet. So a connection lingers: its write side is shut,
//! and what the client still sends is discarded until it closes too. One thread does that for all connections at once,
//! so that neither a worker nor an acceptor ever waits for a client whose session has ended.
//!
//! The reaper wakes the worker of an idle session by shutting the read side. Input that then arrives resets the
//! connection as soon as the write side is shut too (RFC 1122, 4.2.2.13). Such a connection is shut only when
//! everything that was sent is acknowledged.

use std::io::{self, ErrorKind, Read, Write};
use std::mem;
use std::net::Shutdown;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use socket2::SockRef;

use super::Session;
use crate::config::LINGERING;
use crate::events::Closing;
use crate::net::outgoing::Outgoing;

/// How long a client that has received everything and sends nothing has to close its side: a round trip across the world
/// and then some.
pub(crate) const LINGER: Duration = Duration::from_millis(500);

/// How long the thread rests between two looks at the connections: as short as at first while some close, longer while
/// none does.
const SHORTEST_REST: Duration = Duration::from_millis(1);
const LONGEST_REST: Duration = Duration::from_millis(16);

/// Bytes that one look at a connection discards at most, and one read of it. They are not on the stack: inlined into a
/// worker's, they made each session touch two more pages.
const DISCARDED: usize = 512 * 1024;
const DISCARDED_AT_ONCE: usize = 16 * 1024;

/// The connections that linger.
#[derive(Debug)]
pub(crate) struct Linger {
    state: Mutex<State>,
    /// Connections came, none is left, or the mode changed.
    changed: Condvar,
    /// How long a client may take for what was sent to it; `None` for as long as it takes.
    patience: Option<Duration>,
}

#[derive(Debug, Default)]
struct State {
    lingering: Vec<Leaving>,
    /// The lingering thread has taken them out to look at them.
    looked_at: usize,
    /// Set when the server's drain is over: nothing lingers any more.
    is_over: bool,
    /// Connections that were closed although their clients had not received everything.
    undelivered: usize,
}

/// A connection that lingers.
#[derive(Debug)]
struct Leaving {
    session: Arc<Session>,
    /// What is still to be sent.
    unsent: Vec<u8>,
    /// The server refused this client: it got one line and no session.
    is_refused: bool,
    /// Whether the write side is shut.
    is_shut: bool,
    since: Instant,
    /// When input was last discarded.
    heard: Instant,
}

impl Linger {
    /// No connection lingers. A client may take `patience` for what was sent to it.
    pub(crate) fn new(patience: Option<Duration>) -> Self {
        Self { state: Mutex::default(), changed: Condvar::new(), patience }
    }

    /// Closes a session's connection as its reason for ending requires. Never blocks.
    pub(crate) fn close(&self, session: Arc<Session>, closing: Closing) {
        match closing {
            Closing::AtOnce => {}
            Closing::Reset => reset(&session),
            Closing::Lingering => self.linger(session, false),
        }
    }

    /// Refuses a client with one line. Never blocks.
    pub(crate) fn refuse(&self, session: Arc<Session>, line: &str) {
        session.keep_unsent(line.as_bytes());
        self.linger(session, true);
    }

    fn linger(&self, session: Arc<Session>, is_refused: bool) {
        let Some(socket) = session.socket() else { return };
        let now = Instant::now();
        let mut leaving = Leaving {
            unsent: session.take_unsent(),
            session: Arc::clone(&session),
            is_refused,
            is_shut: false,
            since: now,
            heard: now,
        };
        // Most clients have closed already or are about to, and most connections have nothing left to send.
        if socket.set_nonblocking(true).is_err() || leaving.advance(now, None) {
            return;
        }
        let mut state = self.lock();
        if state.is_over {
            drop(state);
            let mut outgoing = Outgoing::default();
            outgoing.read();
            let undelivered = usize::from(leaving.cut(now, &outgoing));
            self.lock().undelivered += undelivered;
            return;
        }
        let mut evicted = None;
        if state.lingering.len() + state.looked_at >= LINGERING {
            // A refused client loses one line at most, so it makes room for others; else the first that came does.
            match state.lingering.iter().position(|other| other.is_refused) {
                _ if is_refused => {
                    drop(state);
                    let _: io::Result<bool> = leaving.discard(now);
                    return;
                }
                Some(refused) => evicted = Some(state.lingering.remove(refused)),
                None if state.lingering.is_empty() => {}
                None => evicted = Some(state.lingering.remove(0)),
            }
        }
        state.lingering.push(leaving);
        drop(state);
        self.changed.notify_all();
        if let Some(mut evicted) = evicted {
            let _: io::Result<bool> = evicted.discard(now);
        }
    }

    /// Runs the lingering thread, until [`finish`](Self::finish) and no connection is left.
    pub(crate) fn run(&self) {
        let mut outgoing = Outgoing::default();
        let mut rest = SHORTEST_REST;
        // Time in which this process did not run is not the clients'.
        let mut lost = Duration::ZERO;
        loop {
            let mut lingering = {
                let is_empty = |state: &mut State| state.lingering.is_empty() && !state.is_over;
                let waited = self.changed.wait_while(self.lock(), is_empty);
                let mut state = waited.unwrap_or_else(PoisonError::into_inner);
                if state.lingering.is_empty() {
                    return;
                }
                state.looked_at = state.lingering.len();
                mem::take(&mut state.lingering)
            };
            let now = Instant::now();
            if lingering.iter().any(|leaving| leaving.asks_system(now)) {
                outgoing.refresh();
            }
            let before = lingering.len();
            let mut undelivered = 0;
            lingering.retain_mut(|leaving| {
                leaving.since += lost;
                if leaving.advance(now, Some(&outgoing)) {
                    return false;
                }
                let is_late = leaving.is_late(now, self.patience);
                undelivered += usize::from(is_late && leaving.cut(now, &outgoing));
                !is_late
            });
            rest = if lingering.len() < before { SHORTEST_REST } else { (rest * 2).min(LONGEST_REST) };
            let mut state = self.lock();
            state.looked_at = 0;
            state.undelivered += undelivered;
            let arrived = mem::replace(&mut state.lingering, lingering);
            rest = if arrived.is_empty() { rest } else { SHORTEST_REST };
            state.lingering.extend(arrived);
            if state.is_over {
                outgoing.read();
                let now = Instant::now();
                let mut left = mem::take(&mut state.lingering);
                state.undelivered +=
                    left.iter_mut().map(|leaving| usize::from(leaving.cut(now, &outgoing))).sum::<usize>();
                self.changed.notify_all();
                return;
            }
            if state.lingering.is_empty() {
                self.changed.notify_all();
            } else {
                let began = Instant::now();
                let is_running = |state: &mut State| !state.is_over;
                drop(self.changed.wait_timeout_while(state, rest, is_running));
                lost = began.elapsed().saturating_sub(8 * LONGEST_REST);
            }
        }
    }

    /// Waits until no connection lingers. Returns `false` on timeout.
    pub(crate) fn wait_empty(&self, limit: Duration) -> bool {
        let lingers = |state: &mut State| !state.lingering.is_empty() || state.looked_at > 0;
        let (mut state, _) =
            self.changed.wait_timeout_while(self.lock(), limit, lingers).unwrap_or_else(PoisonError::into_inner);
        !lingers(&mut state)
    }

    /// Ends the lingering, and with it the thread: what lingers is closed.
    pub(crate) fn finish(&self) {
        self.lock().is_over = true;
        self.changed.notify_all();
    }

    /// Returns how many connections were closed although their clients had not received everything.
    pub(crate) fn undelivered(&self) -> usize {
        self.lock().undelivered
    }

    /// The lock is never held while anything can panic, so a poisoned one is as good as any.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Leaving {
    /// Sends what is left, shuts the write side when that cannot destroy anything, and discards input. Returns whether
    /// the connection can be closed. `outgoing` is what the system tells, if it was asked.
    fn advance(&mut self, now: Instant, outgoing: Option<&Outgoing>) -> bool {
        let Some(mut socket) = self.session.socket() else { return true };
        while !self.unsent.is_empty() {
            match socket.write(&self.unsent) {
                Ok(count) => drop(self.unsent.drain(..count)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return true,
            }
        }
        let is_read_shut = self.session.is_read_shut();
        let is_pending = outgoing.and_then(|outgoing| outgoing.is_pending(socket));
        // Without a word from the system the write side is shut at once, as it is where nothing is at risk.
        let is_safe = !is_read_shut || is_pending == Some(false) || (is_pending.is_none() && outgoing.is_some());
        if !self.is_shut && self.unsent.is_empty() && is_safe {
            self.is_shut = true;
            self.session.shut(Shutdown::Write);
        }
        match self.discard(now) {
            // A read side that is shut looks like the end of the stream.
            Ok(true) if is_read_shut => {}
            Ok(false) => {}
            Ok(true) | Err(_) => return true,
        }
        // The client has received everything and is silent.
        self.is_shut && is_pending != Some(true) && now.saturating_duration_since(self.heard) >= LINGER
    }

    /// Discards what has arrived. Returns whether the stream is at its end.
    fn discard(&mut self, now: Instant) -> io::Result<bool> {
        let Some(mut socket) = self.session.socket() else { return Ok(true) };
        let mut buffer = vec![0; DISCARDED_AT_ONCE];
        let mut discarded = 0;
        while discarded < DISCARDED {
            match socket.read(&mut buffer) {
                Ok(0) => return Ok(true),
                Ok(count) => {
                    self.heard = now;
                    discarded += count;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        Ok(false)
    }

    /// Returns whether the next step depends on what the system tells.
    fn asks_system(&self, now: Instant) -> bool {
        !self.is_shut || now.saturating_duration_since(self.heard) >= LINGER
    }

    fn is_late(&self, now: Instant, patience: Option<Duration>) -> bool {
        patience.is_some_and(|patience| now.saturating_duration_since(self.since) >= patience)
    }

    /// Prepares the connection for a close whatever its client has received. Returns whether something is missing that
    /// was not counted before.
    fn cut(&mut self, now: Instant, outgoing: &Outgoing) -> bool {
        let is_undelivered = !self.unsent.is_empty() || !is_delivered(&self.session, outgoing);
        if !self.is_shut {
            self.session.shut(Shutdown::Write);
        }
        // Input that was not read would reset the connection.
        let _: io::Result<bool> = self.discard(now);
        is_undelivered && self.session.is_first_cut()
    }
}

/// Makes the close reset the connection.
fn reset(session: &Session) {
    if let Some(socket) = session.socket() {
        let _: io::Result<()> = SockRef::from(socket).set_linger(Some(Duration::ZERO));
    }
}

/// Returns whether a session's client has received everything that was sent to it, as far as the system tells.
pub(crate) fn is_delivered(session: &Session, outgoing: &Outgoing) -> bool {
    session.socket().is_none_or(|socket| outgoing.is_pending(socket) != Some(true))
}
