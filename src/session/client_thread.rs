//! [`ClientThread`]: one client's session, from the first read to the reason it ended.
//!
//! Runs on a worker of the pool. It reads, finds messages, lets the handler answer them, and notices when to
//! stop; it opens and closes no socket. It works on anything that reads and writes, so that tests script a
//! whole session without a socket and count what it does.

use std::io::{self, ErrorKind, Read, Write};
use std::time::{Duration, Instant};

use super::read_buffer::ReadBuffer;
use super::replies::{Replies, is_timeout};
use super::state::Pulse;
use crate::events::{EventSink, SessionCounters};
use crate::protocol::{ByeDetector, Found, LineFraming};
use crate::shutdown::ShutdownToken;
use crate::{Client, CloseReason, Framing, Handler, Next, ServerConfig};

/// What a silent client may keep, in bytes, of each buffer that has grown for it. Who needs no more has no timeout of
/// its reads, which costs a message of a few KiB some percent.
const KEPT: usize = 16 * 1024;

/// One client's session.
///
/// The server makes one for each connection. Made by hand, it runs a [`Handler`] against a scripted stream:
///
/// ```
/// use hebra::{ClientThread, CloseReason, Echo, ServerConfig};
///
/// /// Two reads' worth of input, and the output.
/// struct Script(Vec<&'static [u8]>, Vec<u8>);
///
/// impl std::io::Read for Script {
///     fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
///         let next = if self.0.is_empty() { b"".as_slice() } else { self.0.remove(0) };
///         buffer[..next.len()].copy_from_slice(next);
///         Ok(next.len())
///     }
/// }
///
/// impl std::io::Write for Script {
///     fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
///         self.1.write(bytes)
///     }
///     fn flush(&mut self) -> std::io::Result<()> {
///         Ok(())
///     }
/// }
///
/// let mut script = Script(vec![b"hello", b"bye\r\n", b"not read"], Vec::new());
/// let session = ClientThread::new(&mut script, Echo, &ServerConfig::default());
/// assert_eq!(session.run(), CloseReason::Bye);
/// assert_eq!(script.1, b"hello");
/// ```
#[derive(Debug)]
pub struct ClientThread<S, H> {
    stream: S,
    handler: H,
    framing: FramingState,
    write_timeout: Option<Duration>,
}

/// Who and what a session belongs to.
pub(crate) struct Surroundings<'a> {
    pub(crate) client: &'a Client,
    pub(crate) counters: &'a SessionCounters,
    pub(crate) sink: &'a EventSink,
    pub(crate) pulse: &'a Pulse,
    pub(crate) token: &'a ShutdownToken,
    /// Makes the stream's reads end with a timeout instead of waiting, and says how many bytes can have
    /// arrived by now.
    pub(crate) read_what_has_arrived: &'a dyn Fn() -> usize,
    /// Makes the stream's reads end with a timeout when the client has been silent for a while, or wait as they did
    /// before; whether they end.
    pub(crate) limit_silence: &'a dyn Fn(bool) -> bool,
    /// Makes the stream's writes end with a timeout instead of waiting.
    pub(crate) write_what_fits: &'a dyn Fn(),
}

#[derive(Debug)]
pub(crate) enum FramingState {
    Message(ByeDetector),
    Line(LineFraming),
    Raw,
}

/// `Ok` goes on with a session, or ends it for a reason.
pub(crate) type Step = Result<(), CloseReason>;

impl<S: Read + Write, H: Handler> ClientThread<S, H> {
    /// A session on `stream`. Of `config` it uses the framing, the longest line and whether there is a write
    /// timeout.
    ///
    /// The time limits themselves are the stream's: a read that returns [`ErrorKind::WouldBlock`] has hit
    /// the idle timeout, a write that does has hit the [`write_timeout`](ServerConfig::write_timeout). A
    /// write that takes only part of a reply is continued, unless the message arrived longer ago than that:
    /// then the client takes its reply too slowly.
    pub fn new(stream: S, handler: H, config: &ServerConfig) -> Self {
        let framing = match config.framing {
            Framing::Message => FramingState::Message(ByeDetector::default()),
            Framing::Line => FramingState::Line(LineFraming::new(config.max_line)),
            Framing::Raw => FramingState::Raw,
        };
        Self { stream, handler, framing, write_timeout: config.write_timeout }
    }

