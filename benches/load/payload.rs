//! What is sent: messages that are unique, cheap to make and to compare, and mean nothing to any framing.
//!
//! A message is a key, then a slice of a block of noise, then a line feed. The key is a bijection of the
//! connection's number and the message's, so no two messages of a run are equal, and the same seed gives the
//! same bytes. There is no state for a message: both ends of it are made anew when they are needed, so ten
//! thousand connections need no buffers.
//!
//! No framing finds anything in it: the only line feed is the last byte, no byte is above 127, and the
//! alphabet has neither `b` nor `y`, so that no fragment is ever `bye`.

/// 64 letters, for six bits each.
const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZacdefghijklmnopqrstuvwxz0123456789-_.,";

/// Letters that hold a key of 64 bits.
const KEY: usize = 11;

/// Where the noise of a message may begin.
const OFFSETS: usize = 1 << 14;

/// The longest message.
pub(crate) const MAX_SIZE: usize = 16 * 1024 * 1024;

/// The messages of a run.
#[derive(Debug)]
pub(crate) struct Payloads {
    seed: u64,
    size: usize,
    noise: Vec<u8>,
}

/// A place in the endless stream of a connection's messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Position {
    /// The number of the message.
    pub(crate) message: u64,
    /// The bytes of it that are done.
    pub(crate) offset: usize,
}

/// The received byte that is not the one that was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mismatch {
    pub(crate) position: Position,
}

impl Payloads {
    /// Messages of `size` bytes, line feed included.
    pub(crate) fn new(seed: u64, size: usize) -> Self {
        let mut state = seed;
        let noise = (0..OFFSETS + size)
            .map(|_| {
                state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
                ALPHABET[(mix(state) & 63) as usize]
            })
            .collect();
        Self { seed, size, noise }
    }

    /// Appends what `connection` sends from `position` on, up to the end of that message or a length of
    /// `limit` in all; where that ends.
    pub(crate) fn append(&self, connection: u64, position: Position, out: &mut Vec<u8>, limit: usize) -> Position {
        let mut next = position;
        let key = self.key(connection, position.message);
        let mut skip = position.offset;
        for part in self.parts(&key) {
            let skipped = skip.min(part.len());
            skip -= skipped;
            let fitting = (part.len() - skipped).min(limit - out.len());
            out.extend_from_slice(&part[skipped..skipped + fitting]);
            next.offset += fitting;
        }
        next.advance(0, self.size);
        next
    }

    /// Compares received bytes with what `connection` sent from `position` on, up to the end of that message;
    /// how many bytes that took.
    pub(crate) fn verify(&self, connection: u64, position: Position, received: &[u8]) -> Result<usize, Mismatch> {
        let mut skip = position.offset;
        let mut taken = 0;
        let key = self.key(connection, position.message);
        for part in self.parts(&key) {
            let skipped = skip.min(part.len());
            skip -= skipped;
            let expected = &part[skipped..];
            let expected = &expected[..expected.len().min(received.len() - taken)];
            let found = &received[taken..taken + expected.len()];
            if found != expected {
                let equal = found.iter().zip(expected).take_while(|(found, expected)| found == expected).count();
                let offset = position.offset + taken + equal;
                return Err(Mismatch { position: Position { offset, ..position } });
            }
            taken += expected.len();
        }
        Ok(taken)
    }

    /// How long each message is.
    pub(crate) fn size(&self) -> usize {
        self.size
    }

    fn key(&self, connection: u64, message: u64) -> [u8; KEY] {
        let key = self.number(connection, message);
        std::array::from_fn(|letter| ALPHABET[((key >> (6 * letter)) & 63) as usize])
    }

    /// Equal for no two messages: each step can be undone, for up to 2^24 connections of 2^40 messages.
    fn number(&self, connection: u64, message: u64) -> u64 {
        mix(self.seed ^ ((connection << 40) | message))
    }

    /// Key, noise and line feed; a size that is too short for all keeps the last of them.
    fn parts<'a>(&'a self, key: &'a [u8; KEY]) -> [&'a [u8]; 3] {
        let text = self.size - 1;
        let key_length = text.min(KEY);
        // Two letters, of seven bits each, are a place in the noise.
        let offset = usize::from(key[0]) << 7 | usize::from(key[1]);
        [&key[..key_length], &self.noise[offset..offset + text - key_length], b"\n"]
    }
}

impl Position {
    /// Goes on by `bytes`, into the next messages of `size` if need be.
    pub(crate) fn advance(&mut self, bytes: usize, size: usize) {
        let offset = self.offset + bytes;
        self.message += (offset / size) as u64;
        self.offset = offset % size;
    }
}

/// Scatters a number over all 64 bits (the finaliser of splitmix64, a bijection).
fn mix(mut number: u64) -> u64 {
    number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}
