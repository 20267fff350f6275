//! What is done with a client's messages: the [`Handler`] trait and the services that come with hebra.
//!
//! A handler runs on its client's worker thread and never sees the socket.

mod echo;
mod greet;
mod chat;
mod pace;

use std::io::{self, Write};

use crate::CloseReason;
pub use chat::{Member, Notice, Room, Seats};
pub use echo::Echo;
pub use greet::Greet;

/// What is to happen after a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Wait for the next message.
    Continue,
    /// Send what was written and end the session.
    Close,
}

/// One client's conversation. Each session has a handler of its own, so its fields are that session's state.
///
/// A panic in a handler ends its session and no other.
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
pub trait Handler: Send {
    /// The session begins: speaks first, or turns the client away. It says nothing unless it is overridden.
    ///
    /// # Errors
    ///
    /// As for [`Handler::message`].
    fn open(&mut self, _reply: &mut dyn Write) -> io::Result<Next> {
        Ok(Next::Continue)
    }

    /// Takes one message, as the configured [`Framing`](crate::Framing) defines it, and writes the answer.
    ///
    /// In [`Framing::Line`](crate::Framing::Line) the message ends with its line feed, except the last one
    /// of a stream that ends without. In the other framings each write is a system call, [`writeln!`] being
    /// one write: write an answer in one piece.
    ///
    /// # Errors
    ///
    /// An error ends the session. Errors of `reply` are best passed on with `?`: the session knows whether
    /// the client was too slow or gone.
    fn message(&mut self, message: &[u8], reply: &mut dyn Write) -> io::Result<Next>;

    /// Learns that the session has ended, and why. It is called last, and not after a panic, when the handler
    /// is only dropped.
    fn closed(&mut self, _reason: CloseReason) {}
}

impl<H: Handler + ?Sized> Handler for Box<H> {
    fn open(&mut self, reply: &mut dyn Write) -> io::Result<Next> {
        (**self).open(reply)
    }

    fn message(&mut self, message: &[u8], reply: &mut dyn Write) -> io::Result<Next> {
        (**self).message(message, reply)
    }

    fn closed(&mut self, reason: CloseReason) {
        (**self).closed(reason);
    }
}
