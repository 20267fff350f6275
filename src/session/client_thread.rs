//! [`ClientThread`]: one client's session, from the first read to the reason for its end.
//!
//! It runs on a worker. It reads, finds messages, lets the handler answer them, and notices when to stop; it opens
//! and closes no socket. It works on anything that reads and writes, so tests script a whole session without a
//! socket and count what it does.

use std::io::{ErrorKind, Read, Write};
use std::time::Duration;

use super::Session;
use super::read_buffer::ReadBuffer;
use super::replies::{Replies, is_timeout};
use crate::client::Client;
use crate::config::{LogMessages, ServerConfig};
use crate::events::{CloseReason, Event, EventLog, EventSink};
use crate::protocol::{Decoder, Framing};
use crate::service::Handler;
use crate::shutdown::ShutdownToken;

/// What an idle session may keep of each buffer that has grown, in bytes. Larger buffers are released after a second
/// of silence; only those sessions set a read timeout, which costs a message of a few KiB some percent.
const IDLE_MEMORY: usize = 16 * 1024;

/// One client's session.
///
/// The server makes one for each connection. Made by hand, it runs a [`Handler`] against a scripted stream:
///
/// ```
/// use hebra::testing::Script;
/// use hebra::{ClientThread, CloseReason, Echo, ServerConfig};
///
/// let mut script = Script::reads(["hello", "bye\r\n", "not read"]);
/// let session = ClientThread::new(&mut script, Echo, &ServerConfig::default());
/// assert_eq!(session.run(), CloseReason::Bye);
/// assert_eq!(script.written(), b"hello");
/// ```
#[derive(Debug)]
pub struct ClientThread<S, H> {
    stream: S,
    handler: H,
    framing: Framing,
    decoder: Decoder,
    write_timeout: Option<Duration>,
}

impl<S: Read + Write, H: Handler> ClientThread<S, H> {
    /// A session on `stream`. It uses the framing, the longest line and the write timeout of `config`.
    ///
    /// The other time limits are the stream's: a read that returns [`ErrorKind::WouldBlock`] has reached the idle
    /// timeout, a write that does so the [`write_timeout`](ServerConfig::write_timeout). A write that takes only part
    /// of a reply is continued, unless the message arrived longer ago than the write timeout: then the client takes
    /// its reply too slowly.
    pub fn new(stream: S, handler: H, config: &ServerConfig) -> Self {
        let decoder = Decoder::new(config.framing, config.max_line);
        Self { stream, handler, framing: config.framing, decoder, write_timeout: config.write_timeout }
    }

    /// Runs the session to its end, outside any server. A panic of the handler is passed on.
    pub fn run(self) -> CloseReason {
        let session = Session::detached(Client::new(0, ([0; 4], 0).into()));
        self.run_in(&session, &EventLog::new(LogMessages::Off).0, &ShutdownToken::default())
    }

    /// Runs the session to its end.
    ///
    /// It is inlined, and so is what each message runs through: thousands of sessions wait in this frame
    /// (ARCHITECTURE.md, *The stack page*). What is seldom called is kept out of it.
    #[inline(always)]
    pub(crate) fn run_in(self, session: &Session, sink: &EventSink<Event>, token: &ShutdownToken) -> CloseReason {
        let Self { stream, mut handler, framing, mut decoder, write_timeout } = self;
        let mut replies = Replies::new(stream, framing, write_timeout, session, sink, token);
        let mut buffer = ReadBuffer::default();
        let mut draining = None;
        // Whether a read that times out means that memory must be released.
        let mut releases_memory = false;
        let mut step = replies.open(&mut handler);
        loop {
            if step == Err(CloseReason::Shutdown)
                && let Some(rest) = decoder.finish()
            {
                session.state.resume();
                step = replies.handle(rest, &mut handler).and(step);
            }
            if let Err(reason) = replies.send_gathered().and(step) {
                replies.say_farewell(&mut handler, reason, decoder.max_line());
                handler.closed(reason);
                return reason;
            }
            let idle_since = match session.state.begin_wait() {
                Ok(time) => time,
                Err(reason) => {
                    step = Err(reason);
                    continue;
                }
            };
            let read = loop {
                match replies.stream.read(buffer.bytes()) {
                    // The client is as idle as before.
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    // While the server stops, a timeout means that nothing more has arrived.
                    Err(error) if releases_memory && draining.is_none() && is_timeout(&error) => {
                        buffer.release_memory();
                        decoder.release_memory();
                        replies.release_memory();
                        releases_memory = session.limit_silence(false);
                    }
                    read => break read,
                }
            };
            let waited = session.state.end_wait(idle_since);
            replies.message_time = session.state.now();
            step = match read {
                // The session was ended as idle; what its client still sends has no answer.
                _ if waited.is_err() => waited,
                Ok(0) => end_of_stream(&mut decoder, &mut replies, &mut handler),
                Ok(count) => {
                    session.counters.add_in(count);
                    let bytes = buffer.bytes();
                    let is_full = count == bytes.len();
                    let step = take(&bytes[..count], &mut decoder, &mut replies, &mut handler).and_then(|()| {
                        if token.is_set() { drain(session, &mut draining, count, is_full) } else { Ok(()) }
                    });
                    buffer.adapt(count);
                    if framing.gathers_replies() {
                        session.state.set_owes_rest(decoder.has_rest());
                    }
                    let memory = buffer.memory().max(decoder.memory()).max(replies.memory());
                    if (memory > IDLE_MEMORY) != releases_memory && draining.is_none() {
                        releases_memory = session.limit_silence(!releases_memory);
                    }
                    step
                }
                Err(error) if draining.is_some() => Err(replies.reason(&error, CloseReason::Shutdown)),
                Err(error) => Err(replies.reason(&error, CloseReason::IdleTimeout)),
            };
        }
    }
}

