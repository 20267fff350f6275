//! Telnet commands (RFC 854, RFC 855): where they begin and end in a stream of bytes.
//!
//! This module knows the shape of the commands and no option: hebra refuses every option that it is offered.

/// "Interpret as command": the byte that begins every telnet command.
pub(crate) const IAC: u8 = 255;

/// The lowest byte that is a command after [`IAC`]: 240 to 255 are of RFC 854, 239 (end of record) of
/// RFC 885, 236 to 238 (end of file, suspend, abort) of RFC 1184. Lower values were never assigned, so an IAC
/// before one is a data byte: text in an 8-bit character set keeps its line ends.
const LOWEST_COMMAND: u8 = 236;

const SE: u8 = 240;
/// Are You There: the peer wants something that can be seen (RFC 854; RFC 1123, 3.2.3).
const AYT: u8 = 246;
const SB: u8 = 250;
const WILL: u8 = 251;
const WONT: u8 = 252;
const DO: u8 = 253;
const DONT: u8 = 254;

/// Timing mark (RFC 860). Each request is a question of its own: telnet clients discard what they receive after Ctrl-C until
/// it is answered.
const TIMING_MARK: u8 = 6;

/// The answer to Are You There.
const HERE: &[u8] = b"hebra: yes, here\r\n";

/// How long a subnegotiation may be, in bytes. No option is ever agreed to, so none should come; one without an end must not
/// hide what is typed after it for ever.
const LONGEST_SUBNEGOTIATION: u8 = 128;

/// What a byte turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// A data byte. `IAC IAC` is one data byte of value 255.
    Data,
    /// The IAC before this byte began no command: both are data.
    IacAndData,
    /// Part of a command that goes on.
    Pending,
    /// The last byte of a command.
    Done,
    /// The last byte of Are You There.
    AreYouThere,
    /// The last byte of a command by which the peer offers (`WILL`) or asks for (`DO`) an option: these
    /// three bytes refuse it.
    Refuse([u8; 3]),
}

/// Follows telnet commands byte by byte, in constant memory, however the bytes are cut into reads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Telnet {
    /// Outside any command.
    #[default]
    Data,
    /// After IAC.
    Command,
    /// After IAC and WILL, WONT, DO or DONT: the option is next.
    Option(u8),
    /// Inside a subnegotiation of so many bytes so far. It ends at IAC SE, or when it is too long.
    Subnegotiation(u8),
    /// The same, after IAC.
    SubnegotiationCommand(u8),
}

impl Telnet {
    /// Whether the next byte may be data.
    pub(crate) fn is_data(self) -> bool {
        self == Self::Data
    }

    /// Takes one byte and says what it is.
    pub(crate) fn feed(&mut self, byte: u8) -> Meaning {
        let (next, meaning) = match (*self, byte) {
            (Self::Data, IAC) => (Self::Command, Meaning::Pending),
            (Self::Data, _) => (Self::Data, Meaning::Data),
            (Self::Command, IAC) => (Self::Data, Meaning::Data),
            (Self::Command, SB) => (Self::Subnegotiation(0), Meaning::Pending),
            (Self::Command, AYT) => (Self::Data, Meaning::AreYouThere),
            (Self::Command, WILL | WONT | DO | DONT) => (Self::Option(byte), Meaning::Pending),
            (Self::Command, LOWEST_COMMAND..) => (Self::Data, Meaning::Done),
            (Self::Command, _) => (Self::Data, Meaning::IacAndData),
            (Self::Option(WILL), _) => (Self::Data, Meaning::Refuse([IAC, DONT, byte])),
            (Self::Option(DO), _) => (Self::Data, Meaning::Refuse([IAC, WONT, byte])),
            (Self::Option(_), _) => (Self::Data, Meaning::Done),
            (Self::SubnegotiationCommand(_), SE) => (Self::Data, Meaning::Done),
            // Also at the limit, because it may begin the end.
            (Self::Subnegotiation(length), IAC) => (Self::SubnegotiationCommand(length + 1), Meaning::Pending),
            (
                Self::Subnegotiation(LONGEST_SUBNEGOTIATION..)
                | Self::SubnegotiationCommand(LONGEST_SUBNEGOTIATION..),
                _,
            ) => (Self::Data, Meaning::Done),
            (Self::Subnegotiation(length) | Self::SubnegotiationCommand(length), _) => {
                (Self::Subnegotiation(length + 1), Meaning::Pending)
            }
        };
        *self = next;
        meaning
    }
}

/// What is answered to commands. Each option is refused once, so that no pair of programs can refuse for ever.
#[derive(Clone, Debug, Default)]
pub(crate) struct Answers {
    wont: [u64; 4],
    dont: [u64; 4],
    /// The last refusal; `None` if the last answer was [`HERE`].
    refusal: Option<[u8; 3]>,
}

impl Answers {
    /// Takes a command. Returns whether it must be answered, with [`last`](Self::last).
    pub(crate) fn take(&mut self, meaning: Meaning) -> bool {
        self.refusal = match meaning {
            Meaning::AreYouThere => None,
            Meaning::Refuse(refusal) if self.is_new(refusal) => Some(refusal),
            _ => return false,
        };
        true
    }

