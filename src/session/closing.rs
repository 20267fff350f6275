//! How the connections of ended sessions are closed so that everything that was sent arrives.
//!
//! Closing a socket that holds unread bytes resets the connection, and so does input that arrives after the close. A
//! reset destroys the replies that the client has not received yet. So a connection lingers: its write side is shut,
//! and what the client still sends is discarded until it closes too. One thread does that for all connections at once,
//! so that neither a worker nor an acceptor ever waits for a client whose session has ended.

use std::cmp::Reverse;
use std::collections::{HashMap, VecDeque};
use std::io;
use std::mem;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use socket2::SockRef;

use super::Session;
use super::leaving::Leaving;
use crate::config::LINGERING;
use crate::events::Closing;
use crate::net::outgoing::Outgoing;

/// How long the thread rests between two looks at the connections: as short as at first while some close, longer while
/// none does.
const SHORTEST_REST: Duration = Duration::from_millis(1);
const LONGEST_REST: Duration = Duration::from_millis(16);

/// With so many connections the thread finds out early which of them have received everything, because those make room
/// for others.
const CROWD: usize = LINGERING / 2;

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
    lingering: VecDeque<Leaving>,
    /// The lingering thread has taken one out to look at it.
    is_looking: bool,
    /// The server stops: any number of connections may linger, and what is missing is counted.
    is_draining: bool,
    /// Set when the server's drain is over: nothing lingers any more.
    is_over: bool,
    /// Connections that were closed during the stop although their clients may not have received everything.
    undelivered: usize,
}

impl Linger {
    /// No connection lingers. A client may take `patience` for what was sent to it.
    pub(crate) fn new(patience: Option<Duration>) -> Self {
        Self { state: Mutex::default(), changed: Condvar::new(), patience }
    }

    /// Closes a session's connection as its reason for ending requires. Never blocks.
    pub(crate) fn close(&self, session: Arc<Session>, closing: Closing) {
        let is_draining = self.lock().is_draining;
        match closing {
            Closing::AtOnce if !is_draining => {}
            Closing::Reset => {
                reset(&session);
                self.lock().undelivered += usize::from(is_draining && session.is_first_cut());
            }
            Closing::ResetOnPurpose => reset(&session),
            Closing::AtOnce | Closing::Lingering => self.linger(session, false, is_draining),
        }
    }

    /// Refuses a client with one line. Never blocks.
    pub(crate) fn refuse(&self, session: Arc<Session>, line: &str) {
        session.counters.add_out(line.len());
        session.keep_unsent(line.as_bytes());
        self.linger(session, true, false);
    }

    fn linger(&self, session: Arc<Session>, is_refused: bool, is_draining: bool) {
        let is_blocking = session.socket().is_none_or(|socket| socket.set_nonblocking(true).is_err());
        let now = Instant::now();
        let mut leaving = Leaving::new(session, is_refused, now);
        // Most clients have closed already or are about to, and most connections have nothing left to send. What the
        // system knows is asked by the lingering thread only, because that takes long.
        if is_blocking || leaving.advance(now, &Outgoing::default(), is_draining) {
            return;
        }
        let mut state = self.lock();
        let mut closed = None;
        if state.is_over {
            // Its session was stuck in its handler, and counted as cut off.
            closed = Some(leaving);
        } else {
            state.lingering.push_back(leaving);
            // The connections of a stop were those of workers a moment ago, so they take no more descriptors.
            if !state.is_draining && state.lingering.len() + usize::from(state.is_looking) > LINGERING {
                closed = first_to_go(&state.lingering).and_then(|index| state.lingering.remove(index));
            }
        }
        drop(state);
        self.changed.notify_all();
        if let Some(mut closed) = closed {
            closed.cut(now, &Outgoing::default());
        }
    }

    /// Runs the lingering thread, until [`finish`](Self::finish).
    pub(crate) fn run(&self) {
        let mut outgoing = Outgoing::default();
        let mut rest = SHORTEST_REST;
        // How many were left by the last look.
        let mut left = 0;
        // Time in which this process did not run is not the clients'.
        let mut lost = Duration::ZERO;
        loop {
            let now = {
                let is_idle = |state: &mut State| state.lingering.is_empty() && !state.is_over;
                let waited = self.changed.wait_while(self.lock(), is_idle);
                let mut state = waited.unwrap_or_else(PoisonError::into_inner);
                state.lingering.iter_mut().for_each(|leaving| leaving.excuse(lost));
                lost = Duration::ZERO;
                if state.is_over {
                    break;
                }
                let now = Instant::now();
                let is_crowded = state.lingering.len() >= CROWD;
                let asks_system = is_crowded || state.lingering.iter().any(|leaving| leaving.asks_system(now));
                rest = if state.lingering.len() > left { SHORTEST_REST } else { rest };
                left = state.lingering.len();
                drop(state);
                if asks_system {
                    outgoing.refresh();
                }
                now
            };
            let stay = (0..left).filter(|_| self.look_at_next(now, &outgoing)).count();
            rest = if stay < left { SHORTEST_REST } else { (rest * 2).min(LONGEST_REST) };
            left = stay;
            let state = self.lock();
            if !state.lingering.is_empty() {
                let began = Instant::now();
                let is_running = |state: &mut State| !state.is_over;
                drop(self.changed.wait_timeout_while(state, rest, is_running));
                lost = began.elapsed().saturating_sub(8 * LONGEST_REST);
            }
        }
        let rest = mem::take(&mut self.lock().lingering);
        outgoing.read();
        let now = Instant::now();
        let undelivered: usize = rest.into_iter().map(|mut leaving| usize::from(leaving.cut(now, &outgoing))).sum();
        self.lock().undelivered += undelivered;
    }

