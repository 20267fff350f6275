//! One connection: the client, its socket, its counters, and how it is told to end.

mod client_thread;
mod replies;
mod read_buffer;
mod state;
mod closing;
mod handle;
mod outbox;
mod writer;
mod busy_poll;
mod slots;

use std::io::{self, Read, Write};
use std::mem::MaybeUninit;
use std::net::{Shutdown, TcpStream};
use std::sync::OnceLock;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use socket2::SockRef;

pub(crate) use busy_poll::{BusyPoll, Polled};
pub use client_thread::ClientThread;
pub(crate) use client_thread::Surroundings;
pub(crate) use closing::{LINGER, LINGERING, Linger, discard_received, linger, read_to_end};
pub use handle::{ClientHandle, Connection};
use outbox::Outbox;
pub use outbox::PushError;
pub(crate) use state::{Order, Pulse, nanos};
pub(crate) use writer::Writers;

use crate::Client;
use crate::events::SessionCounters;
use replies::{is_timeout, write_whole};

/// The send buffer of a session that is being ended or pushed to, in bytes.
///
/// It holds more than one full segment of the loopback device, which is 64 KiB: of a smaller one the receiver
/// gets less, waits 40 ms before it acknowledges that, and so much longer does the sender wait.
const SMALL_SEND_BUFFER: usize = 64 * 1024;

/// How long a client that has sent much may be silent before the memory for it is given back.
const SILENCE: Duration = Duration::from_secs(1);

/// A connection from its accept to its close: the client, its socket, its counters.
///
/// Everyone shares this one value, and so the one descriptor.
///
/// What each message touches comes first, within 64 bytes.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Session {
    pub(crate) counters: SessionCounters,
    pub(crate) pulse: Pulse,
    pub(crate) stream: TcpStream,
    pub(crate) client: Client,
    /// What others than its worker send, if its service pushes.
    outbox: OnceLock<Box<Outbox>>,
    /// Its silence as the registry has noted it. Used under the registry's lock only.
    pub(crate) noted_silence: AtomicU64,
}

impl Session {
    /// An accepted connection, in a server whose times begin at `epoch`.
    pub(crate) fn new(client: Client, stream: TcpStream, epoch: Instant) -> Self {
        Self {
            client,
            stream,
            counters: SessionCounters::default(),
            pulse: Pulse::new(epoch),
            outbox: OnceLock::new(),
            noted_silence: AtomicU64::new(0),
        }
    }

    /// Tells the client the end, if the worker waits for it and nothing has arrived.
    pub(crate) fn finish(&self) {
        // A worker that waits although something is there has not come to run yet.
        if !self.has_unread() {
            self.pulse.finish(|| match self.outbox() {
                Some(outbox) => outbox.close(),
                None => self.shut(Shutdown::Write),
            });
        }
    }

    /// Whether something has arrived that was not read, as far as the system tells without waiting.
    pub(crate) fn has_unread(&self) -> bool {
        const MSG_PEEK: i32 = 0x2;
        const MSG_DONTWAIT: i32 = 0x40;
        // The numbers are Linux's.
        cfg!(target_os = "linux")
            && SockRef::from(&self.stream)
                .recv_with_flags(&mut [MaybeUninit::uninit()], MSG_PEEK | MSG_DONTWAIT)
                .is_ok_and(|count| count > 0)
    }

    /// Whether there is something that the client has not been sent, or not been answered.
    pub(crate) fn is_owing(&self) -> bool {
        !self.pulse.is_finished() || self.outbox().is_some_and(|outbox| !outbox.is_sent())
    }

    /// Lets little wait in the kernel: for a session that is to send its last replies, or is pushed to.
    ///
    /// With megabytes of send buffer, replies to a client that is slow to read would count as sent, and could
    /// be lost with the connection. With a small one a write waits until what was sent before it has arrived.
    pub(crate) fn shrink_send_buffer(&self) {
        let _: io::Result<()> = SockRef::from(&self.stream).set_send_buffer_size(SMALL_SEND_BUFFER);
    }

    /// From now on the client can be pushed to.
    pub(crate) fn open_outbox(&self, bound: usize) {
        self.outbox.get_or_init(|| {
            // Who does not read is to be noticed while the queue is short, not after megabytes.
            self.shrink_send_buffer();
            Box::new(Outbox::new(bound))
        });
    }

    /// The outgoing queue of a client that can be pushed to.
    pub(crate) fn outbox(&self) -> Option<&Outbox> {
        self.outbox.get().map(|outbox| &**outbox)
    }

    /// Queues `bytes` for the client, or ends the session if there is no room for them.
    pub(crate) fn push(&self, bytes: &[u8]) -> Result<(), PushError> {
        let pushed = self.outbox().map_or(Err(PushError::Closed), |outbox| outbox.push(bytes));
        if pushed == Err(PushError::TooSlow) {
            self.break_off(Order::TooSlow);
        }
        pushed
    }

    /// Lets the service end the session: what is queued is still sent.
    pub(crate) fn dismiss(&self) {
        if let Some(outbox) = self.outbox() {
            self.pulse.give(Order::Dismiss);
            outbox.close();
        }
    }

    /// Sends what is queued, until the queue is closed. Runs on the session's writer.
    pub(crate) fn send_queued(&self, outbox: &Outbox, write_timeout: Option<Duration>) {
        let sent = outbox.run(|batch| {
            let began = Instant::now();
            write_whole(&mut Counted(self), batch, || write_timeout.is_some_and(|limit| began.elapsed() >= limit))
        });
        match sent {
            Ok(true) => {
                self.shut(Shutdown::Write);
                // A client that closes ends its session by that. With the read side shut at once, what it still
                // sends would reset the connection, and destroy what was sent to it last.
                if !outbox.wait_ended(LINGER) {
                    self.shut(Shutdown::Read);
                }
            }
            Ok(false) => {}
            Err(error) if is_timeout(&error) => self.break_off(Order::WriteTimeout),
            Err(_) => self.break_off(Order::Broken),
        }
    }

    /// Makes a read end when the client has been silent for a while, so that its worker can give memory back, or wait
    /// as long as it takes; whether it ends.
    pub(crate) fn limit_silence(&self, limited: bool) -> bool {
        self.stream.set_read_timeout(limited.then_some(SILENCE)).is_ok() == limited
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
        if let Some(outbox) = self.outbox() {
            outbox.write_what_fits();
        }
    }

    /// Asks the session to end: after its current message, or now if it waits for the client.
    pub(crate) fn end(&self, order: Order) {
        self.pulse.give(order);
        self.shut(Shutdown::Read);
    }

    /// Ends the session at once: neither its worker nor its writer waits for the client any more.
    pub(crate) fn break_off(&self, order: Order) {
        self.pulse.give(order);
        self.shut(Shutdown::Both);
    }

    /// Closes one or both directions. A connection that the peer has reset cannot be shut down, and need
    /// not be.
    pub(crate) fn shut(&self, how: Shutdown) {
        let _: io::Result<()> = self.stream.shutdown(how);
    }
}

/// A session's socket, with what is sent counted.
pub(crate) struct Counted<'a>(pub(crate) &'a Session);

impl Read for Counted<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        (&self.0.stream).read(buffer)
    }
}

impl Write for Counted<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = (&self.0.stream).write(bytes)?;
        self.0.counters.add_out(count);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A session's socket to read from, and its outgoing queue to write to.
pub(crate) struct BothWays<'a> {
    pub(crate) stream: &'a TcpStream,
    pub(crate) outbox: &'a Outbox,
}

impl Read for BothWays<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream.read(buffer)
    }
}

impl Write for BothWays<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.outbox.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