    /// Runs the session to its end, outside any server. A panic of the handler is passed on.
    pub fn run(self) -> CloseReason {
        self.run_in(&Surroundings {
            client: &Client { id: 0, peer: ([0; 4], 0).into() },
            counters: &SessionCounters::default(),
            sink: &EventSink::disconnected(),
            pulse: &Pulse::new(Instant::now()),
            token: &ShutdownToken::default(),
            read_what_has_arrived: &|| usize::MAX,
            limit_silence: &|_| false,
            write_what_fits: &|| {},
        })
    }

    /// Runs the session to its end.
    ///
    /// Inlined, and so is what each message runs through: thousands of sessions wait in this frame, and what is seldom
    /// called is kept out of it.
    #[inline(always)]
    pub(crate) fn run_in(self, around: &Surroundings<'_>) -> CloseReason {
        let Self { stream, handler, mut framing, write_timeout } = self;
        let replies = Replies::new(stream, &framing, write_timeout, around);
        let mut conversation = Conversation { handler, replies };
        let mut buffer = ReadBuffer::default();
        // What can still be unread of what had arrived when the server was seen to stop.
        let mut last_reads = None;
        // Whether a read that ends with a timeout means that memory is to be given back.
        let mut lends = false;
        let mut step = conversation.open();
        loop {
            if let Err(reason) = conversation.replies.send_held().and(step) {
                conversation.replies.explain(reason, &framing);
                conversation.handler.closed(reason);
                return reason;
            }
            let silent_since = around.pulse.wait();
            let read = loop {
                match conversation.replies.stream.read(buffer.bytes()) {
                    // The client is as silent as before.
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    // At a stop the timeout is another.
                    Err(error) if lends && last_reads.is_none() && is_timeout(&error) => {
                        buffer.give_back();
                        conversation.replies.give_back(&mut framing);
                        lends = (around.limit_silence)(false);
                    }
                    read => break read,
                }
            };
            let finished = !around.pulse.wake(silent_since);
            conversation.replies.heard = around.pulse.now();
            step = match read {
                // The client was told the end; what it still sends has no answer.
                _ if finished => Err(CloseReason::Shutdown),
                Ok(0) => conversation.end_of_stream(&mut framing),
                Ok(count) => {
                    around.counters.add_in(count);
                    let bytes = buffer.bytes();
                    let full = count == bytes.len();
                    let step = conversation.take(&bytes[..count], &mut framing).and_then(|()| {
                        if around.token.is_set() { around.go_on(&mut last_reads, count, full) } else { Ok(()) }
                    });
                    buffer.adapt(count);
                    let holds = buffer.memory().max(conversation.replies.memory(&framing)) > KEPT;
                    if holds != lends && last_reads.is_none() {
                        lends = (around.limit_silence)(holds);
                    }
                    step
                }
                Err(error) if last_reads.is_some() => Err(around.reason(&error, CloseReason::Shutdown)),
                Err(error) => Err(around.reason(&error, CloseReason::IdleTimeout)),
            };
        }
    }
}

impl Surroundings<'_> {
    /// Whether a session of a stopping server, which has just answered a read of `count` bytes, goes on: until it
    /// has answered all that had arrived before.
    fn go_on(&self, last_reads: &mut Option<usize>, count: usize, full: bool) -> Step {
        match last_reads {
            // It may have been read before the stop, so that more was there then.
            None => {
                *last_reads = Some((self.read_what_has_arrived)());
                Ok(())
            }
            // A read that was not full has left nothing behind.
            Some(left) if full && *left > count => {
                *left -= count;
                Ok(())
            }
            Some(_) => Err(CloseReason::Shutdown),
        }
    }

    /// What an error of the stream means for the session; `timeout` is what a timeout means.
    pub(crate) fn reason(&self, error: &io::Error, timeout: CloseReason) -> CloseReason {
        match error.kind() {
            _ if self.token.is_cutting() => CloseReason::CutOff,
            _ if is_timeout(error) => timeout,
            // The connection was broken off, and this is how the worker notices.
            kind => match self.pulse.order() {
                Some(reason @ (CloseReason::TooSlow | CloseReason::WriteTimeout | CloseReason::ServiceClosed)) => {
                    reason
                }
                _ => CloseReason::Failed(kind),
            },
        }
    }
}

