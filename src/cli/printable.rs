//! Bytes from a stranger made safe for a terminal: text in any script stays as it is, and nothing moves the
//! cursor, changes colours, asks the terminal to answer, or turns the direction of writing.

use std::mem;

/// Makes a stream printable, however it is cut: a character may come in several pieces.
#[derive(Debug, Default)]
pub(crate) struct Printable {
    /// The beginning of a character, or a carriage return that may end a line: four bytes at most.
    held: Vec<u8>,
}

impl Printable {
    /// What can be printed of the stream so far and was not before.
    pub(crate) fn feed(&mut self, bytes: &[u8]) -> String {
        self.held.extend_from_slice(bytes);
        let input = mem::take(&mut self.held);
        let complete = input.len() - unfinished(&input);
        self.held.extend_from_slice(&input[complete..]);
        escape(&input[..complete])
    }

    /// What is left at the end of the stream.
    pub(crate) fn finish(&mut self) -> String {
        escape(&mem::take(&mut self.held))
    }
}

/// How many bytes at the end of `input` mean something only together with what follows.
fn unfinished(input: &[u8]) -> usize {
    if input.ends_with(b"\r") {
        return 1;
    }
    let last = input.utf8_chunks().last().map_or(&[][..], |chunk| chunk.invalid());
    // A chunk's invalid part at the very end is either the beginning of a character or no text at all; only
    // the beginning is not reported as an error at a known length.
    match std::str::from_utf8(last) {
        Err(error) if error.error_len().is_none() => last.len(),
        _ => 0,
    }
}

fn escape(input: &[u8]) -> String {
    let mut output = String::with_capacity(input.len());
    for chunk in input.utf8_chunks() {
        let mut characters = chunk.valid().chars().peekable();
        while let Some(character) = characters.next() {
            match character {
                '\n' | '\t' => output.push(character),
                '\r' if characters.peek() == Some(&'\n') => {}
                _ if character.is_control() || turns_direction(character) => {
                    output.extend(character.escape_default());
                }
                _ => output.push(character),
            }
        }
        for byte in chunk.invalid() {
            output.extend(byte.escape_ascii().map(char::from));
        }
    }
    output
}

/// Whether a character makes what follows be written the other way round (Unicode UAX 9), which can make a
/// line read as another.
fn turns_direction(character: char) -> bool {
    matches!(character, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is printed of `bytes` in pieces of `size`.
    fn print(bytes: &[u8], size: usize) -> String {
        let mut printable = Printable::default();
        let mut output: String = bytes.chunks(size).map(|piece| printable.feed(piece)).collect();
        output.push_str(&printable.finish());
        output
    }

    #[test]
    fn text_stays_and_control_is_escaped_however_it_is_cut() {
        for (bytes, printed) in [
            ("¿Qué tal, señor?\t\"'\\ 你好 🙂 e\u{301}\n".as_bytes(), "¿Qué tal, señor?\t\"'\\ 你好 🙂 e\u{301}\n"),
            (b"two\r\nlines\r\n", "two\nlines\n"),
            (b"over\rwritten\r", "over\\rwritten\\r"),
            (b"\x1b[2J\x1b]0;title\x07\x7f\0", "\\u{1b}[2J\\u{1b}]0;title\\u{7}\\u{7f}\\u{0}"),
            ("\u{9b}2J \u{202e}abc".as_bytes(), "\\u{9b}2J \\u{202e}abc"),
            (b"\xff\xc3(\xf0\x9f\x99", "\\xff\\xc3(\\xf0\\x9f\\x99"),
        ] {
            for size in 1..=bytes.len() {
                assert_eq!(print(bytes, size), printed, "in pieces of {size}");
            }
        }
    }

    #[test]
    fn what_needs_nothing_more_is_printed_at_once() {
        let mut printable = Printable::default();
        assert_eq!(printable.feed(b"hola"), "hola");
        assert_eq!(printable.feed(b" se\xc3"), " se");
        assert_eq!(printable.feed(b"\xb1or\xff"), "ñor\\xff");
    }
}
