//! The live sessions of a server, and the totals of all that it ever had.

use std::collections::BTreeMap;
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::client::{Client, ListenAddress, Peer};
use crate::events::{CloseReason, RefuseReason, Stats};
use crate::net::outgoing::Outgoing;
use crate::session::{Session, nanos};

/// All sessions that are on a worker, and the totals of those that have ended.
#[derive(Debug)]
pub(crate) struct Registry {
    /// The times of this server are nanoseconds since then.
    epoch: Instant,
    max_outgoing: usize,
    sessions: Mutex<Sessions>,
    accepted: AtomicU64,
    refused: [AtomicU64; RefuseReason::COUNT],
    /// Connections from proxies whose headers are awaited.
    awaited: AtomicUsize,
    panicked: AtomicU64,
}

#[derive(Debug, Default)]
struct Sessions {
    /// By start and number: the oldest comes first.
    live: BTreeMap<(u64, u64), Arc<Session>>,
    /// The totals of the sessions that have ended.
    ended: Stats,
}

impl Registry {
    /// No sessions yet. Of what is pushed to a client, at most `max_outgoing` bytes wait.
    pub(crate) fn new(max_outgoing: usize) -> Self {
        Self {
            epoch: Instant::now(),
            max_outgoing,
            sessions: Mutex::default(),
            accepted: AtomicU64::default(),
            refused: Default::default(),
            awaited: AtomicUsize::default(),
            panicked: AtomicU64::default(),
        }
    }

    /// Counts and numbers an accepted connection.
    pub(crate) fn number(&self, peer: Peer) -> Client {
        Client::at(self.accepted.fetch_add(1, Relaxed) + 1, peer)
    }

    /// Makes a session that is not registered.
    pub(crate) fn session(&self, client: Client, listener: Arc<ListenAddress>, stream: TcpStream) -> Arc<Session> {
        Session::new(client, listener, stream, self.epoch, self.max_outgoing)
    }

    /// Returns how many connections were accepted.
    pub(crate) fn accepted(&self) -> u64 {
        self.accepted.load(Relaxed)
    }

    pub(crate) fn count_refused(&self, reason: RefuseReason) {
        self.refused[reason as usize].fetch_add(1, Relaxed);
    }

