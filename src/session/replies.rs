//! [`Replies`]: what a handler writes to, and how its replies get to the client.

use std::io::{self, ErrorKind, Write};
use std::time::Duration;
use std::{fmt, mem};

use super::client_thread::{FramingState, Step, Surroundings};
use crate::CloseReason;
use crate::protocol::escape_into;

/// Replies of the line framing are gathered and sent when a read's lines are all answered, or at this size.
const HELD_REPLIES: usize = 64 * 1024;

/// What a handler writes to: straight to the stream, or gathered if messages may come many to a read.
pub(crate) struct Replies<'a, S> {
    pub(crate) stream: S,
    held: Option<Vec<u8>>,
    write_timeout: Option<Duration>,
    /// When the message arrived: where the time for the reply begins.
    pub(crate) heard: u64,
    pub(crate) around: &'a Surroundings<'a>,
    /// Why nothing can be written any more.
    pub(crate) failure: Option<CloseReason>,
}

impl<'a, S: Write> Replies<'a, S> {
    /// To `stream`, for a message heard now.
    pub(crate) fn new(
        stream: S,
        framing: &FramingState,
        write_timeout: Option<Duration>,
        around: &'a Surroundings<'a>,
    ) -> Self {
        let held = matches!(framing, FramingState::Line(_)).then(Vec::new);
        Self { stream, held, write_timeout, heard: around.pulse.now(), around, failure: None }
    }

    /// Sends all of `bytes`.
    fn send(&mut self, bytes: &[u8]) -> Step {
        if let Some(reason) = self.failure {
            return Err(reason);
        }
        let Self { stream, write_timeout, heard, around, .. } = self;
        let is_late = || write_timeout.is_some_and(|limit| around.pulse.since(*heard) >= limit);
        write_whole(stream, bytes, is_late).map_err(|error| self.fail(&error))
    }

    /// Nothing can be written any more; why.
    #[cold]
    fn fail(&mut self, error: &io::Error) -> CloseReason {
        let reason = self.around.reason(error, CloseReason::WriteTimeout);
        self.failure = Some(reason);
        reason
    }

    /// Lets `add` append to the replies that are held back, and sends them if they have become many.
    #[inline(never)]
    pub(crate) fn hold(&mut self, add: impl FnOnce(&mut Vec<u8>)) -> Step {
        let held = self.held.get_or_insert_default();
        add(held);
        if held.len() < HELD_REPLIES { Ok(()) } else { self.send_held() }
    }

    /// Sends what is held back.
    pub(crate) fn send_held(&mut self) -> Step {
        let mut held = match &mut self.held {
            Some(held) if !held.is_empty() => mem::take(held),
            _ => return Ok(()),
        };
        let step = self.send(&held);
        held.clear();
        // One long reply is not to cost its memory for the rest of the session.
        held.shrink_to(HELD_REPLIES);
        self.held = Some(held);
        step
    }

    /// Bytes that the larger of the line framing's buffers holds.
    pub(crate) fn memory(&self, framing: &FramingState) -> usize {
        match (framing, &self.held) {
            (FramingState::Line(lines), Some(held)) => lines.memory().max(held.capacity()),
            _ => 0,
        }
    }

    /// Gives back what these do not need.
    #[cold]
    pub(crate) fn give_back(&mut self, framing: &mut FramingState) {
        if let FramingState::Line(lines) = framing {
            lines.give_back();
        }
        if let Some(held) = &mut self.held {
            held.shrink_to_fit();
        }
    }

    /// Tells the client why its session ends, if it could not know. A raw stream carries nothing of ours.
    pub(crate) fn explain(&mut self, reason: CloseReason, framing: &FramingState) {
        let why = match (framing, reason) {
            (FramingState::Raw, _) => return,
            (FramingState::Line(lines), CloseReason::LineTooLong) => {
                format!("error: a line may have {} bytes\r\n", lines.max_line())
            }
            (_, CloseReason::IdleTimeout) => "idle: nothing was received for too long\r\n".to_owned(),
            (_, CloseReason::Yielded) => "idle: the worker is needed for another client\r\n".to_owned(),
            (_, CloseReason::Expired) => "error: the session has lasted too long\r\n".to_owned(),
            _ => return,
        };
        // A client that has not read its replies is not waited for: its worker may be needed. If it cannot be
        // told, the reason stays the same.
        (self.around.write_what_fits)();
        let _: Step = self.send(why.as_bytes());
    }
}

impl<S: Write> Write for Replies<'_, S> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_all(bytes)?;
        Ok(bytes.len())
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        let step = match self.held {
            _ if bytes.is_empty() => Ok(()),
            None => self.send(bytes),
            Some(_) => self.hold(|held| escape_into(bytes, held)),
        };
        step.map_err(|reason| io::Error::other(reason.to_string()))
    }

    /// Formats first, so that `writeln!` is one system call and not one for each piece.
    fn write_fmt(&mut self, arguments: fmt::Arguments<'_>) -> io::Result<()> {
        self.write_all(arguments.to_string().as_bytes())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.send_held().map_err(|reason| io::Error::other(reason.to_string()))
    }
}

/// How a socket's timeout looks, known to the library here only: `WouldBlock` on Unix, where `TimedOut` is a
/// connection whose peer has stopped answering; `TimedOut` on Windows.
const TIMEOUT: ErrorKind = if cfg!(windows) { ErrorKind::TimedOut } else { ErrorKind::WouldBlock };

/// Whether a socket's timeout has ended a read or a write.
pub(crate) fn is_timeout(error: &io::Error) -> bool {
    error.kind() == TIMEOUT
}

/// Writes all of `bytes`, in one system call unless the client is slow. A write that takes only a part is
/// continued unless it `is_late`, which is told as a timeout.
pub(crate) fn write_whole(stream: &mut impl Write, bytes: &[u8], is_late: impl Fn() -> bool) -> io::Result<()> {
    match stream.write(bytes) {
        Ok(count) if count == bytes.len() => Ok(()),
        begun => write_rest(stream, bytes, begun, is_late),
    }
}

/// Continues a write that has `begun` with not all of `bytes`.
#[cold]
fn write_rest(
    stream: &mut impl Write,
    mut bytes: &[u8],
    begun: io::Result<usize>,
    is_late: impl Fn() -> bool,
) -> io::Result<()> {
    let mut written = begun;
    loop {
        match written {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(count) => {
                bytes = &bytes[count..];
                if bytes.is_empty() {
                    return Ok(());
                }
                // A short write ends when the socket's timeout does, and when the process is stopped and
                // continued.
                if is_late() {
                    return Err(TIMEOUT.into());
                }
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
        written = stream.write(bytes);
    }
}
