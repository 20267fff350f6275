//! The sessions: who is connected, and the counts over all that ever were.

use std::collections::HashMap;
use std::io;
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use socket2::SockRef;

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
}

impl Session {
    /// Ends the session's reading: it answers what has arrived and finds the end of the stream after it.
    pub(crate) fn half_close(&self) {
        // With megabytes of send buffer, replies to a client that reads nothing would count as sent, and
        // would be lost with the process. With a small one a write waits until what was sent before it has
        // arrived.
        let _: io::Result<()> = SockRef::from(&self.stream).set_send_buffer_size(DRAIN_SEND_BUFFER);
        self.shut(Shutdown::Read);
    }

    /// Closes one or both directions. A connection that the peer has reset cannot be shut down, and need
    /// not be.
    pub(crate) fn shut(&self, how: Shutdown) {
        let _: io::Result<()> = self.stream.shutdown(how);
    }
}

/// All sessions that are on a worker, and the totals of those that were.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    sessions: Mutex<Sessions>,
    accepted: AtomicU64,
    refused: AtomicU64,
    panicked: AtomicU64,
}

#[derive(Debug, Default)]
struct Sessions {
    live: HashMap<u64, Arc<Session>>,
    finished: u64,
    finished_totals: Totals,
}

impl Registry {
    /// Numbers and counts an accepted connection.
    pub(crate) fn arrival(&self, stream: TcpStream, peer: SocketAddr) -> Arc<Session> {
        let id = self.accepted.fetch_add(1, Relaxed) + 1;
        let peer = SocketAddr::new(peer.ip().to_canonical(), peer.port());
        Arc::new(Session { client: Client { id, peer }, stream, counters: SessionCounters::default() })
    }

    pub(crate) fn count_refused(&self) {
        self.refused.fetch_add(1, Relaxed);
    }

    pub(crate) fn count_panicked(&self) {
        self.panicked.fetch_add(1, Relaxed);
    }

    /// Registers a session for as long as the guard lives.
    pub(crate) fn register<'a>(&'a self, session: &'a Arc<Session>) -> Registered<'a> {
        self.lock().live.insert(session.client.id, Arc::clone(session));
        Registered { registry: self, session }
    }

    /// Half-closes all live sessions; how many there are.
    pub(crate) fn half_close_all(&self) -> usize {
        self.for_all(Session::half_close)
    }

    /// Closes all live sessions; how many there are.
    pub(crate) fn cut_all(&self) -> usize {
        self.for_all(|session| session.shut(Shutdown::Both))
    }

    fn for_all(&self, act: impl Fn(&Session)) -> usize {
        let sessions = self.lock();
        sessions.live.values().for_each(|session| act(session));
        sessions.live.len()
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

/// A session's entry in the registry, taken out on drop.
pub(crate) struct Registered<'a> {
    registry: &'a Registry,
    session: &'a Session,
}

impl Drop for Registered<'_> {
    fn drop(&mut self) {
        let mut sessions = self.registry.lock();
        sessions.live.remove(&self.session.client.id);
        sessions.finished += 1;
        sessions.finished_totals += self.session.counters.totals();
    }
}
