//! The text framing: what one read returned, without its telnet commands.

use std::mem;

use super::bye::ByeDetector;
use super::decoder::Decoded;
use super::find_break;
use super::telnet::{Answers, IAC, Meaning, Telnet};

/// Removes telnet commands from reads, and answers them.
#[derive(Debug, Default)]
pub(super) struct TextDecoder {
    bye: ByeDetector,
    telnet: Telnet,
    answers: Answers,
    /// The message that was handed out last.
    message: Vec<u8>,
    /// Bytes of the read that are still to be decoded: those before `bye`, if it was said.
    left: usize,
    /// What is to be returned when they are.
    owes_reply: bool,
    owes_bye: bool,
}

impl TextDecoder {
    pub(super) fn memory(&self) -> usize {
        self.message.capacity()
    }

    /// Frees the memory of the last message.
    pub(super) fn release_memory(&mut self) {
        self.message = Vec::new();
    }

    /// Takes bytes from the front of `input` until something is found. Returns `None` once `input` is empty and
    /// everything in it was returned. `input` must be a whole read when the read before is empty.
    #[inline(never)]
    pub(super) fn next(&mut self, input: &mut &[u8]) -> Option<Decoded<'_>> {
        if mem::take(&mut self.owes_reply) {
            return Some(Decoded::Reply(self.answers.last()));
        }
        if self.left == 0 && !self.owes_bye && !input.is_empty() {
            let before_bye = self.bye.feed(input);
            self.owes_bye = before_bye.is_some();
            self.left = before_bye.unwrap_or(input.len());
        }
        self.message.clear();
        while self.left > 0 && !self.owes_reply {
            self.owes_reply = self.take(input);
        }
        if !self.message.is_empty() {
            Some(Decoded::Message(&self.message))
        } else if mem::take(&mut self.owes_reply) {
            Some(Decoded::Reply(self.answers.last()))
        } else if mem::take(&mut self.owes_bye) {
            *input = &[];
            Some(Decoded::Bye)
        } else {
            None
        }
    }

    /// Takes a run of data, or one byte. Returns whether that was the end of a command which must be answered.
    fn take(&mut self, input: &mut &[u8]) -> bool {
        // What is data is so whether or not it ends a line.
        let run = if self.telnet.is_data() { find_break(&input[..self.left]) } else { 0 };
        let (taken, rest) = input.split_at(run.max(1));
        *input = rest;
        self.left -= taken.len();
        if run > 0 {
            self.message.extend_from_slice(taken);
            return false;
        }
        let meaning = self.telnet.feed(taken[0]);
        match meaning {
            Meaning::Pending | Meaning::Done => {}
            Meaning::IacAndData => self.message.extend_from_slice(&[IAC, taken[0]]),
            Meaning::Data => self.message.push(taken[0]),
            Meaning::Refuse(_) | Meaning::AreYouThere => return self.answers.take(meaning),
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is found in reads: messages as they are, answers in brackets.
    fn decode(reads: &[&[u8]]) -> Vec<Vec<u8>> {
        let mut decoder = TextDecoder::default();
        let mut found = Vec::new();
        for mut read in reads.iter().copied() {
            while let Some(decoded) = decoder.next(&mut read) {
                found.push(match decoded {
                    Decoded::Message(message) => message.to_vec(),
                    Decoded::Reply(reply) => [b"<", reply, b">"].concat(),
                    other => format!("{other:?}").into_bytes(),
                });
            }
        }
        found
    }

    #[test]
    fn commands_are_removed_and_answered_and_the_rest_is_one_message() {
        assert_eq!(
            decode(&[b"hello", b"\xff\xfb\x1f", b"wor\xff\xf1ld\r\n"]),
            [b"hello".as_slice(), b"<\xff\xfe\x1f>", b"world\r\n"]
        );
        // Two timing marks are two questions, an option is refused once, and 255 is doubled on the way.
        assert_eq!(
            decode(&[b"\xff\xfd\x06\xff\xfd\x06\xff\xfd\x01\xff\xfd\x01a\xff\xffb"]),
            [b"<\xff\xfc\x06>".as_slice(), b"<\xff\xfc\x06>", b"<\xff\xfc\x01>", b"a\xffb"]
        );
        assert_eq!(decode(&[b"one\n\xff\xf6bye\r\0"]), [b"one\n".as_slice(), b"<hebra: yes, here\r\n>", b"Bye"]);
        assert_eq!(decode(&[b"\xff\xfa\x18\x00", b"vt\xff\xf0ok"]), [b"ok"]);
    }
}
