//! One client's session on its worker: its conversation, what others push to it, and how it is closed.
//!
//! [`Session`] is what all threads share about it. [`ClientThread`] is the loop that its worker runs.

mod client_thread;
mod replies;
mod read_buffer;
mod state;
mod ending;
mod transport;
mod busy_poll;
mod handle;
mod waiter;
mod outbox;
mod writer;
mod closing;
mod leaving;
mod slots;

use std::io;
use std::mem;
use std::net::TcpStream;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::time::{Duration, Instant};

use socket2::SockRef;

use crate::client::{Client, ListenAddress};
use crate::events::{FaultCounters, SessionCounters, Stats};

pub(crate) use busy_poll::{BusyPoll, PolledStream};
pub use client_thread::ClientThread;
pub(crate) use closing::Linger;
pub use handle::{ClientHandle, PushError};
pub(crate) use leaving::LINGER;
pub(crate) use outbox::Outbox;
pub(crate) use slots::Slots;
use state::State;
pub(crate) use state::nanos;
pub(crate) use transport::SocketStream;
use waiter::Waits;
pub use waiter::{SessionEnded, Waiter};
pub(crate) use writer::{run_with_writer, spare_threads};

/// The send buffer of a session that is being ended or pushed to, in bytes.
///
/// It holds more than one full segment of the loopback device, which is 64 KiB. From a smaller buffer the receiver gets
/// less than a segment, delays its acknowledgement by 40 ms, and the sender waits that long.
const SMALL_SEND_BUFFER: usize = 64 * 1024;

/// How long a client that has sent much may be idle before the memory for it is released.
const SILENCE: Duration = Duration::from_secs(1);

/// A client's session, from its start on a worker to the close of its connection. The factory of handlers gets it.
///
/// All threads share this one value, and so the one descriptor of the connection.
///
/// The fields that each message touches come first, within 64 bytes.
#[derive(Debug)]
#[repr(C)]
pub struct Session {
    pub(crate) counters: SessionCounters,
    pub(crate) state: State,
    /// `None` if a test made the session.
    socket: Option<TcpStream>,
    client: Client,
    listener: Arc<ListenAddress>,
    /// What is pushed to the client, if its service pushes.
    outbox: OnceLock<Arc<Outbox>>,
    max_outgoing: usize,
    /// What the conversation could not send without waiting: the end of a farewell line.
    unsent: Mutex<Vec<u8>>,
    is_read_shut: AtomicBool,
    /// Whether it was counted as a session whose client may not have received everything.
    is_cut: AtomicBool,
    /// Whether it ends without what it still owes its client.
    is_broken_off: AtomicBool,
    /// What its handler may wait with, if it asked for that.
    waits: OnceLock<Arc<Waits>>,
    /// Faults on purpose, if its handler makes any.
    faults: OnceLock<Arc<FaultCounters>>,
    this: Weak<Session>,
}

impl Session {
    /// A session on an accepted connection, in a server whose times begin at `epoch`.
    pub(crate) fn new(
        client: Client,
        listener: Arc<ListenAddress>,
        socket: TcpStream,
        epoch: Instant,
        max_outgoing: usize,
    ) -> Arc<Self> {
        Self::with(client, listener, Some(socket), epoch, max_outgoing)
    }

    /// A session without a connection, for tests: what would be done to its socket is not done.
    pub(crate) fn detached(client: Client) -> Arc<Self> {
        let listener = Arc::new(ListenAddress::Tcp(([127, 0, 0, 1], 1).into()));
        Self::with(client, listener, None, Instant::now(), usize::MAX)
    }

    fn with(
        client: Client,
        listener: Arc<ListenAddress>,
        socket: Option<TcpStream>,
        epoch: Instant,
        max_outgoing: usize,
    ) -> Arc<Self> {
        Arc::new_cyclic(|this| Self {
            counters: SessionCounters::default(),
            state: State::new(epoch),
            socket,
            client,
            listener,
            outbox: OnceLock::new(),
            max_outgoing,
            unsent: Mutex::default(),
            is_read_shut: AtomicBool::new(false),
            is_cut: AtomicBool::new(false),
            is_broken_off: AtomicBool::new(false),
            waits: OnceLock::new(),
            faults: OnceLock::new(),
            this: Weak::clone(this),
        })
    }

    /// Returns the client.
    #[must_use]
    pub fn client(&self) -> Client {
        self.client
    }

    /// Returns where the client connected to.
    #[must_use]
    pub fn listener(&self) -> &Arc<ListenAddress> {
        &self.listener
    }

