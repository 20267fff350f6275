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
/// line framing skip over what this skips. It looks at 32 bytes at a time without an early exit inside the
/// chunk, which the compiler turns into vector instructions; byte by byte, a 64 KiB read would cost more
/// than the system calls that carry it.
fn find_break(bytes: &[u8]) -> usize {
    const CHUNK: usize = 32;
    let is_break = |byte: &u8| *byte == LF || *byte == telnet::IAC;
    let clean = bytes
        .chunks_exact(CHUNK)
        .take_while(|chunk| !chunk.iter().fold(false, |found, byte| found | is_break(byte)))
        .count()
        * CHUNK;
    let tail = &bytes[clean..];
    clean + tail.iter().position(is_break).unwrap_or(tail.len())
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