    /// Looks at the connection that was looked at longest ago. Returns whether it still lingers.
    ///
    /// The others stay in the queue meanwhile, so that each can make room for one that comes.
    fn look_at_next(&self, now: Instant, outgoing: &Outgoing) -> bool {
        let mut state = self.lock();
        let is_draining = state.is_draining;
        let Some(mut leaving) = state.lingering.pop_front() else { return false };
        state.is_looking = true;
        drop(state);
        let is_done = leaving.advance(now, outgoing, is_draining);
        let is_late = !is_done && leaving.is_late(now, self.patience);
        let is_undelivered = is_late && leaving.cut(now, outgoing);
        let staying = (!is_done && !is_late).then_some(leaving);
        let stays = staying.is_some();
        let mut state = self.lock();
        state.is_looking = false;
        state.undelivered += usize::from(is_draining && is_undelivered);
        state.lingering.extend(staying);
        if state.lingering.is_empty() {
            self.changed.notify_all();
        }
        stays
    }

    /// Begins a stop. From now on any number of connections may linger, and those that are closed although their clients
    /// may not have received everything are counted.
    pub(crate) fn begin_drain(&self) {
        self.lock().is_draining = true;
    }

    /// Waits until no connection lingers. Returns `false` on timeout.
    pub(crate) fn wait_empty(&self, limit: Duration) -> bool {
        let lingers = |state: &mut State| !state.lingering.is_empty() || state.is_looking;
        let (mut state, _) =
            self.changed.wait_timeout_while(self.lock(), limit, lingers).unwrap_or_else(PoisonError::into_inner);
        !lingers(&mut state)
    }

    /// Ends the lingering, and with it the thread: what lingers is closed.
    pub(crate) fn finish(&self) {
        self.lock().is_over = true;
        self.changed.notify_all();
    }

    /// Returns how many connections were closed during the stop although their clients may not have received everything.
    pub(crate) fn undelivered(&self) -> usize {
        self.lock().undelivered
    }

    /// The lock is never held while anything can panic, so a poisoned one is as good as any.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns which connection makes room for another. A refused client loses one line at most, and one that has received
/// everything loses nothing. Then it is one of the peer that has most, so that a peer which keeps many connections open
/// costs others nothing.
fn first_to_go(lingering: &VecDeque<Leaving>) -> Option<usize> {
    let mut counts = HashMap::new();
    for leaving in lingering {
        *counts.entry(leaving.peer()).or_insert(0) += 1;
    }
    let rank = |leaving: &Leaving| {
        (!leaving.is_refused, !leaving.is_delivered, Reverse(counts[&leaving.peer()]), leaving.since)
    };
    (0..lingering.len()).min_by_key(|index| rank(&lingering[*index]))
}

/// Makes the close reset the connection.
fn reset(session: &Session) {
    if let Some(socket) = session.socket() {
        let _: io::Result<()> = SockRef::from(socket).set_linger(Some(Duration::ZERO));
    }
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;
    use crate::client::{Client, ListenAddress};

    #[test]
    fn a_worker_that_closes_a_connection_does_not_read_the_table_of_the_system() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback exists");
        let linger = Linger::new(None);
        let close_one = || {
            let client = TcpStream::connect(listener.local_addr().expect("it is bound")).expect("it listens");
            let (stream, peer) = listener.accept().expect("a client came");
            let session =
                Session::new(Client::new(1, peer), Arc::new(ListenAddress::Tcp(peer)), stream, Instant::now(), 0);
            linger.close(session, Closing::Lingering);
            client
        };
        let _lingers = close_one();
        linger.begin_drain();
        let _lingers_in_the_drain = close_one();
        linger.finish();
        let _late = close_one();
        assert_eq!(crate::net::outgoing::readings(), 0);
        linger.run();
        assert_eq!(crate::net::outgoing::readings(), 1, "one for all");
        assert_eq!(linger.undelivered(), 0, "nothing was sent to them");
    }
}
