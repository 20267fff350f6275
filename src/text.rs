//! A stranger's text made safe to show: text in any script stays readable, and nothing in it moves a cursor,
//! colours a terminal, turns the direction of writing or looks like a line of its own.
//!
//! [`is_escaped`] is the one rule. The log, the chat and `hebra connect` follow it.

use std::fmt::{self, Write};
use std::mem;

/// Returns whether a character must be escaped before it is shown: C0 and C1 controls except the tab, line and
/// paragraph separators, and the characters that control the direction of writing (`Bidi_Control` in Unicode
/// UAX 9), which can make a line read as another.
#[must_use]
pub fn is_escaped(character: char) -> bool {
    match character {
        '\t' => false,
        '\u{2028}' | '\u{2029}' => true,
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => true,
        _ => character.is_control(),
    }
}

/// Bytes that [`Display`](fmt::Display) shows as one line: what [`is_escaped`] names and bytes that are not UTF-8
/// are escaped.
///
/// ```
/// use hebra::text::Escaped;
///
/// assert_eq!(Escaped("¿Qué tal, \"señor\"? 漢字 👍".as_bytes()).to_string(), "¿Qué tal, \"señor\"? 漢字 👍");
/// assert_eq!(Escaped(b"a\x1b[2J\r\n\xff").to_string(), r"a\u{1b}[2J\r\n\xff");
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Escaped<'a>(pub &'a [u8]);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.utf8_chunks().try_for_each(|chunk| {
            write_text(f, chunk.valid(), is_escaped)?;
            write_bytes(f, chunk.invalid())
        })
    }
}

/// Writes the first bytes of a text of `length` bytes, or all of it, in quotes and escaped, and its length.
pub(crate) fn quote(f: &mut fmt::Formatter<'_>, kept: &[u8], length: usize) -> fmt::Result {
    // A character that the cut went through is left out, not shown as bad bytes.
    let is_cut = length > kept.len();
    let shown = if is_cut { &kept[..kept.len() - incomplete(kept)] } else { kept };
    f.write_char('"')?;
    for chunk in shown.utf8_chunks() {
        write_text(f, chunk.valid(), |character| matches!(character, '"' | '\\') || is_escaped(character))?;
        write_bytes(f, chunk.invalid())?;
    }
    f.write_str(if is_cut { "...\"" } else { "\"" })?;
    let unit = if length == 1 { "byte" } else { "bytes" };
    write!(f, " ({length} {unit})")
}

/// Writes a text in which the characters are escaped that `is_escaped` names. What is between them is written at once,
/// because most texts have none of them.
fn write_text(out: &mut impl Write, text: &str, is_escaped: impl Fn(char) -> bool) -> fmt::Result {
    let mut rest = text.chars();
    while let Some(at) = rest.as_str().find(&is_escaped) {
        out.write_str(&rest.as_str()[..at])?;
        rest = rest.as_str()[at..].chars();
        if let Some(character) = rest.next() {
            write!(out, "{}", character.escape_default())?;
        }
    }
    out.write_str(rest.as_str())
}

fn write_bytes(out: &mut impl Write, bytes: &[u8]) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(out, "\\x{byte:02x}"))
}

/// Returns how many bytes at the end of `bytes` are the beginning of a character that is not complete.
#[must_use]
pub fn incomplete(bytes: &[u8]) -> usize {
    let last = bytes.utf8_chunks().last().map_or(&[][..], |chunk| chunk.invalid());
    // The invalid part of the last chunk is such a beginning only if more bytes could complete it. Then, and only then,
    // the error has no length.
    match std::str::from_utf8(last) {
        Err(error) if error.error_len().is_none() => last.len(),
        _ => 0,
    }
}

/// Makes a stream safe to show however it is cut: a character may come in several pieces. Line feeds stay, and CR
/// LF becomes one.
#[derive(Debug, Default)]
pub struct EscapedStream {
    /// The beginning of a character, or a carriage return that may end a line: four bytes at most.
    held: Vec<u8>,
}

