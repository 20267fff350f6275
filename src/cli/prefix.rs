//! `--prefix`: an echo whose lines begin with a text.

use std::io::{self, Write};
use std::sync::Arc;

use hebra::protocol::LineEnds;
use hebra::{Handler, Next};

use super::pieces::Pieces;

/// Echoes messages, with a text and a space at the beginning of each line of the stream. A message may end, and begin,
/// within a line.
#[derive(Debug)]
pub(super) struct PrefixedEcho {
    prefix: Arc<[u8]>,
    ends: LineEnds,
    /// Whether the next byte begins a line.
    is_at_begin: bool,
    piece: Vec<u8>,
}

impl PrefixedEcho {
    /// Each line begins with `prefix`, as [`text`](Self::text) returns it.
    pub(super) fn new(prefix: &Arc<[u8]>) -> Self {
        Self { prefix: Arc::clone(prefix), ends: LineEnds::default(), is_at_begin: true, piece: Vec::new() }
    }

    /// Returns what a line begins with: `prefix` and a space.
    pub(super) fn text(prefix: &str) -> Arc<[u8]> {
        format!("{prefix} ").into_bytes().into()
    }
}

impl Handler for PrefixedEcho {
    fn message(&mut self, mut message: &[u8], reply: &mut dyn Write) -> io::Result<Next> {
        let mut pieces = Pieces::new(&mut self.piece, reply);
        while !message.is_empty() {
            if self.is_at_begin {
                pieces.write_all(&self.prefix)?;
            }
            let end = self.ends.next(message);
            self.is_at_begin = end.is_some();
            let (line, rest) = message.split_at(end.unwrap_or(message.len()));
            pieces.write_all(line)?;
            message = rest;
        }
        pieces.flush()?;
        Ok(Next::Continue)
    }
}

#[cfg(test)]
mod tests {
    use hebra::testing::Script;
    use hebra::{ClientThread, Framing, ServerConfig};

    use super::*;
    use crate::cli::pieces::LONGEST;

    fn run(reads: &[&[u8]], framing: Framing) -> Script {
        let mut script = Script::reads(reads);
        let echo = PrefixedEcho::new(&PrefixedEcho::text("one"));
        ClientThread::new(&mut script, echo, &ServerConfig::default().framing(framing)).run();
        script
    }

    #[test]
    fn each_line_has_one_prefix_however_the_stream_is_cut() {
        let stream = b"a\nbc\r\n\n\r\0d\0\r\0last";
        let expected: &[u8] = b"one a\none bc\r\none \none \r\0one d\0\r\0one last";
        for first in 0..=stream.len() {
            for second in first..=stream.len() {
                let reads = [&stream[..first], &stream[first..second], &stream[second..]];
                // An empty read is the end.
                let reads: Vec<&[u8]> = reads.into_iter().filter(|read| !read.is_empty()).collect();
                for framing in [Framing::Message, Framing::Line] {
                    assert_eq!(run(&reads, framing).written(), expected, "{first} {second} {framing:?}");
                }
            }
        }
    }

    #[test]
    fn a_message_is_answered_at_once_and_with_one_write() {
        let script = run(&[b"hel", b"lo\nwor", b"ld\n"], Framing::Message);
        assert_eq!(script.writes(), [b"one hel".as_slice(), b"lo\none wor", b"ld\n"]);
    }

    #[test]
    fn a_long_message_is_written_in_pieces() {
        let long = vec![b'x'; 3 * LONGEST];
        let feeds = vec![b'\n'; LONGEST];
        let script = run(&[&long, b"\n", &feeds], Framing::Message);
        let expected = [b"one ", &long[..], b"\n", &b"one \n".repeat(LONGEST)].concat();
        assert!(script.written() == expected);
        assert!(script.writes().iter().all(|write| write.len() <= long.len()));
    }
}
