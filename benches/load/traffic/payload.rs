//! The payload: messages that are unique, cheap to generate and compare, and have no meaning in any framing.
//!
//! A message is a key, then a slice of a block of noise, then a line feed. The key is a bijection of the connection's
//! number and the message's number, so no two messages of a run are equal, and the same seed gives the same bytes.
//! Messages are not stored: their bytes are generated when they are sent and again when they are verified, so that
//! ten thousand connections need no buffers.
//!
//! No framing treats any part of a message specially. The only line feed is the last byte, no byte is above 127, and
//! the alphabet has neither `b` nor `y`, so that no fragment is ever `bye`.

/// 64 letters, each of which encodes six bits.
const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZacdefghijklmnopqrstuvwxz0123456789-_.,";

/// Number of letters that encode a key of 64 bits.
const KEY: usize = 11;

/// Number of offsets at which the noise of a message may begin.
const OFFSETS: usize = 1 << 14;

/// Size of the longest message in bytes.
pub(crate) const MAX_SIZE: usize = 16 * 1024 * 1024;

/// Generates and verifies the messages of a run.
#[derive(Debug)]
pub(crate) struct Payloads {
    seed: u64,
    size: usize,
    noise: Vec<u8>,
}

/// A position in the endless stream of a connection's messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Position {
    /// The number of the message.
    pub(crate) message: u64,
    /// The number of its bytes before this position.
    pub(crate) offset: usize,
}

/// A received byte differs from the one that was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mismatch {
    /// The position of the first byte that differs.
    pub(crate) position: Position,
}

impl Payloads {
    /// Messages of `size` bytes, including the line feed.
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

    /// Appends to `out` what `connection` sends from `position` on, up to the end of that message or until `out` has
    /// `limit` bytes. Returns the position after the appended bytes.
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

    /// Compares received bytes with what `connection` sent from `position` on, up to the end of that message. Returns
    /// the number of compared bytes.
    ///
    /// # Errors
    ///
    /// Returns the position of the first byte that differs.
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

    /// Returns the size of each message in bytes.
    pub(crate) fn size(&self) -> usize {
        self.size
    }

    fn key(&self, connection: u64, message: u64) -> [u8; KEY] {
        let key = self.unique_number(connection, message);
        std::array::from_fn(|letter| ALPHABET[((key >> (6 * letter)) & 63) as usize])
    }

    /// Returns a number that no other message has: each step is a bijection, for up to 2^24 connections with 2^40
    /// messages each.
    fn unique_number(&self, connection: u64, message: u64) -> u64 {
        mix(self.seed ^ ((connection << 40) | message))
    }

    /// Returns key, noise and line feed. A short message has no noise, a shorter one only a part of the key, and the
    /// shortest only the line feed.
    fn parts<'a>(&'a self, key: &'a [u8; KEY]) -> [&'a [u8]; 3] {
        let text = self.size - 1;
        let key_length = text.min(KEY);
        // Two letters of seven bits each select the offset into the noise.
        let offset = usize::from(key[0]) << 7 | usize::from(key[1]);
        [&key[..key_length], &self.noise[offset..offset + text - key_length], b"\n"]
    }
}

impl Position {
    /// Advances by `bytes` in a stream of messages of `size` bytes.
    pub(crate) fn advance(&mut self, bytes: usize, size: usize) {
        let offset = self.offset + bytes;
        self.message += (offset / size) as u64;
        self.offset = offset % size;
    }
}

/// Scatters a number over all 64 bits. This is the finaliser of splitmix64, which is a bijection.
fn mix(mut number: u64) -> u64 {
    number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}