    /// Counts a connection whose header is awaited, for as long as the guard lives: it counts as waiting.
    pub(crate) fn await_header(&self) -> Awaited<'_> {
        self.awaited.fetch_add(1, Relaxed);
        Awaited(&self.awaited)
    }

    pub(crate) fn count_panicked(&self) {
        self.panicked.fetch_add(1, Relaxed);
    }

    /// Begins the session of a client that has waited for so long. It is registered until [`Registered::end`].
    pub(crate) fn register(&self, session: Arc<Session>, waited: Duration) -> Registered<'_> {
        let client = session.client();
        let mut sessions = self.lock();
        sessions.ended.queue_wait.add(waited);
        let start = self.now();
        sessions.live.insert((start, client.id), Arc::clone(&session));
        // A worker that dies without a reason has panicked.
        Registered { registry: self, session, start, reason: CloseReason::Panicked }
    }

    /// Ends up to `most` sessions whose clients have been idle for longer than `limit`, the longest idle ones first.
    /// Returns how many, and the earliest time at which another one can be due.
    pub(crate) fn end_idle(&self, limit: Duration, reason: CloseReason, most: usize) -> (usize, Instant) {
        let sessions = self.lock();
        let now = self.now();
        let mut earliest = now;
        let mut due = Vec::new();
        for session in sessions.live.values().filter(|session| session.state.reason().is_none()) {
            let since = session.state.idle_since(now);
            if now - since >= nanos(limit) {
                due.push((since, session));
            } else {
                earliest = earliest.min(since);
            }
        }
        due.sort_unstable_by_key(|(since, _)| *since);
        let mut ended = 0;
        for (since, session) in due {
            if ended == most {
                earliest = earliest.min(since);
                break;
            }
            // A session whose message has arrived is not idle, even if its worker does not run yet.
            ended += usize::from(session.end_if_idle(reason));
        }
        (ended, self.epoch + Duration::from_nanos(earliest) + limit)
    }

    /// Asks all sessions that are older than `limit` to end. Returns the time at which the next one will be that old.
    pub(crate) fn end_expired(&self, limit: Duration) -> Instant {
        let sessions = self.lock();
        let old = self.now().saturating_sub(nanos(limit));
        for (_, session) in sessions.live.range(..=(old, u64::MAX)) {
            session.end(CloseReason::Expired);
        }
        let next = sessions.live.range((old + 1, 0)..).next().map_or(self.now(), |((start, _), _)| *start);
        self.epoch + Duration::from_nanos(next) + limit
    }

    /// Returns the time of this server.
    fn now(&self) -> u64 {
        nanos(self.epoch.elapsed())
    }

    /// Returns the clients with a session, the oldest session first.
    pub(crate) fn clients(&self) -> Vec<Client> {
        self.lock().live.values().map(|session| session.client()).collect()
    }

    /// Returns what can be seen of the live sessions, the oldest first.
    pub(crate) fn sessions(&self) -> Vec<SessionInfo> {
        // What takes time happens without the lock.
        let live: Vec<(u64, Arc<Session>)> =
            self.lock().live.iter().map(|((start, _), session)| (*start, Arc::clone(session))).collect();
        let now = self.now();
        let since = |time: u64| Duration::from_nanos(now.saturating_sub(time));
        let info = |(start, session): (u64, Arc<Session>)| {
            let totals = session.counters.totals();
            SessionInfo {
                client: session.client(),
                listener: Arc::clone(session.listener()),
                age: since(start),
                silence: since(session.state.idle_since(now)),
                messages: totals.messages,
                bytes_in: totals.bytes_in,
                bytes_out: totals.bytes_out,
                faults: session.faults(),
            }
        };
        live.into_iter().map(info).collect()
    }

    /// Asks the session of one client to end. Returns whether there is one.
    pub(crate) fn disconnect(&self, id: u64) -> bool {
        // Under the lock, because the read side of a connection that lingers already must stay open.
        let sessions = self.lock();
        let session = sessions.live.values().find(|session| session.client().id == id);
        session.inspect(|session| session.end(CloseReason::Disconnected)).is_some()
    }

    /// Prepares all sessions for their last replies. Returns how many there are.
    pub(crate) fn begin_drain(&self) -> usize {
        let sessions = self.lock();
        sessions.live.values().for_each(|session| session.shrink_send_buffer());
        sessions.live.len()
    }

    /// Sends the end of the stream to the clients that are owed nothing. When they close, their sessions end.
    pub(crate) fn half_close_idle(&self) {
        for session in self.lock().live.values() {
            session.half_close_if_idle();
        }
    }

    /// Ends the sessions whose client was told the end, has received everything and does not close. `outgoing` was read
    /// after the clients were told.
    pub(crate) fn end_half_closed(&self, outgoing: &Outgoing) {
        let sessions = self.lock();
        for session in sessions.live.values().filter(|session| session.state.is_ended()) {
            if session.is_delivered(outgoing) {
                session.shut(Shutdown::Read);
            }
        }
    }

    /// Ends all sessions. Returns how many have clients that may not have received everything. `outgoing` was read after
    /// the idle sessions were ended.
    pub(crate) fn cut(&self, outgoing: &Outgoing) -> usize {
        self.lock().live.values().filter(|session| session.cut(outgoing)).count()
    }

    /// Returns what the registry knows of the server's totals.
    pub(crate) fn stats(&self) -> Stats {
        let sessions = self.lock();
        let refused_by = self.refused.each_ref().map(|count| count.load(Relaxed));
        let mut stats = Stats {
            accepted: self.accepted(),
            refused: refused_by.iter().sum(),
            refused_by,
            waiting: self.awaited.load(Relaxed),
            panicked: self.panicked.load(Relaxed),
            live: sessions.live.len(),
            ..sessions.ended
        };
        sessions.live.values().for_each(|session| session.add_to(&mut stats));
        stats
    }

    /// The lock is never held while anything can panic, so a poisoned one is as good as any.
    fn lock(&self) -> MutexGuard<'_, Sessions> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A live session at one moment.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SessionInfo {
    /// The client.
    pub client: Client,
    /// Where it connected to.
    pub listener: Arc<ListenAddress>,
    /// Since the session began on a worker.
    pub age: Duration,
    /// Since the server began to wait for the client; zero while it answers.
    pub silence: Duration,
    /// Messages handed to the handler.
    pub messages: u64,
    /// Bytes received.
    pub bytes_in: u64,
    /// Bytes sent.
    pub bytes_out: u64,
    /// Faults on purpose: the sum of those that [`Stats::faults_by_kind`] counts.
    pub faults: u64,
}

