//! What bytes mean: reads in, messages out. No socket, no clock, no thread.
//!
//! [`Decoder`] is the whole of it; [`LineEnds`] is for services that find lines by themselves. It is fed slices and answers with values, so that tests can cut a stream in
//! every way. Its state has a constant size, except for the line that the line framings gather, which has a
//! hard limit.

mod decoder;
mod bye;
mod line;
mod ends;
mod text;
mod telnet;

pub use decoder::{Decoded, Decoder, Framing};
pub use ends::{LineEnds, without_end};

/// Line feed: ends a line. A carriage return before it is white space, which trimming removes.
const LF: u8 = b'\n';

/// Carriage return. With NUL after it, it ends a line as CR LF does: telnet sends that for Enter in character mode
/// (RFC 854; RFC 1123, 3.3.1).
const CR: u8 = b'\r';

/// NUL is no operation for telnet (RFC 854), and C programs send buffers that are padded with it. So trimming removes it.
const NUL: u8 = 0;

/// Returns the index of the first line feed, IAC, or NUL after a carriage return, or the length of `bytes` if there is
/// none. The byte before `bytes` must not be a carriage return.
///
/// No other byte changes the telnet state or ends a line, so the decoder skips everything up to there. Byte by
/// byte, a read of 64 KiB would cost more than the system calls that carry it. A carriage return alone is no break,
/// because each break costs as much as many bytes that are skipped.
fn find_break(bytes: &[u8]) -> usize {
    let Some(first) = bytes.first() else { return 0 };
    if is_break(b'x', *first) {
        return 0;
    }
    let mut clean = clean_chunks::<32>(bytes);
    // The break of a short line is on average in the middle of a long chunk.
    clean += clean_chunks::<8>(&bytes[clean..]);
    let tail = &bytes[clean..];
    clean + 1 + tail.windows(2).position(|pair| is_break(pair[0], pair[1])).unwrap_or(tail.len() - 1)
}

/// Returns the total length of the chunks behind the first byte and before the first one that contains a break.
///
/// A chunk is tested without an early exit, because the compiler turns that into vector instructions.
fn clean_chunks<const SIZE: usize>(bytes: &[u8]) -> usize {
    let (before, chunks) = (bytes.as_chunks::<SIZE>().0, bytes[1..].as_chunks::<SIZE>().0);
    let is_clean = |(before, chunk): &(&[u8; SIZE], &[u8; SIZE])| {
        !before.iter().zip(*chunk).fold(false, |found, (before, byte)| found | is_break(*before, *byte))
    };
    before.iter().zip(chunks).take_while(is_clean).count() * SIZE
}

/// Returns whether `byte`, which follows `before`, is a break.
fn is_break(before: u8, byte: u8) -> bool {
    (byte == telnet::IAC) | ends_line(before, byte)
}

/// Returns whether `byte`, which follows `before`, ends a line: LF, CR LF or CR NUL.
fn ends_line(before: u8, byte: u8) -> bool {
    (byte == LF) | ((byte == NUL) & (before == CR))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_chunks_before_the_first_break_are_skipped() {
        let mut bytes = [b'x'; 101];
        assert_eq!((clean_chunks::<32>(&bytes), clean_chunks::<8>(&bytes)), (96, 96));
        bytes[71] = LF;
        assert_eq!((clean_chunks::<32>(&bytes), clean_chunks::<8>(&bytes)), (64, 64));
        bytes[1] = LF;
        assert_eq!(clean_chunks::<8>(&bytes), 0);
    }

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
                bytes[at] = NUL;
                assert_eq!(find_break(&bytes), length);
                if at > 0 {
                    bytes[at - 1] = CR;
                    assert_eq!(find_break(&bytes), at);
                    bytes[at] = b'x';
                    assert_eq!(find_break(&bytes), length);
                    bytes[at - 1] = b'x';
                }
                bytes[at] = b'x';
            }
        }
    }
}
