//! `--prefix`: an echo whose lines begin with a text.

use std::io::{self, Write};
use std::sync::Arc;

use hebra::{Handler, Next};

/// The longest piece that is written at once, in bytes. A session must not keep much memory.
const LONGEST_PIECE: usize = 8 * 1024;

/// Echoes messages, with a text and a space at the beginning of each line of the stream. A message may end, and begin,
/// within a line.
#[derive(Debug)]
pub(super) struct PrefixedEcho {
    prefix: Arc<[u8]>,
    /// Whether the next byte begins a line.
    begins_line: bool,
    /// Whether the last byte was CR, so that NUL ends the line.
    is_after_cr: bool,
    /// What is to be written, so that a message is one write unless it is long.
    piece: Vec<u8>,
}

impl PrefixedEcho {
    /// Each line begins with `prefix`, as [`text`](Self::text) returns it.
    pub(super) fn new(prefix: &Arc<[u8]>) -> Self {
        Self { prefix: Arc::clone(prefix), begins_line: true, is_after_cr: false, piece: Vec::new() }
    }

    /// Returns what a line begins with: `prefix` and a space.
    pub(super) fn text(prefix: &str) -> Arc<[u8]> {
        format!("{prefix} ").into_bytes().into()
    }

    /// Returns the length of the line that `message` begins with, its end included, or of all of it.
    fn line_length(&mut self, message: &[u8]) -> usize {
        let is_end = |byte: &u8| {
            let ends = *byte == b'\n' || (*byte == 0 && self.is_after_cr);
            self.is_after_cr = *byte == b'\r';
            ends
        };
        let end = message.iter().position(is_end);
        self.begins_line = end.is_some();
        end.map_or(message.len(), |end| end + 1)
    }
}

impl Handler for PrefixedEcho {
    fn message(&mut self, mut message: &[u8], reply: &mut dyn Write) -> io::Result<Next> {
        while !message.is_empty() {
            if self.begins_line {
                put(&mut self.piece, &self.prefix, reply)?;
            }
            let (line, rest) = message.split_at(self.line_length(message));
            put(&mut self.piece, line, reply)?;
            message = rest;
        }
        reply.write_all(&self.piece)?;
        self.piece.clear();
        Ok(Next::Continue)
    }
}

/// Appends `bytes` to the piece, or writes them at once if they are many.
fn put(piece: &mut Vec<u8>, bytes: &[u8], reply: &mut dyn Write) -> io::Result<()> {
    if piece.len() + bytes.len() > LONGEST_PIECE {
        reply.write_all(piece)?;
        piece.clear();
    }
    if bytes.len() > LONGEST_PIECE {
        return reply.write_all(bytes);
    }
    piece.extend_from_slice(bytes);
    Ok(())
}

#[cfg(test)]
mod tests {
    use hebra::testing::Script;
    use hebra::{ClientThread, Framing, ServerConfig};

    use super::*;

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
        let long = vec![b'x'; 3 * LONGEST_PIECE];
        let feeds = vec![b'\n'; LONGEST_PIECE];
        let script = run(&[&long, b"\n", &feeds], Framing::Message);
        let expected = [b"one ", &long[..], b"\n", &b"one \n".repeat(LONGEST_PIECE)].concat();
        assert!(script.written() == expected);
        assert!(script.writes().iter().all(|write| write.len() <= long.len()));
    }
}
