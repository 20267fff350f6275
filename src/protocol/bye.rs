//! Where a client says `bye`, the only place that knows the word.
//!
//! In the message framing there are two rules, and the session ends by whichever holds first:
//!
//! - a whole read, trimmed of ASCII white space and NUL, is `bye`; or
//! - a complete line is `bye` after trimming, however it was cut into reads or packed with others.
//!
//! The line framing has the second rule alone. Telnet commands are ignored by both rules; an IAC that begins no
//! command is data of the read that shows it. One matcher of three letters serves both: for the first rule it
//! starts anew at each read, for the second at each line feed.

use super::telnet::{Meaning, Telnet};
use super::{CR, NUL, ends_line, find_break};

/// Whether the text since a starting point, trimmed of ASCII white space and NUL, is `bye`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Word {
    /// Only white space so far.
    #[default]
    Blank,
    B,
    By,
    /// `bye`, and only white space around it.
    Bye,
    /// Cannot become `bye` any more.
    Other,
}

impl Word {
    fn push(&mut self, byte: u8) {
        *self = match (*self, byte) {
            (Self::Blank, byte) if is_blank(byte) => Self::Blank,
            (Self::Blank, b'b') => Self::B,
            (Self::B, b'y') => Self::By,
            (Self::By, b'e') => Self::Bye,
            (Self::Bye, byte) if is_blank(byte) => Self::Bye,
            _ => Self::Other,
        };
    }
}

fn is_blank(byte: u8) -> bool {
    byte.is_ascii_whitespace() || byte == NUL
}

/// Returns whether a whole line is `bye` after trimming.
pub(super) fn is_bye(line: &[u8]) -> bool {
    let mut word = Word::default();
    line.iter().all(|byte| {
        word.push(*byte);
        word != Word::Other
    }) && word == Word::Bye
}

/// Finds `bye` in a stream of reads, in constant memory however long a line is.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ByeDetector {
    telnet: Telnet,
    line: Word,
    /// Whether the last byte of data was a carriage return.
    after_cr: bool,
}

impl ByeDetector {
    /// Takes what one read returned. `Some(n)`: the client said `bye`, and the first `n` bytes of this read came
    /// before it and must still be answered.
    ///
    /// The white space around `bye` belongs to it; telnet commands and whole lines before it do not.
    pub(super) fn feed(&mut self, read: &[u8]) -> Option<usize> {
        let mut whole = Word::Blank;
        // Where `bye` begins in this read, should the line or the whole read turn out to be `bye`. The two
        // differ when this read ends a line that earlier ones began.
        let (mut line_start, mut whole_start) = (0, 0);
        let mut at = 0;
        while at < read.len() {
            if self.telnet.is_data() && !self.after_cr && self.line == Word::Other && whole == Word::Other {
                // Only the end of this line or a telnet command can change anything.
                let run = find_break(&read[at..]);
                at += run;
                self.after_cr = run > 0 && read[at - 1] == CR;
                if at == read.len() {
                    break;
                }
            }
            let byte = read[at];
            at += 1;
            match self.telnet.feed(byte) {
                Meaning::Pending => continue,
                Meaning::Done | Meaning::Refuse(_) | Meaning::AreYouThere => {
                    if self.line == Word::Blank {
                        line_start = at;
                    }
                    if whole == Word::Blank {
                        whole_start = at;
                    }
                    continue;
                }
                Meaning::IacAndData => {
                    self.line = Word::Other;
                    whole = Word::Other;
                    self.after_cr = false;
                }
                Meaning::Data => {}
            }
            whole.push(byte);
            let ends_line = ends_line(if self.after_cr { CR } else { 0 }, byte);
            self.after_cr = byte == CR;
            if ends_line {
                if self.line == Word::Bye {
                    return Some(line_start);
                }
                self.line = Word::Blank;
                line_start = at;
                if whole == Word::Blank {
                    whole_start = at;
                }
            } else {
                self.line.push(byte);
            }
        }
        (whole == Word::Bye).then_some(whole_start)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_bye_if_only_white_space_is_around_the_word() {
        for line in ["bye", "bye\n", " \tbye \r\n", "\x0cbye", "bye\r\0", "\0bye\0\0\0"] {
            assert!(is_bye(line.as_bytes()), "{line:?}");
        }
        for line in ["", "\n", "by", "goodbye", "bye now", "byebye", "BYE", "b ye"] {
            assert!(!is_bye(line.as_bytes()), "{line:?}");
        }
    }
}
