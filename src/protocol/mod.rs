//! What bytes mean: reads in, messages out. No socket, no clock, no thread.
//!
//! [`Decoder`] is the whole of it. It is fed slices and answers with values, so that tests can cut a stream in
//! every way. Its state has a constant size, except for the line that the line framings gather, which has a
//! hard limit.

mod decoder;
mod bye;
mod line;
mod text;
mod telnet;

pub use decoder::{Decoded, Decoder, Framing};

/// Line feed: ends a line. A carriage return before it is white space, which trimming removes.
const LF: u8 = b'\n';

/// Carriage return. With NUL after it, it ends a line as CR LF does: telnet sends that for Enter in character mode
/// (RFC 854; RFC 1123, 3.3.1).
const CR: u8 = b'\r';

/// NUL is no operation for telnet (RFC 854), and C programs send buffers that are padded with it. So trimming removes it.
const NUL: u8 = 0;

/// Returns the index of the first line feed, carriage return or IAC, or the length of `bytes` if there is none.
///
/// No other byte changes the telnet state or ends a line, so the decoder skips everything up to there. Byte by
/// byte, a read of 64 KiB would cost more than the system calls that carry it.
fn find_break(bytes: &[u8]) -> usize {
    let mut clean = clean_chunks::<32>(bytes);
    // The break of a short line is on average in the middle of a long chunk.
    clean += clean_chunks::<8>(&bytes[clean..]);
    let tail = &bytes[clean..];
    clean + tail.iter().position(is_break).unwrap_or(tail.len())
}

/// Returns the total length of the chunks before the first one that contains a break.
///
/// A chunk is tested without an early exit, because the compiler turns that into vector instructions.
fn clean_chunks<const SIZE: usize>(bytes: &[u8]) -> usize {
    let is_clean = |chunk: &&[u8; SIZE]| !chunk.iter().fold(false, |found, byte| found | is_break(byte));
    bytes.as_chunks().0.iter().take_while(is_clean).count() * SIZE
}

fn is_break(byte: &u8) -> bool {
    *byte == LF || *byte == CR || *byte == telnet::IAC
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_chunks_before_the_first_break_are_skipped() {
        let mut bytes = [b'x'; 100];
        assert_eq!((clean_chunks::<32>(&bytes), clean_chunks::<8>(&bytes)), (96, 96));
        bytes[70] = LF;
        assert_eq!((clean_chunks::<32>(&bytes), clean_chunks::<8>(&bytes)), (64, 64));
        bytes[0] = LF;
        assert_eq!(clean_chunks::<8>(&bytes), 0);
    }

    #[test]
    fn a_break_is_found_at_every_offset() {
        for length in 0..100 {
            let mut bytes = vec![b'x'; length];
            assert_eq!(find_break(&bytes), length);
            for at in 0..length {
                for stop in [LF, CR, telnet::IAC] {
                    bytes[at] = stop;
                    assert_eq!(find_break(&bytes), at);
                }
                bytes[at] = b'x';
            }
        }
    }
}
