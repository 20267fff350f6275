//! Tests of handlers and sessions without a socket: a scripted stream, and what was pushed to a client.
//!
//! A test runs a whole session against a [`Script`], and then checks what was written and what was pushed:
//!
//! ```
//! use std::io::{self, Write};
//!
//! use hebra::testing::Script;
//! use hebra::{ClientHandle, Framing, Handler, Next, ServerConfig};
//!
//! /// Pushes each line back, in capitals.
//! struct Shout(ClientHandle);
//!
//! impl Handler for Shout {
//!     fn message(&mut self, message: &[u8], _reply: &mut dyn Write) -> io::Result<Next> {
//!         self.0.push(&message.to_ascii_uppercase()).map_err(io::Error::other)?;
//!         Ok(Next::Continue)
//!     }
//! }
//!
//! let config = ServerConfig::default().framing(Framing::PlainLine);
//! let outcome = Script::reads(["hello\nwor", "ld\n"]).run(&config, |session| Shout(session.handle()));
//! assert_eq!(outcome.pushed, b"HELLO\nWORLD\n");
//! ```

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::sync::Arc;

use crate::client::Client;
use crate::config::{LogMessages, ServerConfig};
use crate::events::{CloseReason, EventLog};
use crate::service::Handler;
use crate::session::{ClientThread, Session};
use crate::shutdown::ShutdownToken;

/// A stream whose reads follow a script and then return its end, and which records what is written to it.
///
/// Each read takes one entry of the script. An entry longer than the session's buffer takes several reads, as it would
/// on a socket.
#[derive(Clone, Debug, Default)]
pub struct Script {
    reads: VecDeque<Result<Vec<u8>, ErrorKind>>,
    accepts: VecDeque<Result<usize, ErrorKind>>,
    read_calls: usize,
    write_calls: usize,
    writes: Vec<Vec<u8>>,
}

/// The outcome of a session that [`Script::run`] ran.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Outcome {
    /// Why the session ended.
    pub reason: CloseReason,
    /// What was written to the stream: the replies, and the farewell line.
    pub written: Vec<u8>,
    /// What was pushed to the client by its handle. A server would send it in the order of the calls; here it is
    /// kept apart from the replies.
    pub pushed: Vec<u8>,
}

impl Script {
    /// A stream whose reads return `reads`, and then the end of the stream.
    #[must_use]
    pub fn reads(reads: impl IntoIterator<Item = impl AsRef<[u8]>>) -> Self {
        let reads = reads.into_iter().map(|read| Ok(read.as_ref().to_vec())).collect();
        Self { reads, ..Self::default() }
    }

    /// Adds a read that returns `bytes`.
    #[must_use]
    pub fn read(mut self, bytes: impl AsRef<[u8]>) -> Self {
        self.reads.push_back(Ok(bytes.as_ref().to_vec()));
        self
    }

    /// Adds a read that fails. [`ErrorKind::WouldBlock`] is a timeout.
    #[must_use]
    pub fn fail_read(mut self, kind: ErrorKind) -> Self {
        self.reads.push_back(Err(kind));
        self
    }

    /// Makes the next write take at most `bytes`. Writes without an entry take all.
    #[must_use]
    pub fn accept(mut self, bytes: usize) -> Self {
        self.accepts.push_back(Ok(bytes));
        self
    }

    /// Makes the next write fail. [`ErrorKind::WouldBlock`] is a timeout.
    #[must_use]
    pub fn fail_write(mut self, kind: ErrorKind) -> Self {
        self.accepts.push_back(Err(kind));
        self
    }

    /// Runs a session on this stream to its end, with the handler that `factory` makes for it.
    ///
    /// # Panics
    ///
    /// If the handler does.
    pub fn run<H: Handler>(mut self, config: &ServerConfig, factory: impl FnOnce(&Session) -> H) -> Outcome {
        let session = session(1);
        let handler = factory(&session);
        let thread = ClientThread::new(&mut self, handler, config);
        let reason = thread.run_in(&session, &EventLog::new(LogMessages::Off).0, &ShutdownToken::default());
        Outcome { reason, written: self.written(), pushed: pushed(&session) }
    }

    /// Returns how often the stream was read.
    #[must_use]
    pub fn read_calls(&self) -> usize {
        self.read_calls
    }

    /// Returns how often the stream was written to, failures included.
    #[must_use]
    pub fn write_calls(&self) -> usize {
        self.write_calls
    }

    /// Returns what each successful write took.
    #[must_use]
    pub fn writes(&self) -> &[Vec<u8>] {
        &self.writes
    }

    /// Returns all that was written.
    #[must_use]
    pub fn written(&self) -> Vec<u8> {
        self.writes.concat()
    }
}

impl Read for Script {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.read_calls += 1;
        let mut bytes = self.reads.pop_front().unwrap_or(Ok(Vec::new()))?;
        if bytes.len() > buffer.len() {
            self.reads.push_front(Ok(bytes.split_off(buffer.len())));
        }
        buffer[..bytes.len()].copy_from_slice(&bytes);
        Ok(bytes.len())
    }
}

impl Write for Script {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_calls += 1;
        let taken = self.accepts.pop_front().unwrap_or(Ok(bytes.len()))?.min(bytes.len());
        if taken > 0 {
            self.writes.push(bytes[..taken].to_vec());
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Returns a session of client `id` that has no connection, for a factory of handlers. Its handles accept pushes for as
/// long as it lives.
#[must_use]
pub fn session(id: u64) -> Arc<Session> {
    Session::detached(Client::new(id, ([127, 0, 0, 1], 1).into()))
}

/// Returns what was pushed to a [`session`] since this was last called.
#[must_use]
pub fn pushed(session: &Session) -> Vec<u8> {
    session.outbox().map(|outbox| outbox.take()).unwrap_or_default()
}

/// Returns whether a handle has ended a [`session`], by [`close`](crate::ClientHandle::close) or because too much was
/// pushed.
#[must_use]
pub fn is_closed(session: &Session) -> bool {
    session.outbox().is_some_and(|outbox| outbox.is_closed())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::PushError;

    #[test]
    fn a_session_shows_what_is_pushed_to_it() {
        let session = session(7);
        let handle = session.handle();
        assert_eq!((handle.client().id, handle.push(b"one ")), (7, Ok(())));
        assert_eq!(session.handle().push(b"two"), Ok(()));
        assert_eq!((pushed(&session), pushed(&session)), (b"one two".to_vec(), Vec::new()));
        assert!(!is_closed(&session));
        handle.close();
        assert!(is_closed(&session));
        assert_eq!(handle.push(b"late"), Err(PushError::Closed));
        drop(session);
        assert_eq!(handle.push(b"later"), Err(PushError::Closed));
    }
}
