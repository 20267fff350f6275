//! What a session's loop reads from and writes to: its socket, or its socket and its outgoing queue.

use std::io::{self, Read, Write};
use std::net::TcpStream;

use super::{Outbox, Session};

/// A session's socket. What is sent is counted.
pub(crate) struct SocketStream<'a> {
    socket: &'a TcpStream,
    session: &'a Session,
}

impl<'a> SocketStream<'a> {
    /// The socket of `session`; `None` if a test made the session.
    pub(crate) fn new(session: &'a Session) -> Option<Self> {
        session.socket().map(|socket| Self { socket, session })
    }

    pub(super) fn session(&self) -> &'a Session {
        self.session
    }

    pub(super) fn set_nonblocking(&self, nonblocking: bool) {
        // It cannot fail on an open socket.
        let _: io::Result<()> = self.socket.set_nonblocking(nonblocking);
    }
}

impl Read for SocketStream<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.socket.read(buffer)
    }
}

impl Write for SocketStream<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.socket.write(bytes)?;
        self.session.counters.add_out(count);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The stream of a session whose client is pushed to: it reads from the socket, and what it writes is queued for the
/// writer.
pub(super) struct QueuedStream<'a> {
    pub(super) socket: SocketStream<'a>,
    pub(super) outbox: &'a Outbox,
}

impl Read for QueuedStream<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.socket.read(buffer)
    }
}

impl Write for QueuedStream<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.outbox.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