/// The handler and the way back to its client.
struct Conversation<'a, S, H> {
    handler: H,
    replies: Replies<'a, S>,
}

impl<S: Write, H: Handler> Conversation<'_, S, H> {
    /// Lets the handler speak first.
    fn open(&mut self) -> Step {
        let next = self.handler.open(&mut self.replies);
        self.go_on(next)
    }

    /// Takes what one read returned.
    #[inline(always)]
    fn take(&mut self, read: &[u8], framing: &mut FramingState) -> Step {
        match framing {
            FramingState::Raw => self.answer(read)?,
            FramingState::Message(detector) => match detector.feed(read) {
                None => self.answer(read)?,
                Some(before) => {
                    if before > 0 {
                        self.answer(&read[..before])?;
                    }
                    return Err(CloseReason::Bye);
                }
            },
            FramingState::Line(lines) => self.take_lines(read, lines)?,
        }
        self.replies.around.pulse.order().map_or(Ok(()), Err)
    }

    #[inline(never)]
    fn take_lines(&mut self, mut read: &[u8], lines: &mut LineFraming) -> Step {
        while let Some(found) = lines.next(&mut read) {
            match found {
                Found::Line(line) if is_bye(line) => return Err(CloseReason::Bye),
                Found::Line(line) => self.answer(line)?,
                Found::Refusal(refusal) => self.replies.hold(|held| held.extend(refusal))?,
                Found::TooLong => return Err(CloseReason::LineTooLong),
            }
        }
        Ok(())
    }

    /// The read side is at its end: the client has closed its side, or the reaper or a stop has.
    fn end_of_stream(&mut self, framing: &mut FramingState) -> Step {
        if self.replies.around.token.is_cutting() {
            return Err(CloseReason::CutOff);
        }
        if let Some(reason) = self.replies.around.pulse.order() {
            return Err(reason);
        }
        if let FramingState::Line(lines) = framing {
            match lines.rest() {
                [] => {}
                rest if is_bye(rest) => return Err(CloseReason::Bye),
                rest => self.answer(rest)?,
            }
        }
        Err(CloseReason::EndOfStream)
    }

    /// Hands one message to the handler.
    #[inline(always)]
    fn answer(&mut self, message: &[u8]) -> Step {
        self.replies.around.sink.message(self.replies.around.client, message);
        // Only now, so that the logging thread finds every message that it counts on its way or never.
        self.replies.around.counters.add_message();
        let next = self.handler.message(message, &mut self.replies);
        self.go_on(next)
    }

    /// What the handler's answer means.
    fn go_on(&self, next: io::Result<Next>) -> Step {
        match (self.replies.failure, next) {
            (Some(reason), _) => Err(reason),
            (None, Ok(Next::Continue)) => Ok(()),
            (None, Ok(Next::Close)) => Err(CloseReason::ServiceClosed),
            (None, Err(error)) => Err(CloseReason::ServiceFailed(error.kind())),
        }
    }
}

fn is_bye(line: &[u8]) -> bool {
    line.trim_ascii() == b"bye"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Echo;

    /// A read that a signal ends, and the end of the stream; when the session began to wait, at each read.
    struct Interrupted<'a>(&'a Pulse, Vec<u64>);

    impl Read for Interrupted<'_> {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            self.1.push(self.0.silent_since(u64::MAX));
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

    #[test]
    fn a_client_is_silent_still_when_a_signal_has_ended_a_read() {
        let pulse = Pulse::new(Instant::now());
        let mut stream = Interrupted(&pulse, Vec::new());
        let around = Surroundings {
            client: &Client { id: 1, peer: ([127, 0, 0, 1], 1).into() },
            counters: &SessionCounters::default(),
            sink: &EventSink::disconnected(),
            pulse: &pulse,
            token: &ShutdownToken::default(),
            read_what_has_arrived: &|| 0,
            limit_silence: &|_| false,
            write_what_fits: &|| {},
        };
        let session = ClientThread::new(&mut stream, Echo, &ServerConfig::default());
        assert_eq!(session.run_in(&around), CloseReason::EndOfStream);
        assert!(matches!(stream.1[..], [first, second] if first == second), "{:?}", stream.1);
    }
}
