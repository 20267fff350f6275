//! One connection: the client, its socket, its counters, and how it is told to end.

use std::io;
use std::mem::MaybeUninit;
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use socket2::SockRef;

use super::pulse::{Order, Pulse};
use crate::Client;
use crate::events::SessionCounters;

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
    /// Its silence as the registry has noted it. Used under the registry's lock only.
    pub(super) noted_silence: AtomicU64,
}

impl Session {
    /// An accepted connection, in a server whose times begin at `epoch`.
    pub(crate) fn new(client: Client, stream: TcpStream, epoch: Instant) -> Self {
        Self {
            client,
            stream,
            counters: SessionCounters::default(),
            pulse: Pulse::new(epoch),
            noted_silence: AtomicU64::new(0),
        }
    }

    /// Tells the client the end, if the worker waits for it and nothing has arrived.
    pub(crate) fn finish(&self) {
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
    pub(crate) fn begin_drain(&self) {
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
    pub(crate) fn end(&self, order: Order) {
        self.pulse.give(order);
        self.shut(Shutdown::Read);
    }

    /// Closes one or both directions. A connection that the peer has reset cannot be shut down, and need
    /// not be.
    pub(crate) fn shut(&self, how: Shutdown) {
        let _: io::Result<()> = self.stream.shutdown(how);
    }
}
