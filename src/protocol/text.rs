//! The text framing: what one read returned, without its telnet commands.

use std::mem;

use super::bye::ByeDetector;
use super::decoder::Decoded;
use super::find_break;
use super::telnet::{HERE, IAC, Meaning, Refused, Telnet};

/// Removes telnet commands from reads, and answers them.
#[derive(Debug, Default)]
pub(super) struct TextDecoder {
    bye: ByeDetector,
    telnet: Telnet,
    refused: Refused,
    /// The answers to the commands of the last read.
    replies: Vec<u8>,
    /// The data of the last read.
    data: Vec<u8>,
    /// What is still to be returned of the last read, in this order.
    has_replies: bool,
    has_data: bool,
    said_bye: bool,
}

impl TextDecoder {
    pub(super) fn memory(&self) -> usize {
        self.data.capacity().max(self.replies.capacity())
    }

    /// Frees the memory of the last read.
    pub(super) fn release_memory(&mut self) {
        self.data = Vec::new();
        self.replies = Vec::new();
    }

    /// Takes the read `input`, and returns what was found in it piece by piece. Returns `None` once everything is
    /// returned.
    #[inline(never)]
    pub(super) fn next(&mut self, input: &mut &[u8]) -> Option<Decoded<'_>> {
        if !input.is_empty() {
            self.take(mem::take(input));
        }
        if mem::take(&mut self.has_replies) {
            return Some(Decoded::Reply(&self.replies));
        }
        if mem::take(&mut self.has_data) {
            return Some(Decoded::Message(&self.data));
        }
        mem::take(&mut self.said_bye).then_some(Decoded::Bye)
    }

    fn take(&mut self, read: &[u8]) {
        let before_bye = self.bye.feed(read);
        self.said_bye = before_bye.is_some();
        self.replies.clear();
        self.data.clear();
        let mut rest = &read[..before_bye.unwrap_or(read.len())];
        while let [byte, next @ ..] = rest {
            if self.telnet.is_data() {
                // The first byte may be a break that is data.
                let run = if *byte == IAC { 0 } else { find_break(next) + 1 };
                if run > 0 {
                    self.data.extend_from_slice(&rest[..run]);
                    rest = &rest[run..];
                    continue;
                }
            }
            rest = next;
            match self.telnet.feed(*byte) {
                Meaning::Pending | Meaning::Done => {}
                Meaning::Refuse(refusal) if self.refused.first_time(refusal) => {
                    self.replies.extend_from_slice(&refusal);
                }
                Meaning::Refuse(_) => {}
                Meaning::AreYouThere => self.replies.extend_from_slice(HERE),
                Meaning::IacAndData => self.data.extend_from_slice(&[IAC, *byte]),
                Meaning::Data => self.data.push(*byte),
            }
        }
        self.has_replies = !self.replies.is_empty();
        self.has_data = !self.data.is_empty();
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
            [b"<\xff\xfc\x06\xff\xfc\x06\xff\xfc\x01>".as_slice(), b"a\xffb"]
        );
        assert_eq!(
            decode(&[b"one\n\xff\xf6bye\r\0"]),
            [[b"<".as_slice(), HERE, b">"].concat(), b"one\n".to_vec(), b"Bye".to_vec()]
        );
        assert_eq!(decode(&[b"\xff\xfa\x18\x00", b"vt\xff\xf0ok"]), [b"ok"]);
    }
}
