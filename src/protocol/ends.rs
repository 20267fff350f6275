//! Where lines end, for services that find lines by themselves.

use super::{CR, ends_line};

/// Finds the ends of lines in a stream, however it is cut: LF, CR LF or CR NUL, as in
/// [`Framing::Line`](super::Framing::Line).
///
/// ```
/// use hebra::protocol::LineEnds;
///
/// let mut ends = LineEnds::default();
/// assert_eq!(ends.next(b"one\ntwo\r"), Some(4));
/// assert_eq!(ends.next(b"two\r"), None);
/// assert_eq!(ends.next(b"\0three"), Some(1));
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct LineEnds {
    /// The byte before the next one, as far as it matters.
    is_after_cr: bool,
}

impl LineEnds {
    /// Takes the first bytes of `bytes`, up to the end of a line, or all of them. Returns the length of what was taken if
    /// it ends a line.
    pub fn next(&mut self, bytes: &[u8]) -> Option<usize> {
        let end = bytes.iter().position(|byte| {
            let ends = ends_line(if self.is_after_cr { CR } else { 0 }, *byte);
            self.is_after_cr = *byte == CR;
            ends
        })?;
        Some(end + 1)
    }
}

/// Returns a line without what ends it: LF, CR LF or CR NUL.
///
/// ```
/// use hebra::protocol::without_end;
///
/// assert_eq!(without_end(b"one\r\n"), b"one");
/// assert_eq!(without_end(b"one\0"), b"one\0");
/// ```
#[must_use]
pub fn without_end(line: &[u8]) -> &[u8] {
    match line {
        [rest @ .., before, byte] if ends_line(*before, *byte) => {
            if *before == CR {
                rest
            } else {
                &line[..line.len() - 1]
            }
        }
        [byte] if ends_line(0, *byte) => &[],
        _ => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_end_is_taken_off() {
        for (line, expected) in [
            (&b"one\n"[..], &b"one"[..]),
            (b"one\r\n", b"one"),
            (b"one\r\0", b"one"),
            (b"one\n\n", b"one\n"),
            (b"one\r\r\n", b"one\r"),
            (b"one\0", b"one\0"),
            (b"one\r", b"one\r"),
            (b"\n", b""),
            (b"\r\n", b""),
            (b"\0", b"\0"),
            (b"", b""),
        ] {
            assert_eq!(without_end(line), expected, "{line:?}");
        }
    }
}
