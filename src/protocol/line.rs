//! Line framing: whole lines out of a stream of reads, with a hard cap and without telnet commands.

use super::telnet::{IAC, Meaning, Refused, Telnet};
use super::{LF, find_break};

/// The memory that is kept from one line to the next, in bytes.
const KEPT: usize = 64 * 1024;

/// What the line framing found in its input.
#[derive(Debug, PartialEq, Eq)]
pub enum Found<'a> {
    /// A line, with its line feed and without telnet commands.
    Line(&'a [u8]),
    /// The peer offered or asked for a telnet option for the first time: send it these bytes.
    Refusal([u8; 3]),
    /// The line has grown over the cap. Nothing more is to be fed.
    TooLong,
}

/// Gathers lines. Its memory follows the longest line so far and is at most twice the cap.
///
/// ```
/// use hebra::protocol::{Found, LineFraming};
///
/// let mut lines = LineFraming::new(80);
/// let mut input: &[u8] = b"one\r\ntwo\nthr";
/// assert_eq!(lines.next(&mut input), Some(Found::Line(b"one\r\n")));
/// assert_eq!(lines.next(&mut input), Some(Found::Line(b"two\n")));
/// assert_eq!(lines.next(&mut input), None);
/// assert_eq!(lines.rest(), b"thr");
/// ```
#[derive(Debug)]
pub struct LineFraming {
    telnet: Telnet,
    refused: Refused,
    max_line: usize,
    line: Vec<u8>,
    /// Whether `line` was handed out and is to be forgotten.
    taken: bool,
}

impl LineFraming {
    /// Lines of up to `max_line` bytes, not counting the line feed.
    pub fn new(max_line: usize) -> Self {
        Self { telnet: Telnet::default(), refused: Refused::default(), max_line, line: Vec::new(), taken: false }
    }

    /// Bytes of memory that it holds.
    pub(crate) fn memory(&self) -> usize {
        self.line.capacity()
    }

    /// Gives back the memory that it does not need for the line that has begun.
    pub(crate) fn give_back(&mut self) {
        if std::mem::take(&mut self.taken) {
            self.line.clear();
        }
        self.line.shrink_to_fit();
    }

    /// Takes bytes off the front of `input` until something is found; `None` once `input` is empty.
    pub fn next<'a>(&'a mut self, input: &mut &[u8]) -> Option<Found<'a>> {
        if std::mem::take(&mut self.taken) {
            self.line.clear();
            // One long line is not to cost its memory for the rest of the session.
            self.line.shrink_to(KEPT);
        }
        while let [byte, rest @ ..] = *input {
            if self.telnet.is_data() {
                let (run, rest) = input.split_at(find_break(input));
                if !run.is_empty() {
                    if run.len() > self.max_line - self.line.len() {
                        return Some(Found::TooLong);
                    }
                    self.line.extend_from_slice(run);
                    *input = rest;
                    continue;
                }
            }
            *input = rest;
            let data: &[u8] = match self.telnet.feed(*byte) {
                Meaning::Pending | Meaning::Done => continue,
                Meaning::Refuse(refusal) => {
                    if self.refused.first_time(refusal) {
                        return Some(Found::Refusal(refusal));
                    }
                    continue;
                }
                Meaning::IacAndData => &[IAC, *byte],
                Meaning::Data => &[*byte],
            };
            let ends = data.last() == Some(&LF);
            if self.line.len() + data.len() - usize::from(ends) > self.max_line {
                return Some(Found::TooLong);
            }
            self.line.extend_from_slice(data);
            if ends {
                self.taken = true;
                return Some(Found::Line(&self.line));
            }
        }
        None
    }

    /// The cap, in bytes.
    pub fn max_line(&self) -> usize {
        self.max_line
    }

    /// What is left without a line feed at the end of the stream.
    pub fn rest(&self) -> &[u8] {
        if self.taken { &[] } else { &self.line }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_at_most_twice_the_cap() {
        // The cap is reached in steps that double and in steps that do not; then the line feed is added.
        for (max_line, step) in [(1024, 256), (1024, 7), (1000, 999), (8, 1)] {
            let mut framing = LineFraming::new(max_line);
            for mut piece in vec![b'x'; max_line].chunks(step).chain([b"\n".as_slice()]) {
                framing.next(&mut piece);
                assert!(framing.line.capacity() <= 2 * max_line, "{max_line} {step}");
            }
        }
    }
}
