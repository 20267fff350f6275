//! The decoder: from what reads return to messages, for every framing.

use std::mem;

use super::bye::ByeDetector;
use super::line::LineDecoder;
use super::telnet;
use super::text::TextDecoder;

/// What a message is, and whether anything in the stream is special.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Framing {
    /// A message is what one read returned. `bye` ends the session. Telnet commands are passed on with the
    /// message, but the search for `bye` ignores them.
    #[default]
    Message,
    /// A message is what one read returned without its telnet commands, for services whose text people read. `bye` ends
    /// the session. Options are refused; a read in which a command is answered is a message before and one after it.
    Text,
    /// A message is a line, including its end: LF, CR LF or CR NUL. `bye` ends the session. Telnet commands are removed
    /// and options are refused. A line longer than [`max_line`](crate::ServerConfig::max_line) ends the session.
    Line,
    /// A message is a line, including its line feed, and nothing else is special: for line protocols with their
    /// own commands. A line longer than [`max_line`](crate::ServerConfig::max_line) ends the session.
    PlainLine,
    /// A message is what one read returned, and nothing is special (RFC 862).
    Raw,
}

impl Framing {
    /// Returns whether one read can hold many messages, so that their replies are worth gathering.
    pub(crate) fn gathers_replies(self) -> bool {
        matches!(self, Self::Text | Self::Line | Self::PlainLine)
    }

    /// Appends `reply` to `out` in the form in which a client of this framing must receive it.
    ///
    /// In [`Framing::Line`] and [`Framing::Text`] the client may speak telnet, so each byte of value 255 is doubled
    /// (RFC 854).
    pub fn encode(self, reply: &[u8], out: &mut Vec<u8>) {
        match self {
            Self::Line | Self::Text => telnet::escape_into(reply, out),
            Self::Message | Self::PlainLine | Self::Raw => out.extend_from_slice(reply),
        }
    }
}

