//! What bytes mean, and nothing else: no socket, no clock, no thread.
//!
//! Everything here is fed slices and answers with values, so that tests can cut input in every way. All
//! state is of constant size, except the line that [`LineFraming`] gathers, which has a hard cap.

mod bye;
mod line;
mod telnet;

pub use bye::ByeDetector;
pub use line::{Found, LineFraming};
pub(crate) use telnet::escape_into;

/// Line feed: ends a line. A carriage return before it is white space that trimming removes.
const LF: u8 = b'\n';

/// The index of the first line feed or IAC byte, or the length of `bytes` if there is none.
///
/// Between two such bytes nothing can change the telnet state or end a line, so both the detector and the
/// line framing skip over what this skips. Byte by byte, a 64 KiB read would cost more than the system calls
/// that carry it.
fn find_break(bytes: &[u8]) -> usize {
    let mut clean = clean_chunks::<32>(bytes);
    // The break of a short line is on average in the middle of a long chunk.
    clean += clean_chunks::<8>(&bytes[clean..]);
    let tail = &bytes[clean..];
    clean + tail.iter().position(is_break).unwrap_or(tail.len())
}

/// The length of the chunks in front of the first one with a break.
///
/// A chunk is looked at without an early exit, which the compiler turns into vector instructions.
fn clean_chunks<const SIZE: usize>(bytes: &[u8]) -> usize {
    let is_clean = |chunk: &&[u8; SIZE]| !chunk.iter().fold(false, |found, byte| found | is_break(byte));
    bytes.as_chunks().0.iter().take_while(is_clean).count() * SIZE
}

fn is_break(byte: &u8) -> bool {
    *byte == LF || *byte == telnet::IAC
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_break_is_found_at_every_offset() {
        for length in 0..100 {
            let mut bytes = vec![b'x'; length];
            assert_eq!(find_break(&bytes), length);
            for at in 0..length {
                for stop in [LF, telnet::IAC] {
                    bytes[at] = stop;
                    assert_eq!(find_break(&bytes), at);
                }
                bytes[at] = b'x';
            }
        }
    }
}
