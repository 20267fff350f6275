//! [`Replies`]: what a handler writes to, and how its replies get to the client.

use std::io::{self, ErrorKind, Write};
use std::time::Duration;
use std::{fmt, mem, thread};

use super::Session;
use crate::events::{CloseReason, Event, EventSink, Excerpt, Patience};
use crate::protocol::{Decoded, Framing};
use crate::service::{Handler, Next};
use crate::shutdown::ShutdownToken;

/// Replies of the line framings are gathered, and sent when all lines of a read are answered or at this size.
const MAX_GATHERED: usize = 64 * 1024;

/// The bytes that are kept of a handler's error.
const MAX_ERROR: usize = 1024;

/// What a handler writes to: straight to the stream, or gathered if one read may hold many messages.
pub(crate) struct Replies<'a, S: Write> {
    pub(crate) stream: S,
    framing: Framing,
    gathered: Option<Vec<u8>>,
    /// The length of the gathered replies to whole messages: what must be sent if the handler panics.
    answered: usize,
    write_timeout: Option<Duration>,
    /// When the message arrived. The time for its reply begins here, or when the handler last stopped waiting.
    pub(crate) message_time: u64,
    pub(crate) session: &'a Session,
    sink: &'a EventSink<Event>,
    pub(crate) token: &'a ShutdownToken,
    /// Why nothing can be written any more.
    failure: Option<CloseReason>,
}

impl<'a, S: Write> Replies<'a, S> {
    /// Replies on `stream`, to a message that arrives now.
    pub(crate) fn new(
        stream: S,
        framing: Framing,
        write_timeout: Option<Duration>,
        session: &'a Session,
        sink: &'a EventSink<Event>,
        token: &'a ShutdownToken,
    ) -> Self {
        let gathered = framing.gathers_replies().then(Vec::new);
        let message_time = session.state.now();
        Self {
            stream,
            framing,
            gathered,
            answered: 0,
            write_timeout,
            message_time,
            session,
            sink,
            token,
            failure: None,
        }
    }

    /// Lets the handler begin the session.
    pub(crate) fn open(&mut self, handler: &mut impl Handler) -> Result<(), CloseReason> {
        let next = handler.open(self);
        self.after(next)
    }

    /// Handles what the decoder found.
    #[inline(always)]
    pub(crate) fn handle(&mut self, decoded: Decoded<'_>, handler: &mut impl Handler) -> Result<(), CloseReason> {
        match decoded {
            Decoded::Message(message) => self.answer(message, handler),
            Decoded::Reply(reply) => self.gather(|gathered| gathered.extend_from_slice(reply)),
            Decoded::Bye => Err(CloseReason::Bye),
            Decoded::TooLong => Err(CloseReason::LineTooLong),
        }
    }

    /// Lets the handler answer one message.
    #[inline(always)]
    fn answer(&mut self, message: &[u8], handler: &mut impl Handler) -> Result<(), CloseReason> {
        // The client is copied only for an event that is logged: it is in a part of the session that a message does not
        // touch otherwise.
        self.sink.sample(|| Event::Message { client: self.session.client(), excerpt: Excerpt::new(message) });
        // Counted after the event is sent: when the logging thread sees the count, the event is in the channel or was
        // dropped.
        self.session.counters.add_message();
        self.answered = self.gathered.as_ref().map_or(0, Vec::len);
        let next = handler.message(message, self);
        self.after(next)
    }

    /// Translates what the handler returned.
    fn after(&self, next: io::Result<Next>) -> Result<(), CloseReason> {
        match (self.failure, next) {
            (Some(reason), _) => Err(reason),
            (None, Ok(Next::Continue)) => Ok(()),
            (None, Ok(Next::Close)) => Err(CloseReason::ServiceClosed),
            (None, Ok(Next::FaultClose)) => Err(CloseReason::FaultClose),
            (None, Ok(Next::FaultReset)) => Err(CloseReason::FaultReset),
            (None, Err(error)) => Err(self.handler_failed(&error)),
        }
    }

