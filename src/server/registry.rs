//! The sessions: who is connected, and the counts over all that ever were.

use std::collections::BTreeMap;
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::events::Totals;
use crate::session::{Order, Session, nanos};
use crate::{Client, Stats};

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
    /// Counts and numbers an accepted connection.
    pub(crate) fn number(&self, peer: SocketAddr) -> Client {
        let id = self.accepted.fetch_add(1, Relaxed) + 1;
        Client { id, peer: SocketAddr::new(peer.ip().to_canonical(), peer.port()) }
    }

    /// A session of this server's times.
    pub(crate) fn session(&self, client: Client, stream: TcpStream) -> Arc<Session> {
        Arc::new(Session::new(client, stream, self.epoch))
    }

    pub(crate) fn count_refused(&self) {
        self.refused.fetch_add(1, Relaxed);
    }

    pub(crate) fn count_panicked(&self) {
        self.panicked.fetch_add(1, Relaxed);
    }

    /// Begins a session, which is registered for as long as the guard lives.
    pub(crate) fn register(&self, client: Client, stream: TcpStream) -> Registered<'_> {
        let session = self.session(client, stream);
        let mut sessions = self.lock();
        let start = self.now();
        sessions.live.insert((start, client.id), Arc::clone(&session));
        sessions.note_silence(&session, start);
        Registered { registry: self, session, start }
    }

    /// Asks the session that has been silent longest to end, if it has been for longer than `limit`.
    pub(crate) fn order_silent(&self, limit: Duration, order: Order) -> Candidate {
        let mut sessions = self.lock();
        let now = self.now();
        while let Some(((noted, _), session)) = sessions.silent.pop_first() {
            let mut since = session.pulse.silent_since(now);
            if now - since >= nanos(limit) && session.has_unread() {
                // It has spoken, and its worker has not come to run yet.
                since = now;
            }
            if since > noted {
                sessions.note_silence(&session, since);
            } else if now - since < nanos(limit) {
                sessions.note_silence(&session, since);
                return Candidate::NotBefore(self.epoch + Duration::from_nanos(since) + limit);
            } else {
                session.end(order);
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
        sessions.live.values().for_each(|session| session.shrink_send_buffer());
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
            let busy = session.is_owing();
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
    session: Arc<Session>,
    start: u64,
}

impl Registered<'_> {
    pub(crate) fn session(&self) -> &Arc<Session> {
        &self.session
    }

    /// How long ago the session began.
    pub(crate) fn age(&self) -> Duration {
        self.session.pulse.since(self.start)
    }
}

impl Drop for Registered<'_> {
    fn drop(&mut self) {
        let totals = self.session.counters.totals();
        let mut sessions = self.registry.lock();
        sessions.live.remove(&(self.start, self.session.client.id));
        sessions.forget_silence(&self.session);
        sessions.finished += 1;
        sessions.finished_silent += u64::from(totals.bytes_in == 0);
        sessions.finished_totals += totals;
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    #[test]
    fn a_client_whose_message_waits_for_its_worker_is_not_silent() {
        const LIMIT: Duration = Duration::from_millis(1);
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback exists");
        let mut client = TcpStream::connect(listener.local_addr().expect("it is bound")).expect("it listens");
        let (stream, peer) = listener.accept().expect("a client came");
        let registry = Registry::default();
        let registered = registry.register(registry.number(peer), stream);
        let session = registered.session();
        session.pulse.wait();
        client.write_all(b"x").expect("it is sent");
        assert_eq!(session.stream.peek(&mut [0]).expect("it arrives"), 1);
        thread::sleep(2 * LIMIT);
        if cfg!(target_os = "linux") {
            assert!(matches!(registry.order_silent(LIMIT, Order::Idle), Candidate::NotBefore(_)));
            assert_eq!(session.pulse.order(), None);
        }
        assert_eq!((&session.stream).read(&mut [0]).expect("it is there"), 1);
        thread::sleep(2 * LIMIT);
        assert_eq!(registry.order_silent(LIMIT, Order::Idle), Candidate::Ordered);
        assert_eq!(session.pulse.order(), Some(crate::CloseReason::IdleTimeout));
    }
}