/// What a [`Decoder`] found in its input.
#[derive(Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Decoded<'a> {
    /// A message for the handler. A line includes its line feed, and no telnet commands.
    Message(&'a [u8]),
    /// An answer to a telnet command, which the client must receive as it is.
    Reply(&'a [u8]),
    /// The client said `bye`. The decoder must not be fed again.
    Bye,
    /// The line has grown longer than the limit. The decoder must not be fed again.
    TooLong,
}

/// Turns reads into messages.
///
/// The line framings gather a line in memory, which grows with the longest line and is at most twice the limit.
///
/// ```
/// use hebra::protocol::{Decoded, Decoder};
/// use hebra::Framing;
///
/// let mut decoder = Decoder::new(Framing::Line, 80);
/// let mut input: &[u8] = b"one\r\ntwo\nbye\nnot decoded";
/// assert_eq!(decoder.next(&mut input), Some(Decoded::Message(b"one\r\n")));
/// assert_eq!(decoder.next(&mut input), Some(Decoded::Message(b"two\n")));
/// assert_eq!(decoder.next(&mut input), Some(Decoded::Bye));
///
/// // Typed letter by letter, `bye` is found at the end of its line.
/// let mut decoder = Decoder::new(Framing::Message, 80);
/// for mut piece in [b"b".as_slice(), b"ye"] {
///     assert!(matches!(decoder.next(&mut piece), Some(Decoded::Message(_))));
/// }
/// assert_eq!(decoder.next(&mut b"\r\n".as_slice()), Some(Decoded::Bye));
/// ```
#[derive(Debug)]
pub struct Decoder(Kind);

#[derive(Debug)]
enum Kind {
    Message {
        bye: ByeDetector,
        /// `bye` was found, and what came before it was handed out.
        said: bool,
    },
    Text(TextDecoder),
    Line(LineDecoder),
    Raw,
}

impl Decoder {
    /// A decoder at the beginning of a stream. `max_line` limits the length of a line in bytes, without its line
    /// feed; the other framings ignore it.
    #[must_use]
    pub fn new(framing: Framing, max_line: usize) -> Self {
        Self(match framing {
            Framing::Message => Kind::Message { bye: ByeDetector::default(), said: false },
            Framing::Text => Kind::Text(TextDecoder::default()),
            Framing::Line => Kind::Line(LineDecoder::new(max_line, true)),
            Framing::PlainLine => Kind::Line(LineDecoder::new(max_line, false)),
            Framing::Raw => Kind::Raw,
        })
    }

    /// Takes bytes from the front of `input`, which is what one read returned, until something is found.
    /// Returns `None` once `input` is empty.
    #[inline(always)]
    pub fn next<'a, 'i: 'a>(&'a mut self, input: &mut &'i [u8]) -> Option<Decoded<'a>> {
        let before = match &mut self.0 {
            Kind::Line(lines) => return lines.next(input),
            Kind::Text(text) => return text.next(input),
            _ if input.is_empty() => return None,
            Kind::Message { said: true, .. } => Some(0),
            Kind::Message { bye, said } => {
                let before = bye.feed(input);
                *said = before.is_some();
                before
            }
            Kind::Raw => None,
        };
        match before {
            None => Some(Decoded::Message(mem::take(input))),
            Some(0) => {
                *input = &[];
                Some(Decoded::Bye)
            }
            Some(before) => {
                let (message, rest) = input.split_at(before);
                *input = rest;
                Some(Decoded::Message(message))
            }
        }
    }

    /// Ends the stream: returns the line that was begun and has no line feed, if there is one.
    pub fn finish(&mut self) -> Option<Decoded<'_>> {
        match &mut self.0 {
            Kind::Line(lines) => lines.finish(),
            Kind::Message { .. } | Kind::Text(_) | Kind::Raw => None,
        }
    }

    /// Returns whether [`finish`](Self::finish) would return something.
    pub(crate) fn has_rest(&self) -> bool {
        matches!(&self.0, Kind::Line(lines) if lines.has_rest())
    }

    /// Returns the longest line in bytes, without its line feed; 0 in the framings that have no lines.
    #[must_use]
    pub fn max_line(&self) -> usize {
        match &self.0 {
            Kind::Line(lines) => lines.max_line(),
            Kind::Message { .. } | Kind::Text(_) | Kind::Raw => 0,
        }
    }

    /// Returns the bytes of memory that the decoder holds on the heap.
    pub(crate) fn memory(&self) -> usize {
        match &self.0 {
            Kind::Line(lines) => lines.memory(),
            Kind::Text(text) => text.memory(),
            Kind::Message { .. } | Kind::Raw => 0,
        }
    }

    /// Frees the memory that the line begun so far does not need.
    pub(crate) fn release_memory(&mut self) {
        match &mut self.0 {
            Kind::Line(lines) => lines.release_memory(),
            Kind::Text(text) => text.release_memory(),
            Kind::Message { .. } | Kind::Raw => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_line_framings_keep_something_from_one_read_to_the_next() {
        for (framing, keeps) in [
            (Framing::Message, false),
            (Framing::Text, false),
            (Framing::Line, true),
            (Framing::PlainLine, true),
            (Framing::Raw, false),
        ] {
            let mut decoder = Decoder::new(framing, 80);
            assert_eq!(decoder.max_line(), if keeps { 80 } else { 0 });
            let mut read: &[u8] = b"half a line";
            let found = decoder.next(&mut read);
            assert_eq!(found, (!keeps).then_some(Decoded::Message(b"half a line")), "{framing:?}");
            assert_eq!((read, decoder.next(&mut read)), (&[][..], None), "{framing:?}");
            assert_eq!(decoder.has_rest(), keeps, "{framing:?}");
            assert_eq!(decoder.finish().is_some(), keeps, "{framing:?}");
        }
    }

    #[test]
    fn what_comes_before_bye_is_a_message_and_what_comes_after_it_is_none() {
        let mut decoder = Decoder::new(Framing::Message, 80);
        let mut read: &[u8] = b"one\nbye\ntwo\n";
        assert_eq!(decoder.next(&mut read), Some(Decoded::Message(b"one\n")));
        assert_eq!(decoder.next(&mut read), Some(Decoded::Bye));
        assert_eq!((read, decoder.next(&mut read)), (&[][..], None));
    }

    #[test]
    fn the_memory_of_a_long_read_or_line_is_freed() {
        for framing in [Framing::Text, Framing::Line] {
            let mut decoder = Decoder::new(framing, 8000);
            assert_eq!(decoder.memory(), 0);
            let mut read: &[u8] = &[[b'x'; 5000].as_slice(), b"\n"].concat();
            while decoder.next(&mut read).is_some() {}
            assert!(decoder.memory() >= 5000, "{framing:?}");
            decoder.release_memory();
            assert_eq!(decoder.memory(), 0, "{framing:?}");
        }
        let mut raw = Decoder::new(Framing::Raw, 8000);
        raw.next(&mut [b'x'; 5000].as_slice());
        assert_eq!(raw.memory(), 0);
    }

    #[test]
    fn replies_are_gathered_and_escaped_where_a_read_may_hold_many_messages_and_telnet() {
        for (framing, gathers, encoded) in [
            (Framing::Message, false, b"\xff".as_slice()),
            (Framing::Text, true, b"\xff\xff"),
            (Framing::Line, true, b"\xff\xff"),
            (Framing::PlainLine, true, b"\xff"),
            (Framing::Raw, false, b"\xff"),
        ] {
            let mut out = Vec::new();
            framing.encode(b"\xff", &mut out);
            assert_eq!((framing.gathers_replies(), out.as_slice()), (gathers, encoded), "{framing:?}");
        }
    }
}