/// A connection whose header is awaited, counted until the guard is dropped.
pub(crate) struct Awaited<'a>(&'a AtomicUsize);

impl Drop for Awaited<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

/// A session's entry in the registry, taken out on drop.
pub(crate) struct Registered<'a> {
    registry: &'a Registry,
    session: Arc<Session>,
    start: u64,
    /// Why the session ends, once that is known.
    reason: CloseReason,
}

impl Registered<'_> {
    pub(crate) fn session(&self) -> &Arc<Session> {
        &self.session
    }

    /// Ends the session.
    pub(crate) fn end(mut self, reason: CloseReason) {
        self.reason = reason;
    }

    /// Returns how long ago the session began.
    pub(crate) fn age(&self) -> Duration {
        self.session.state.since(self.start)
    }
}

impl Drop for Registered<'_> {
    fn drop(&mut self) {
        self.session.finish(self.reason);
        let is_silent = self.session.counters.totals().bytes_in == 0;
        let mut sessions = self.registry.lock();
        sessions.live.remove(&(self.start, self.session.client().id));
        sessions.ended.finished += 1;
        sessions.ended.finished_by[self.reason.index()] += 1;
        sessions.ended.silent += u64::from(is_silent);
        self.session.add_to(&mut sessions.ended);
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{SocketAddr, TcpListener};
    use std::thread;

    use super::*;

    const LIMIT: Duration = Duration::from_millis(1);

    fn connect(listener: &TcpListener) -> (TcpStream, TcpStream, SocketAddr) {
        let client = TcpStream::connect(listener.local_addr().expect("it is bound")).expect("it listens");
        let (stream, peer) = listener.accept().expect("a client came");
        (client, stream, peer)
    }

    fn register(registry: &Registry, peer: SocketAddr, stream: TcpStream) -> Registered<'_> {
        let client = registry.number(peer.into());
        registry.register(registry.session(client, Arc::new(ListenAddress::Tcp(peer)), stream), Duration::ZERO)
    }

    #[test]
    fn a_client_whose_message_waits_for_its_worker_is_not_idle() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback exists");
        let (mut client, stream, peer) = connect(&listener);
        let registry = Registry::new(0);
        let registered = register(&registry, peer, stream);
        let session = registered.session();
        session.state.begin_wait().expect("no reason was given");
        let mut socket = session.socket().expect("it has one");
        client.write_all(b"x").expect("it is sent");
        assert_eq!(socket.peek(&mut [0]).expect("it arrives"), 1);
        thread::sleep(2 * LIMIT);
        if cfg!(target_os = "linux") {
            assert_eq!(registry.end_idle(LIMIT, CloseReason::IdleTimeout, 1).0, 0);
            assert_eq!(session.state.reason(), None);
        }
        assert_eq!(socket.read(&mut [0]).expect("it is there"), 1);
        thread::sleep(2 * LIMIT);
        assert_eq!(registry.end_idle(LIMIT, CloseReason::IdleTimeout, 1).0, 1);
        assert_eq!(session.state.reason(), Some(CloseReason::IdleTimeout));
    }

    #[test]
    fn the_longest_idle_sessions_are_ended_and_no_more_than_asked() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback exists");
        let registry = Registry::new(0);
        let mut clients = Vec::new();
        let sessions: Vec<_> = (0..4)
            .map(|_| {
                let (client, stream, peer) = connect(&listener);
                clients.push(client);
                register(&registry, peer, stream)
            })
            .collect();
        // The last one is busy, and the others began to wait in reverse order.
        for registered in sessions[..3].iter().rev() {
            registered.session().state.begin_wait().expect("no reason was given");
            thread::sleep(2 * LIMIT);
        }
        let reasons = || sessions.iter().map(|one| one.session().state.reason()).collect::<Vec<_>>();
        let (ended, next) = registry.end_idle(LIMIT, CloseReason::Yielded, 2);
        let yielded = Some(CloseReason::Yielded);
        assert_eq!((ended, reasons()), (2, vec![None, yielded, yielded, None]));
        assert!(next <= Instant::now(), "another one is due");
        let (ended, next) = registry.end_idle(LIMIT, CloseReason::Yielded, 2);
        assert_eq!((ended, reasons()), (1, vec![yielded, yielded, yielded, None]));
        assert!(next > Instant::now() - LIMIT, "only a busy one is left");
    }
}