    /// Translates an error of the handler, and reports it unless the session knows the reason.
    #[cold]
    fn handler_failed(&self, error: &io::Error) -> CloseReason {
        // Whatever the error is by now: the handler was told to end.
        if self.session.was_wait_broken_off()
            && let Some(reason) = self.reason_to_end()
        {
            return reason;
        }
        let mut text = error.to_string();
        text.truncate(text.floor_char_boundary(MAX_ERROR));
        self.sink.send(Event::HandlerFailed { client: self.session.client(), error: text });
        CloseReason::ServiceFailed(error.kind())
    }

    /// Returns why the session has to end, if anything but its conversation is the reason.
    pub(crate) fn reason_to_end(&self) -> Option<CloseReason> {
        if self.token.is_cutting() {
            return Some(CloseReason::CutOff);
        }
        self.session.state.reason().or_else(|| self.session.failure_in_wait().map(CloseReason::Failed))
    }

    /// Sends all of `bytes`.
    fn send(&mut self, bytes: &[u8]) -> Result<(), CloseReason> {
        if let Some(reason) = self.failure {
            return Err(reason);
        }
        let Self { stream, write_timeout, message_time, session, .. } = self;
        let is_late = || write_timeout.is_some_and(|limit| session.time_for_answer(*message_time) >= limit);
        write_whole(stream, bytes, is_late).map_err(|error| self.fail(&error))
    }

    /// Records that nothing can be written any more. Returns the reason.
    #[cold]
    fn fail(&mut self, error: &io::Error) -> CloseReason {
        let reason = self.reason(error, CloseReason::WriteTimeout);
        self.failure = Some(reason);
        reason
    }

    /// Translates an error of the stream to the reason for the session's end; `timeout` is what a timeout means.
    pub(crate) fn reason(&self, error: &io::Error, timeout: CloseReason) -> CloseReason {
        match error.kind() {
            _ if self.token.is_cutting() => CloseReason::CutOff,
            _ if is_timeout(error) => timeout,
            // The kernel has given the client up before the socket's own timeout came.
            ErrorKind::TimedOut if timeout == CloseReason::WriteTimeout => timeout,
            // The connection may have been shut down on purpose, and this is how the worker notices.
            kind => match self.session.state.reason() {
                Some(reason @ (CloseReason::TooSlow | CloseReason::WriteTimeout | CloseReason::ServiceClosed)) => {
                    reason
                }
                // The system reports an error once, and this is what follows it.
                _ => CloseReason::Failed(self.session.failure_in_wait().unwrap_or(kind)),
            },
        }
    }

    /// Appends to the gathered replies, and sends them if they have become many.
    #[inline(never)]
    fn gather(&mut self, append: impl FnOnce(&mut Vec<u8>)) -> Result<(), CloseReason> {
        let gathered = self.gathered.get_or_insert_default();
        append(gathered);
        if gathered.len() < MAX_GATHERED { Ok(()) } else { self.send_gathered() }
    }

    /// Sends the gathered replies.
    pub(crate) fn send_gathered(&mut self) -> Result<(), CloseReason> {
        let mut gathered = match &mut self.gathered {
            Some(gathered) if !gathered.is_empty() => mem::take(gathered),
            _ => return Ok(()),
        };
        self.answered = 0;
        let step = self.send(&gathered);
        gathered.clear();
        // One long reply must not cost its memory for the rest of the session.
        gathered.shrink_to(MAX_GATHERED);
        self.gathered = Some(gathered);
        step
    }

    /// Returns the bytes of memory that the gathered replies hold.
    pub(crate) fn memory(&self) -> usize {
        self.gathered.as_ref().map_or(0, Vec::capacity)
    }

    /// Frees the memory that the gathered replies do not need.
    #[cold]
    pub(crate) fn release_memory(&mut self) {
        if let Some(gathered) = &mut self.gathered {
            gathered.shrink_to_fit();
        }
    }

