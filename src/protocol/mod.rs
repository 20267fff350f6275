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
    let mut at = 0;
    loop {
        at += clean_chunks(&bytes[at..]);
        // What is left is short, or has a byte nearby that may be a break.
        let near = bytes.len().min(at + CHUNK);
        while let Some(word) = bytes[at..near].first_chunk() {
            if let Some(index) = first_break(bytes, at, candidates(u64::from_le_bytes(*word))) {
                return index;
            }
            at += size_of::<u64>();
        }
        if near == bytes.len() {
            let index = match bytes.last_chunk() {
                // The last few bytes are tested in one word with those before them, which have been tested already.
                Some(word) if at < near => {
                    let start = near - size_of::<u64>();
                    let tested = 8 * (at - start);
                    first_break(bytes, start, candidates(u64::from_le_bytes(*word)) >> tested << tested)
                }
                _ => (at..near).find(|index| is_break_at(bytes, *index)),
            };
            return index.unwrap_or(near);
        }
    }
}

/// Returns the index of the first break among the candidates of the word at `start`.
fn first_break(bytes: &[u8], start: usize, mut candidates: u64) -> Option<usize> {
    while candidates != 0 {
        let index = start + (candidates.trailing_zeros() / 8) as usize;
        if is_break_at(bytes, index) {
            return Some(index);
        }
        candidates &= candidates - 1;
    }
    None
}

/// Bytes that are tested together.
const CHUNK: usize = 32;

/// Returns the total length of the chunks before the first one with a byte that may be a break.
///
/// A chunk is tested without an early exit, because the compiler turns that into vector instructions. It does not look at
/// pairs of bytes, which would take twice as many of them: NUL is seldom, and is judged exactly later.
fn clean_chunks(bytes: &[u8]) -> usize {
    let is_clean = |chunk: &&[u8; CHUNK]| {
        // One more than the byte is 0 for IAC and 1 for NUL.
        !chunk.iter().fold(false, |found, byte| found | (byte.wrapping_add(1) <= 1) | (*byte == LF))
    };
    bytes.as_chunks::<CHUNK>().0.iter().take_while(is_clean).count() * CHUNK
}

/// Returns a word in which the highest bit of each byte is set if that byte of `word` may be a break. A byte may be
/// marked that is none.
fn candidates(word: u64) -> u64 {
    const ONES: u64 = u64::MAX / 255;
    // The highest bit of each byte that is zero, and perhaps of one behind such a byte.
    let zeros = |word: u64| word.wrapping_sub(ONES) & !word & (ONES << 7);
    zeros(word) | zeros(!word) | zeros(word ^ (ONES * LF as u64))
}

fn is_break_at(bytes: &[u8], index: usize) -> bool {
    is_break(if index == 0 { b'x' } else { bytes[index - 1] }, bytes[index])
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
        assert_eq!(clean_chunks(&bytes), 96);
        bytes[71] = LF;
        assert_eq!(clean_chunks(&bytes), 64);
        bytes[1] = NUL;
        assert_eq!(clean_chunks(&bytes), 0);
    }

    #[test]
    fn every_byte_that_is_a_break_is_a_candidate() {
        for filler in 0..=u8::MAX {
            for place in 0..8 {
                for stop in [LF, telnet::IAC, NUL] {
                    let mut word = [filler; 8];
                    word[place] = stop;
                    assert_ne!(candidates(u64::from_le_bytes(word)) & (0x80 << (8 * place)), 0, "{word:?}");
                }
            }
        }
        assert_eq!(candidates(u64::from_le_bytes(*b"letters\t")), 0);
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
