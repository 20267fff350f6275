//! The sessions: who is connected, and the counts over all that ever were.

use std::collections::BTreeMap;
use std::io;
use std::mem::MaybeUninit;
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use socket2::SockRef;

use super::pulse::{Order, Pulse, nanos};
use crate::events::{SessionCounters, Totals};
use crate::{Client, Stats};

/// The send buffer of a session that is being ended, in bytes.
const DRAIN_SEND_BUFFER: usize = 32 * 1024;

/// A connection from its accept to its close: the client, its socket, its counters.
///
/// Everyone shares this one value, and so the one descriptor.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) client: Client,
    pub(crate) stream: TcpStream,
    pub(crate) counters: SessionCounters,
    pub(crate) pulse: Pulse,
    /// Its silence in [`Sessions::silent`]. Used under the registry's lock only.
    noted_silence: AtomicU64,
}

impl Session {
    /// Tells the client the end, if the worker waits for it and nothing has arrived.
    fn finish(&self) {
        // A worker that waits although something is there has not come to run yet.
        if !self.has_unread() {
            self.pulse.finish(|| self.shut(Shutdown::Write));
        }
    }

    /// Whether something has arrived that was not read, as far as the system tells without waiting.
    fn has_unread(&self) -> bool {
        const MSG_PEEK: i32 = 0x2;
        const MSG_DONTWAIT: i32 = 0x40;
        // The numbers are Linux's.
        cfg!(target_os = "linux")
            && SockRef::from(&self.stream)
                .recv_with_flags(&mut [MaybeUninit::uninit()], MSG_PEEK | MSG_DONTWAIT)
                .is_ok_and(|count| count > 0)
    }

    /// Prepares the session for its last replies.
    ///
    /// With megabytes of send buffer, replies to a client that is slow to read would count as sent, and could
    /// be lost with the connection. With a small one a write waits until what was sent before it has arrived.
    fn begin_drain(&self) {
        let _: io::Result<()> = SockRef::from(&self.stream).set_send_buffer_size(DRAIN_SEND_BUFFER);
    }

    /// Reads only what has arrived from now on: a read that finds nothing ends. Returns how many bytes that
    /// can be.
    pub(crate) fn read_what_has_arrived(&self) -> usize {
        // The shortest timeout there is; zero means none. The read side is not shut, because then data that
        // arrives late would reset the connection and destroy replies on their way.
        let _: io::Result<()> = self.stream.set_read_timeout(Some(Duration::from_millis(1)));
        SockRef::from(&self.stream).recv_buffer_size().unwrap_or(usize::MAX)
    }

    /// Writes only what fits the send buffer from now on: a write that does not fit ends.
    pub(crate) fn write_what_fits(&self) {
        let _: io::Result<()> = self.stream.set_write_timeout(Some(Duration::from_millis(1)));
    }

    /// Asks the session to end: after its current message, or now if it waits for the client.
    fn end(&self, order: Order) {
        self.pulse.give(order);
        self.shut(Shutdown::Read);
    }

    /// Closes one or both directions. A connection that the peer has reset cannot be shut down, and need
    /// not be.
    pub(crate) fn shut(&self, how: Shutdown) {
        let _: io::Result<()> = self.stream.shutdown(how);
    }
}

/// All sessions that are on a worker, and the totals of those that were.
#[derive(Debug)]
pub(crate) struct Registry {
    /// Where the times of this server begin; they are nanoseconds since.
    epoch: Instant,
    sessions: Mutex<Sessions>,
    accepted: AtomicU64,
    refused: AtomicU64,
    panicked: AtomicU64,
}

#[derive(Debug, Default)]
struct Sessions {
    /// By start and number: the oldest comes first.
    live: BTreeMap<(u64, u64), Arc<Session>>,
    /// By silence and number, as it was when last looked at, without those that were asked to end. Whoever
    /// has spoken since stands too far in front, and is moved back when it is its turn: that way no message
    /// has to be noted here, and finding the longest silent moves each session at most once for all it said.
    silent: BTreeMap<(u64, u64), Arc<Session>>,
    finished: u64,
    finished_silent: u64,
    finished_totals: Totals,
}

/// Whether there was a session to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Candidate {
    /// It was asked to.
    Ordered,
    /// There is none before this time.
    NotBefore(Instant),
}

impl Default for Registry {
    fn default() -> Self {
        Self {
            epoch: Instant::now(),
            sessions: Mutex::default(),
            accepted: AtomicU64::default(),
            refused: AtomicU64::default(),
            panicked: AtomicU64::default(),
        }
    }
}

impl Registry {
    /// Numbers and counts an accepted connection.
    pub(crate) fn arrival(&self, stream: TcpStream, peer: SocketAddr) -> Arc<Session> {
        let id = self.accepted.fetch_add(1, Relaxed) + 1;
        let peer = SocketAddr::new(peer.ip().to_canonical(), peer.port());
        Arc::new(Session {
            client: Client { id, peer },
            stream,
            counters: SessionCounters::default(),
            pulse: Pulse::new(self.epoch),
            noted_silence: AtomicU64::new(0),
        })
    }

