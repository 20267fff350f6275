//! `--prefix`: an echo whose lines begin with a text.

use std::io::{self, Write};
use std::sync::Arc;

use hebra::{Handler, Next};

use super::pieces::Pieces;

/// Echoes messages, with a text and a space at the beginning of each line of the stream. A message may end, and begin,
/// within a line.
#[derive(Debug)]
pub(super) struct PrefixedEcho {
    prefix: Arc<[u8]>,
    lines: Lines,
    piece: Vec<u8>,
}

impl PrefixedEcho {
    /// Each line begins with `prefix`, as [`text`](Self::text) returns it.
    pub(super) fn new(prefix: &Arc<[u8]>) -> Self {
        let lines = Lines { is_at_begin: true, is_after_cr: false };
        Self { prefix: Arc::clone(prefix), lines, piece: Vec::new() }
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
            if self.lines.is_at_begin {
                pieces.write_all(&self.prefix)?;
            }
            let (line, rest) = message.split_at(self.lines.next_length(message));
            pieces.write_all(line)?;
            message = rest;
        }
        pieces.flush()?;
        Ok(Next::Continue)
    }
}

/// The lines of a stream, which end as those that the server decodes do.
#[derive(Debug)]
struct Lines {
    /// Whether the next byte begins a line.
    is_at_begin: bool,
    /// Whether the last byte was CR, so that NUL ends the line.
    is_after_cr: bool,
}

impl Lines {
    /// Takes the rest of a line, its end included, off the front of `message`, or all of `message`. Returns the length.
    fn next_length(&mut self, message: &[u8]) -> usize {
        let end = message.iter().position(|byte| {
            let ends = *byte == b'\n' || (*byte == 0 && self.is_after_cr);
            self.is_after_cr = *byte == b'\r';
            ends
        });
        self.is_at_begin = end.is_some();
        end.map_or(message.len(), |end| end + 1)
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
