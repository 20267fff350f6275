//! The bytes of a datagram: a header that says whose it is, and a payload that no other datagram of the run has.

use super::super::payload::{Payloads, Position};

/// Bytes of the header.
pub(crate) const HEADER: usize = 24;

/// The shortest datagram: the payload must tell it from others even if its header is damaged.
pub(crate) const SHORTEST: usize = HEADER + 8;

/// The longest datagram over IPv4.
pub(crate) const LONGEST: usize = 65_507;

const MAGIC: [u8; 4] = *b"hld1";

/// Whose datagram it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    /// A random number that the client has for one run.
    pub(crate) run: u32,
    pub(crate) client: u32,
    pub(crate) sequence: u64,
}

impl Header {
    /// Returns magic, run, client, sequence number and check sum, each with its most significant byte first.
    pub(crate) fn bytes(self) -> [u8; HEADER] {
        let mut bytes = [0; HEADER];
        bytes[..4].copy_from_slice(&MAGIC);
        bytes[4..8].copy_from_slice(&self.run.to_be_bytes());
        bytes[8..12].copy_from_slice(&self.client.to_be_bytes());
        bytes[12..20].copy_from_slice(&self.sequence.to_be_bytes());
        // FNV-1a.
        let check = bytes[..20]
            .iter()
            .fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193));
        bytes[20..].copy_from_slice(&check.to_be_bytes());
        bytes
    }

    /// Reads the header of a datagram. Returns `None` if it is not one, or damaged.
    pub(crate) fn read(datagram: &[u8]) -> Option<Self> {
        let bytes = datagram.first_chunk::<HEADER>()?;
        let half = |at: usize| u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        let sequence = u64::from(half(12)) << 32 | u64::from(half(16));
        let header = Self { run: half(4), client: half(8), sequence };
        (header.bytes() == *bytes).then_some(header)
    }

    /// Replaces the content of `out` with the whole datagram.
    pub(crate) fn write(self, payloads: &Payloads, out: &mut Vec<u8>) {
        out.clear();
        out.extend_from_slice(&self.bytes());
        payloads.append(self.client.into(), self.payload(), out, HEADER + payloads.size());
    }

    /// Returns `true` if a datagram with this header has the payload that was sent.
    pub(crate) fn verify(self, payloads: &Payloads, datagram: &[u8]) -> bool {
        datagram.len() == HEADER + payloads.size()
            && payloads.verify(self.client.into(), self.payload(), &datagram[HEADER..]).is_ok()
    }

    fn payload(self) -> Position {
        Position { message: self.sequence, offset: 0 }
    }
}

/// Returns how many bytes are different or missing.
pub(crate) fn different(expected: &[u8], received: &[u8]) -> usize {
    let wrong = expected.iter().zip(received).filter(|(expected, received)| expected != received).count();
    wrong + expected.len().abs_diff(received.len())
}