    /// Tells the client why its session ends, in the words of the table of reasons or of the handler. A raw stream
    /// carries nothing but replies.
    pub(crate) fn say_farewell(&mut self, handler: &mut impl Handler, reason: CloseReason, max_line: usize) {
        if self.framing == Framing::Raw || self.failure.is_some() || reason.patience() == Patience::None {
            return;
        }
        if let Some(line) = handler.farewell(reason, reason.farewell(max_line)) {
            // A client that has not read its replies is not waited for, because its worker may be needed: what does not
            // fit is sent when the connection is closed.
            self.session.write_what_fits();
            let line = format!("{line}\r\n");
            let unsent = write_some(&mut self.stream, line.as_bytes());
            self.session.counters.add_out(unsent.len());
            self.session.keep_unsent(unsent);
        }
    }
}

impl<S: Write> Drop for Replies<'_, S> {
    /// If the handler panics, the replies to the messages before are sent all the same.
    fn drop(&mut self) {
        if thread::panicking()
            && let Some(gathered) = &mut self.gathered
        {
            gathered.truncate(self.answered);
            let _: Result<(), CloseReason> = self.send_gathered();
        }
    }
}

impl<S: Write> Write for Replies<'_, S> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_all(bytes)?;
        Ok(bytes.len())
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        let step = match self.gathered {
            _ if bytes.is_empty() => Ok(()),
            None => self.send(bytes),
            Some(_) => {
                let framing = self.framing;
                self.gather(|gathered| framing.encode(bytes, gathered))
            }
        };
        step.map_err(|reason| io::Error::other(reason.to_string()))
    }

    /// Formats first, so that `writeln!` is one system call and not one for each piece.
    fn write_fmt(&mut self, arguments: fmt::Arguments<'_>) -> io::Result<()> {
        self.write_all(arguments.to_string().as_bytes())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.send_gathered().map_err(|reason| io::Error::other(reason.to_string()))
    }
}

/// The kind of error by which a socket reports its timeout, which only this file knows. On Windows it is `TimedOut`; on
/// Unix it is `WouldBlock`, and `TimedOut` means that the peer has stopped answering.
const TIMEOUT: ErrorKind = if cfg!(windows) { ErrorKind::TimedOut } else { ErrorKind::WouldBlock };

/// Returns whether a socket's timeout has ended a read or a write.
pub(crate) fn is_timeout(error: &io::Error) -> bool {
    error.kind() == TIMEOUT
}

/// Writes all of `bytes`, in one system call unless the client is slow. A write that takes only a part is continued
/// unless it `is_late` twice in a row, which is reported as a timeout.
pub(crate) fn write_whole(stream: &mut impl Write, bytes: &[u8], is_late: impl Fn() -> bool) -> io::Result<()> {
    match stream.write(bytes) {
        Ok(count) if count == bytes.len() => Ok(()),
        begun => write_rest(stream, bytes, begun, is_late),
    }
}

/// Writes what fits. Returns the rest, or nothing if the stream is broken.
fn write_some<'a>(stream: &mut impl Write, mut bytes: &'a [u8]) -> &'a [u8] {
    while !bytes.is_empty() {
        match stream.write(bytes) {
            Ok(count @ 1..) => bytes = &bytes[count..],
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if is_timeout(&error) => return bytes,
            Ok(0) | Err(_) => return &[],
        }
    }
    bytes
}

/// Continues a write that has `begun` and did not take all of `bytes`.
#[cold]
fn write_rest(
    stream: &mut impl Write,
    mut bytes: &[u8],
    begun: io::Result<usize>,
    is_late: impl Fn() -> bool,
) -> io::Result<()> {
    let mut written = begun;
    let mut was_late = false;
    loop {
        match written {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(count) => {
                bytes = &bytes[count..];
                if bytes.is_empty() {
                    return Ok(());
                }
                // A write returns short when the socket's timeout ends it, and when the process is stopped and
                // continued. After a stop the time is up although the client reads: so it gets one write more.
                if is_late() && mem::replace(&mut was_late, true) {
                    return Err(TIMEOUT.into());
                }
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
        written = stream.write(bytes);
    }
}