    /// Returns the answer to the last command that needed one.
    pub(crate) fn last(&self) -> &[u8] {
        self.refusal.as_ref().map_or(HERE, <[u8; 3]>::as_slice)
    }

    /// Records `refusal`. Returns `false` if it was recorded before and need not be sent again.
    fn is_new(&mut self, [_, verb, option]: [u8; 3]) -> bool {
        if option == TIMING_MARK && verb == WONT {
            return true;
        }
        let set = if verb == WONT { &mut self.wont } else { &mut self.dont };
        let bit = 1 << (option % 64);
        let word = &mut set[usize::from(option / 64)];
        let first = *word & bit == 0;
        *word |= bit;
        first
    }
}

/// Appends `data` to `out` as a telnet peer must send it: each 255 doubled (RFC 854).
pub(crate) fn escape_into(data: &[u8], out: &mut Vec<u8>) {
    for run in data.split_inclusive(|byte| *byte == IAC) {
        out.extend_from_slice(run);
        if run.last() == Some(&IAC) {
            out.push(IAC);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meanings(bytes: &[u8]) -> Vec<Meaning> {
        let mut telnet = Telnet::default();
        bytes.iter().map(|byte| telnet.feed(*byte)).collect()
    }

    #[test]
    fn commands_have_two_three_or_many_bytes() {
        use Meaning::{Data, Done, IacAndData, Pending, Refuse};
        // Interrupt process, as Ctrl-C sends it, with the timing mark that follows.
        assert_eq!(meanings(&[IAC, 244]), [Pending, Done]);
        assert_eq!(meanings(&[IAC, DO, 6]), [Pending, Pending, Refuse([IAC, WONT, 6])]);
        assert_eq!(meanings(&[IAC, WILL, 31]), [Pending, Pending, Refuse([IAC, DONT, 31])]);
        assert_eq!(meanings(&[IAC, WONT, 1, b'x']), [Pending, Pending, Done, Data]);
        assert_eq!(meanings(&[IAC, DONT, 1, b'x']), [Pending, Pending, Done, Data]);
        assert_eq!(meanings(&[IAC, IAC, b'x']), [Pending, Data, Data]);
        let size = [IAC, SB, 31, 0, 80, IAC, IAC, IAC, SE, b'x'];
        let (last, inside) = (size.len() - 2, &meanings(&size)[..size.len() - 2]);
        assert!(inside.iter().all(|meaning| *meaning == Pending));
        assert_eq!(meanings(&size)[last..], [Done, Data]);
        assert_eq!(meanings(&[IAC, b'\n', b'x']), [Pending, IacAndData, Data]);
        assert_eq!(meanings(&[IAC, AYT]), [Pending, Meaning::AreYouThere]);
        // Without an end it ends when it is too long.
        let endless = [[IAC, SB].as_slice(), &[b'x'; 200]].concat();
        let data = meanings(&endless).iter().filter(|meaning| **meaning == Data).count();
        let limit = usize::from(LONGEST_SUBNEGOTIATION);
        assert_eq!(data, 200 - limit - 1);
        // The longest one that ends is no longer than that, its end apart.
        let longest = [&[IAC, SB][..], &vec![b'x'; limit], &[IAC, SE, b'x']].concat();
        assert_eq!(meanings(&longest)[limit + 2..], [Pending, Done, Data]);
        let one_more = [&[IAC, SB][..], &vec![b'x'; limit], &[IAC, b'x', b'x']].concat();
        assert_eq!(meanings(&one_more)[limit + 2..], [Pending, Done, Data]);
    }

    #[test]
    fn each_refusal_is_made_once() {
        let mut answers = Answers::default();
        let mut answer = |meaning| answers.take(meaning).then(|| answers.last().to_vec());
        for option in 0..=255 {
            for refusal in [[IAC, WONT, option], [IAC, DONT, option]] {
                assert_eq!(answer(Meaning::Refuse(refusal)), Some(refusal.to_vec()));
            }
        }
        assert_eq!(answer(Meaning::Refuse([IAC, WONT, 1])), None);
        assert_eq!(answer(Meaning::Refuse([IAC, DONT, 255])), None);
        let mark = [IAC, WONT, TIMING_MARK];
        assert_eq!(answer(Meaning::Refuse(mark)), Some(mark.to_vec()), "each timing mark is answered");
        assert_eq!(answer(Meaning::Refuse([IAC, DONT, TIMING_MARK])), None);
        assert_eq!(answer(Meaning::AreYouThere), Some(HERE.to_vec()));
        assert_eq!(answer(Meaning::Done), None);
    }

    #[test]
    fn data_255_travels_doubled() {
        let mut out = Vec::new();
        escape_into(&[1, IAC, 2, IAC], &mut out);
        assert_eq!(out, [1, IAC, IAC, 2, IAC, IAC]);
    }
}