    /// Returns a handle with which any thread can push to the client.
    ///
    /// A session with a handle has a second thread. It sends pushes and answers in the order of the calls, except that
    /// a push may come between the parts of a long answer, and in the line framings before the answers to other lines
    /// of the same read. Call this only if the service pushes, and before the factory returns: that is when the second
    /// thread is started.
    #[must_use]
    pub fn handle(&self) -> ClientHandle {
        let outbox = self.outbox.get_or_init(|| {
            // A client that does not read must be noticed while the queue is short, not after megabytes.
            self.shrink_send_buffer();
            Arc::new(Outbox::new(self.max_outgoing))
        });
        ClientHandle::new(self.client, Arc::clone(outbox), Weak::clone(&self.this))
    }

    /// Returns what the handler can wait with.
    #[must_use]
    pub fn waiter(&self) -> Waiter {
        let waits = self.waits.get_or_init(|| Arc::new(Waits::new(&self.this)));
        // The session may have to end already.
        self.end_due_waits();
        Waiter::new(waits)
    }

    /// Returns the counters of faults on purpose, which the session has from now on.
    pub(crate) fn fault_counters(&self) -> &Arc<FaultCounters> {
        self.faults.get_or_init(Arc::default)
    }

    /// Returns how many faults on purpose there were.
    pub(crate) fn faults(&self) -> u64 {
        self.faults.get().map_or(0, |faults| faults.sum())
    }

    /// Adds its counters to the totals.
    pub(crate) fn add_to(&self, stats: &mut Stats) {
        self.counters.add_to(stats);
        if let Some(faults) = self.faults.get() {
            faults.add_to(stats);
        }
    }

    /// Returns the outgoing queue, if the client can be pushed to.
    pub(crate) fn outbox(&self) -> Option<&Outbox> {
        self.outbox.get().map(|outbox| &**outbox)
    }

    /// Returns the connection; `None` if a test made the session.
    pub(crate) fn socket(&self) -> Option<&TcpStream> {
        self.socket.as_ref()
    }

    fn socket_ref(&self) -> Option<SockRef<'_>> {
        self.socket().map(SockRef::from)
    }

    /// Lets only a little wait in the kernel, for a session that sends its last replies or that is pushed to.
    ///
    /// With megabytes of send buffer, replies to a slow reader would count as sent and could be lost with the
    /// connection. With a small one a write waits until what was sent before has arrived.
    pub(crate) fn shrink_send_buffer(&self) {
        if let Some(socket) = self.socket_ref() {
            let _: io::Result<()> = socket.set_send_buffer_size(SMALL_SEND_BUFFER);
        }
    }

    /// Sets a read timeout of [`SILENCE`], so that the worker can release memory, or removes it. Returns whether reads
    /// time out.
    fn limit_silence(&self, limited: bool) -> bool {
        let limit = limited.then_some(SILENCE);
        self.socket().is_some_and(|socket| socket.set_read_timeout(limit).is_ok() == limited)
    }

    /// Reads only what has arrived so far: a read that finds nothing times out. Returns how many bytes that can be.
    fn read_what_has_arrived(&self) -> usize {
        let Some(socket) = self.socket() else { return usize::MAX };
        // The shortest timeout that exists; zero means none. The read side is not shut, because then data that
        // arrives late would reset the connection and destroy replies on their way.
        let _: io::Result<()> = socket.set_read_timeout(Some(Duration::from_millis(1)));
        SockRef::from(socket).recv_buffer_size().unwrap_or(usize::MAX)
    }

    /// Lets the worker write only what fits from now on: a write that does not fit times out.
    fn write_what_fits(&self) {
        match (self.outbox(), self.socket()) {
            // The socket is the writer's, which still sends what was pushed.
            (Some(outbox), _) => outbox.write_what_fits(),
            (None, Some(socket)) => {
                let _: io::Result<()> = socket.set_write_timeout(Some(Duration::from_millis(1)));
            }
            (None, None) => {}
        }
    }

    /// Keeps bytes that are sent when the connection is closed.
    fn keep_unsent(&self, bytes: &[u8]) {
        self.unsent.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
    }

    fn take_unsent(&self) -> Vec<u8> {
        mem::take(&mut self.unsent.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for Session {
    /// Closes the queue, because handles may outlive the session, even if its writer was never started. Waiters may too.
    fn drop(&mut self) {
        self.end_waits();
        if let Some(outbox) = self.outbox() {
            outbox.end();
        }
    }
}
