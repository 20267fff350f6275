//! What is done with a client's messages: the [`Handler`] trait and the echo service.
//!
//! A handler runs on its client's worker and never sees the socket.

mod echo;

use std::borrow::Cow;
use std::io::{self, Write};

use crate::events::CloseReason;

pub use echo::Echo;

/// What happens after a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Next {
    /// The session waits for the next message.
    Continue,
    /// What was written is sent, and the session ends.
    Close,
    /// The same, as a fault on purpose: the log and the totals say so ([`CloseReason::FaultClose`]), and the client reads
    /// no farewell line. [`Faults`](crate::Faults) ends sessions with this and the next.
    FaultClose,
    /// What was written is sent, and the connection is reset, as a fault on purpose ([`CloseReason::FaultReset`]). The
    /// reset destroys what has not arrived yet. The client of a Unix socket sees a reset only if something that it had
    /// sent was still unread, and otherwise the end of the stream.
    FaultReset,
}

/// One side of one client's conversation. Each session has a handler of its own, so its fields are the state of
/// that session.
///
/// A panic in a handler ends its session and no other. What it answered before still reaches the client.
///
/// ```
/// use std::io::{self, Write};
/// use hebra::{Handler, Next};
///
/// /// Answers each message with its number.
/// #[derive(Default)]
/// struct Counter {
///     messages: u64,
/// }
///
/// impl Handler for Counter {
///     fn message(&mut self, _message: &[u8], reply: &mut dyn Write) -> io::Result<Next> {
///         self.messages += 1;
///         writeln!(reply, "{}", self.messages)?;
///         Ok(if self.messages < 10 { Next::Continue } else { Next::Close })
///     }
/// }
///
/// // A handler needs no server and no socket to be tested.
/// let mut reply = Vec::new();
/// let next = Counter::default().message(b"hello", &mut reply)?;
/// assert_eq!((next, reply.as_slice()), (Next::Continue, b"1\n".as_slice()));
/// # Ok::<(), io::Error>(())
/// ```
///
/// # Why it is shaped like this
///
/// - The session calls the handler, and not the other way round. A handler that read from the socket would have to
///   know about limits, timeouts and the stop; this way it cannot forget one, and it may block only as long as its
///   own work takes. One that has to wait does so with a [`Waiter`](crate::Waiter).
/// - A message is borrowed from the read buffer and an answer is written through a reference, so an echo copies and
///   allocates nothing. `reply` is a `dyn Write`, because a handler is the same whether its replies go straight to a
///   socket, are gathered, or are collected by a test.
/// - A handler is `Send`, because the worker that runs it is not the thread that made the factory. It is not
///   `Sync`: only its session uses it, so it needs no lock.
/// - The end is a call of its own ([`closed`](Self::closed)) and not `Drop`, because it carries the reason.
pub trait Handler: Send {
    /// Begins the session: the handler may speak first, or end the session. By default it says nothing.
    ///
    /// # Errors
    ///
    /// As for [`message`](Self::message).
    fn open(&mut self, _reply: &mut dyn Write) -> io::Result<Next> {
        Ok(Next::Continue)
    }

    /// Takes one message, as the configured [`Framing`](crate::Framing) defines it, and writes the answer.
    ///
    /// In the line framings the message ends with its line feed, except for the last one of a stream that ends
    /// without. In the other framings each write is a system call ([`writeln!`] is one write), so write an answer in
    /// one piece.
    ///
    /// # Errors
    ///
    /// An error ends the session. Pass errors of `reply` on with `?`: the session knows whether the client was too
    /// slow or gone. The text of any other error is reported as [`Event::HandlerFailed`](crate::Event::HandlerFailed).
    fn message(&mut self, message: &[u8], reply: &mut dyn Write) -> io::Result<Next>;

    /// Chooses the line that tells the client why its session ends; the session adds CR LF. `usual` is what hebra
    /// says; it is `None` if the client can know the reason. Return `None` to say nothing, for example if a line
    /// that was not asked for would break your protocol. By default it returns `usual`.
    ///
    /// It is not called in [`Framing::Raw`](crate::Framing::Raw), nor for a client that takes no replies any more. The
    /// line does not reach a client that is idle when the server stops ([`CloseReason::Shutdown`]), because the server
    /// sends such a client the end of the stream first and waits for the client to close.
    fn farewell(&mut self, _reason: CloseReason, usual: Option<Cow<'static, str>>) -> Option<Cow<'static, str>> {
        usual
    }

    /// Learns that the session has ended, and why. It is the last call, and is not made after a panic, when the
    /// handler is only dropped.
    fn closed(&mut self, _reason: CloseReason) {}
}

impl<H: Handler + ?Sized> Handler for Box<H> {
    fn open(&mut self, reply: &mut dyn Write) -> io::Result<Next> {
        (**self).open(reply)
    }

    fn message(&mut self, message: &[u8], reply: &mut dyn Write) -> io::Result<Next> {
        (**self).message(message, reply)
    }

    fn farewell(&mut self, reason: CloseReason, usual: Option<Cow<'static, str>>) -> Option<Cow<'static, str>> {
        (**self).farewell(reason, usual)
    }

    fn closed(&mut self, reason: CloseReason) {
        (**self).closed(reason);
    }
}
