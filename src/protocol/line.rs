//! The line framings: whole lines out of a stream of reads, with a hard limit.

use std::mem;

use super::bye::is_bye;
use super::decoder::Decoded;
use super::telnet::{Answers, IAC, Meaning, Telnet};
use super::{CR, LF, NUL, find_break};

/// The memory that is kept from one line to the next, in bytes: one long line must not cost its memory for the rest
/// of the session.
const KEPT_CAPACITY: usize = 64 * 1024;

/// Gathers lines. Its memory follows the longest line and is at most twice the limit.
#[derive(Debug)]
pub(super) struct LineDecoder {
    /// Whether telnet commands are removed and `bye` is found.
    is_special: bool,
    telnet: Telnet,
    answers: Answers,
    max_line: usize,
    line: Vec<u8>,
    /// Whether `line` was handed out and must be cleared before the next byte.
    handed_out: bool,
}

impl LineDecoder {
    /// Lines of up to `max_line` bytes, without the line feed. With `is_special`, telnet commands are removed and `bye`
    /// is found.
    pub(super) fn new(max_line: usize, is_special: bool) -> Self {
        Self {
            is_special,
            telnet: Telnet::default(),
            answers: Answers::default(),
            max_line,
            line: Vec::new(),
            handed_out: false,
        }
    }

    pub(super) fn max_line(&self) -> usize {
        self.max_line
    }

    pub(super) fn memory(&self) -> usize {
        self.line.capacity()
    }

    pub(super) fn release_memory(&mut self) {
        if mem::take(&mut self.handed_out) {
            self.line.clear();
        }
        self.line.shrink_to_fit();
    }

    /// Takes bytes from the front of `input` until something is found. Returns `None` once `input` is empty.
    #[inline(never)]
    pub(super) fn next(&mut self, input: &mut &[u8]) -> Option<Decoded<'_>> {
        if mem::take(&mut self.handed_out) {
            self.line.clear();
            self.line.shrink_to(KEPT_CAPACITY);
        }
        while let [byte, rest @ ..] = *input {
            if self.telnet.is_data() && !self.is_after_cr() {
                let (run, rest) = input.split_at(find_break(input));
                if !run.is_empty() {
                    if run.len() > self.max_line - self.line.len() {
                        return Some(Decoded::TooLong);
                    }
                    self.line.extend_from_slice(run);
                    *input = rest;
                    continue;
                }
            }
            *input = rest;
            let meaning = if self.is_special { self.telnet.feed(*byte) } else { Meaning::Data };
            let data: &[u8] = match meaning {
                Meaning::Pending | Meaning::Done => continue,
                Meaning::Refuse(_) | Meaning::AreYouThere => {
                    if self.answers.take(meaning) {
                        return Some(Decoded::Reply(self.answers.last()));
                    }
                    continue;
                }
                Meaning::IacAndData => &[IAC, *byte],
                Meaning::Data => &[*byte],
            };
            let ends = *byte == LF || (data == [NUL] && self.is_after_cr());
            // The byte that ends a line does not count.
            if self.line.len() + data.len() - usize::from(ends) > self.max_line {
                return Some(Decoded::TooLong);
            }
            self.line.extend_from_slice(data);
            if ends {
                return Some(self.hand_out());
            }
        }
        None
    }

    /// Returns whether a NUL would end the line now.
    fn is_after_cr(&self) -> bool {
        self.is_special && self.line.last() == Some(&CR)
    }

    /// Returns whether a line was begun and has no line feed yet.
    pub(super) fn has_rest(&self) -> bool {
        !self.handed_out && !self.line.is_empty()
    }

    /// Returns what is left without a line feed at the end of the stream.
    pub(super) fn finish(&mut self) -> Option<Decoded<'_>> {
        self.has_rest().then(|| self.hand_out())
    }

    fn hand_out(&mut self) -> Decoded<'_> {
        self.handed_out = true;
        if self.is_special && is_bye(&self.line) { Decoded::Bye } else { Decoded::Message(&self.line) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_at_most_twice_the_limit() {
        // The limit is reached in steps that double and in steps that do not; then the line feed is added.
        for (max_line, step) in [(1024, 256), (1024, 7), (1000, 999), (8, 1)] {
            let mut decoder = LineDecoder::new(max_line, true);
            for mut piece in vec![b'x'; max_line].chunks(step).chain([b"\n".as_slice()]) {
                decoder.next(&mut piece);
                assert!(decoder.line.capacity() <= 2 * max_line, "{max_line} {step}");
            }
        }
    }

    #[test]
    fn nothing_but_the_line_feed_is_special_in_plain_lines() {
        let mut decoder = LineDecoder::new(80, false);
        let mut input: &[u8] = b"bye\n\xff\xfd\x06\n\xff\xff";
        assert_eq!(decoder.next(&mut input), Some(Decoded::Message(b"bye\n")));
        assert_eq!(decoder.next(&mut input), Some(Decoded::Message(b"\xff\xfd\x06\n")));
        assert_eq!(decoder.next(&mut input), None);
        assert_eq!(decoder.finish(), Some(Decoded::Message(b"\xff\xff")));
    }
}