    pub(crate) fn count_refused(&self) {
        self.refused.fetch_add(1, Relaxed);
    }

    pub(crate) fn count_panicked(&self) {
        self.panicked.fetch_add(1, Relaxed);
    }

    /// Registers a session for as long as the guard lives.
    pub(crate) fn register<'a>(&'a self, session: &'a Arc<Session>) -> Registered<'a> {
        let mut sessions = self.lock();
        let start = self.now();
        sessions.live.insert((start, session.client.id), Arc::clone(session));
        sessions.note_silence(session, start);
        Registered { registry: self, session, start }
    }

    /// Asks the session that has been silent longest to end, if it has been for longer than `limit`.
    pub(crate) fn order_yield(&self, limit: Duration) -> Candidate {
        let mut sessions = self.lock();
        let now = self.now();
        while let Some(((noted, _), session)) = sessions.silent.pop_first() {
            let since = session.pulse.silent_since(now);
            if since > noted {
                sessions.note_silence(&session, since);
            } else if now - since < nanos(limit) {
                sessions.note_silence(&session, since);
                return Candidate::NotBefore(self.epoch + Duration::from_nanos(since) + limit);
            } else {
                session.end(Order::Yield);
                return Candidate::Ordered;
            }
        }
        Candidate::NotBefore(Instant::now() + limit)
    }

    /// Asks all sessions that are older than `limit` to end; when the next one will be.
    pub(crate) fn order_expired(&self, limit: Duration) -> Instant {
        let mut sessions = self.lock();
        let old = self.now().saturating_sub(nanos(limit));
        let expired: Vec<Arc<Session>> = sessions
            .live
            .range(..=(old, u64::MAX))
            .map(|(_, session)| Arc::clone(session))
            .filter(|session| session.pulse.order().is_none())
            .collect();
        for session in expired {
            sessions.forget_silence(&session);
            session.end(Order::Expire);
        }
        let next = sessions.live.range((old + 1, 0)..).next().map_or(self.now(), |((start, _), _)| *start);
        self.epoch + Duration::from_nanos(next) + limit
    }

    /// The time of this server.
    fn now(&self) -> u64 {
        nanos(self.epoch.elapsed())
    }

    /// Prepares all live sessions for their last replies; how many there are.
    pub(crate) fn begin_drain(&self) -> usize {
        let sessions = self.lock();
        sessions.live.values().for_each(|session| session.begin_drain());
        sessions.live.len()
    }

    /// Tells the end to clients that have nothing to be answered: they close, and their sessions end.
    pub(crate) fn finish_silent(&self) {
        self.lock().live.values().for_each(|session| session.finish());
    }

    /// Ends the sessions whose client was told the end and does not close.
    pub(crate) fn end_finished(&self) {
        for session in self.lock().live.values().filter(|session| session.pulse.is_finished()) {
            session.shut(Shutdown::Read);
        }
    }

    /// Ends all: those with nothing to answer, and those that are still busy, which are counted.
    pub(crate) fn cut(&self) -> usize {
        let sessions = self.lock();
        let is_busy = |session: &&Arc<Session>| {
            session.finish();
            let busy = !session.pulse.is_finished();
            session.shut(if busy { Shutdown::Both } else { Shutdown::Read });
            busy
        };
        sessions.live.values().filter(is_busy).count()
    }

    /// What the registry knows of the server's totals.
    pub(crate) fn stats(&self) -> Stats {
        let sessions = self.lock();
        let mut totals = sessions.finished_totals;
        for session in sessions.live.values() {
            totals += session.counters.totals();
        }
        Stats {
            accepted: self.accepted.load(Relaxed),
            refused: self.refused.load(Relaxed),
            panicked: self.panicked.load(Relaxed),
            live: sessions.live.len(),
            finished: sessions.finished,
            silent: sessions.finished_silent,
            messages: totals.messages,
            bytes_in: totals.bytes_in,
            bytes_out: totals.bytes_out,
            ..Stats::default()
        }
    }

    /// The lock is never held while anything can panic, so a poisoned one is as good as any.
    fn lock(&self) -> MutexGuard<'_, Sessions> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sessions {
    fn note_silence(&mut self, session: &Arc<Session>, since: u64) {
        session.noted_silence.store(since, Relaxed);
        self.silent.insert((since, session.client.id), Arc::clone(session));
    }

    fn forget_silence(&mut self, session: &Session) {
        self.silent.remove(&(session.noted_silence.load(Relaxed), session.client.id));
    }
}

/// A session's entry in the registry, taken out on drop.
pub(crate) struct Registered<'a> {
    registry: &'a Registry,
    session: &'a Session,
    start: u64,
}

impl Drop for Registered<'_> {
    fn drop(&mut self) {
        let totals = self.session.counters.totals();
        let mut sessions = self.registry.lock();
        sessions.live.remove(&(self.start, self.session.client.id));
        sessions.forget_silence(self.session);
        sessions.finished += 1;
        sessions.finished_silent += u64::from(totals.bytes_in == 0);
        sessions.finished_totals += totals;
    }
}