/// Handles what one read returned.
#[inline(always)]
fn take<S: Write>(
    mut read: &[u8],
    decoder: &mut Decoder,
    replies: &mut Replies<'_, S>,
    handler: &mut impl Handler,
) -> Result<(), CloseReason> {
    while let Some(decoded) = decoder.next(&mut read) {
        replies.handle(decoded, handler)?;
    }
    Ok(())
}

/// Handles the end of the stream: the client has closed its side, or the read side was shut to end the session,
/// or the connection has failed while the handler waited.
fn end_of_stream<S: Write>(
    decoder: &mut Decoder,
    replies: &mut Replies<'_, S>,
    handler: &mut impl Handler,
) -> Result<(), CloseReason> {
    if let Some(reason) = replies.reason_to_end() {
        return Err(reason);
    }
    if let Some(rest) = decoder.finish() {
        replies.handle(rest, handler)?;
    }
    Err(CloseReason::EndOfStream)
}

/// What a session of a stopping server may still read.
struct Drain {
    /// Upper bound on bytes that were received before the stop and are still unread.
    unread: usize,
    /// A read has returned less than there was room for.
    was_short: bool,
}

/// Decides whether a session of a stopping server, which has just answered a read of `count` bytes, continues: it
/// does until it has answered everything that had arrived before the stop.
fn drain(session: &Session, drain: &mut Option<Drain>, count: usize, is_full: bool) -> Result<(), CloseReason> {
    match drain {
        // This read may have begun before the stop, and may have left something unread.
        None => {
            *drain = Some(Drain { unread: session.read_what_has_arrived(), was_short: false });
            Ok(())
        }
        // A short read has left nothing behind, unless it ended at an urgent byte. There is one of those at most.
        Some(drain) if drain.unread > count && (is_full || !drain.was_short) => {
            drain.unread -= count;
            drain.was_short |= !is_full;
            Ok(())
        }
        Some(_) => Err(CloseReason::Shutdown),
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;
    use crate::service::Echo;

    /// A read that a signal ends, then the end of the stream; and since when the session was idle at each read.
    struct Interrupted<'a>(&'a Session, Vec<u64>);

    impl Read for Interrupted<'_> {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            self.1.push(self.0.state.idle_since(u64::MAX));
            if self.1.len() == 1 { Err(ErrorKind::Interrupted.into()) } else { Ok(0) }
        }
    }

    impl Write for Interrupted<'_> {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// Messages that had arrived before the stop, and then nothing more.
    struct Arrived(Vec<&'static [u8]>, Vec<u8>);

    impl Read for Arrived {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let Some(next) = (!self.0.is_empty()).then(|| self.0.remove(0)) else {
                return Err(ErrorKind::WouldBlock.into());
            };
            buffer[..next.len()].copy_from_slice(next);
            Ok(next.len())
        }
    }

    impl Write for Arrived {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.1.extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn at_a_stop_one_read_may_end_at_an_urgent_byte() {
        let session = Session::detached(Client::new(1, ([127, 0, 0, 1], 1).into()));
        let token = ShutdownToken::default();
        token.trigger();
        let mut stream = Arrived(vec![b"one ", b"up to the mark, ", b"behind it, ", b"too late"], Vec::new());
        let thread = ClientThread::new(&mut stream, Echo, &ServerConfig::default());
        let reason = thread.run_in(&session, &EventLog::new(LogMessages::Off).0, &token);
        assert_eq!(reason, CloseReason::Shutdown);
        assert_eq!(stream.1, b"one up to the mark, behind it, ");
    }

    #[test]
    fn a_client_is_as_idle_as_before_when_a_signal_has_ended_a_read() {
        let session = Session::detached(Client::new(1, ([127, 0, 0, 1], 1).into()));
        let mut stream = Interrupted(&session, Vec::new());
        let thread = ClientThread::new(&mut stream, Echo, &ServerConfig::default());
        let reason = thread.run_in(&session, &EventLog::new(LogMessages::Off).0, &ShutdownToken::default());
        assert_eq!(reason, CloseReason::EndOfStream);
        assert!(matches!(stream.1[..], [first, second] if first == second), "{:?}", stream.1);
    }
}