impl EscapedStream {
    /// Returns what can be shown of the stream so far and was not returned before.
    pub fn feed(&mut self, bytes: &[u8]) -> String {
        self.held.extend_from_slice(bytes);
        let mut input = mem::take(&mut self.held);
        let incomplete = if input.ends_with(b"\r") { 1 } else { incomplete(&input) };
        self.held = input.split_off(input.len() - incomplete);
        escape_lines(&input)
    }

    /// Returns what is left at the end of the stream.
    pub fn finish(&mut self) -> String {
        escape_lines(&mem::take(&mut self.held))
    }
}

fn escape_lines(input: &[u8]) -> String {
    let mut output = String::with_capacity(input.len());
    for chunk in input.utf8_chunks() {
        for line in chunk.valid().split_inclusive('\n') {
            let text = line.strip_suffix('\n').map_or(line, |text| text.strip_suffix('\r').unwrap_or(text));
            // Writing to a string cannot fail.
            let _: fmt::Result = write_text(&mut output, text, is_escaped);
            if line.ends_with('\n') {
                output.push('\n');
            }
        }
        let _: fmt::Result = write_bytes(&mut output, chunk.invalid());
    }
    output
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is shown of `bytes` in pieces of `size`.
    fn show(bytes: &[u8], size: usize) -> String {
        let mut stream = EscapedStream::default();
        let mut output: String = bytes.chunks(size).map(|piece| stream.feed(piece)).collect();
        output.push_str(&stream.finish());
        output
    }

    #[test]
    fn text_stays_and_control_is_escaped_however_it_is_cut() {
        for (bytes, shown) in [
            ("¿Qué tal, señor?\t\"'\\ 你好 🙂 e\u{301}\n".as_bytes(), "¿Qué tal, señor?\t\"'\\ 你好 🙂 e\u{301}\n"),
            (b"two\r\nlines\r\n", "two\nlines\n"),
            (b"over\rwritten\r", "over\\rwritten\\r"),
            (b"\x1b[2J\x1b]0;title\x07\x7f\0", "\\u{1b}[2J\\u{1b}]0;title\\u{7}\\u{7f}\\u{0}"),
            ("\u{9b}2J \u{202e}abc".as_bytes(), "\\u{9b}2J \\u{202e}abc"),
            (b"\xff\xc3(\xf0\x9f\x99", "\\xff\\xc3(\\xf0\\x9f\\x99"),
        ] {
            for size in 1..=bytes.len() {
                assert_eq!(show(bytes, size), shown, "in pieces of {size}");
            }
        }
    }

    #[test]
    fn what_needs_nothing_more_is_shown_at_once() {
        let mut stream = EscapedStream::default();
        assert_eq!(stream.feed(b"hola"), "hola");
        assert_eq!(stream.feed(b" se\xc3"), " se");
        assert_eq!(stream.feed(b"\xb1or\xff"), "ñor\\xff");
    }

    #[test]
    fn every_script_is_shown_as_it_was_typed() {
        for text in [
            "हिन्दी क्षत्रिय",
            "ภาษาไทย ที่นี่",
            "தமிழ்",
            "عَرَبِيّ",
            "שָׁלוֹם",
            "e\u{301}",
            "👨\u{200d}👩\u{200d}👧 ❤\u{fe0f}",
            "می\u{200c}خواهم",
            "全角\u{3000}スペース\tTab",
            "🇪🇸",
        ] {
            assert_eq!(Escaped(text.as_bytes()).to_string(), text);
        }
    }

    #[test]
    fn nothing_that_a_terminal_obeys_is_shown() {
        for character in (0..=0x2_ffff).filter_map(char::from_u32) {
            let shown = Escaped(character.to_string().as_bytes()).to_string();
            let is_shown_as_it_is = shown.chars().eq([character]);
            assert_eq!(is_shown_as_it_is, !is_escaped(character));
            assert!(is_shown_as_it_is || shown.is_ascii(), "{shown}");
            assert!(!is_shown_as_it_is || character == '\t' || !character.is_control(), "{shown}");
        }
        let forged = "\u{202e}\u{2066}\u{2028}\u{9b}\u{200f}";
        assert!(Escaped(forged.as_bytes()).to_string().is_ascii());
    }
}
