//! The beginning of what a client sent, safe to print.

use std::fmt::{self, Write};

/// How many bytes of a message an event carries.
const KEPT: usize = 64;

/// The first bytes of a message and its length, held without allocating.
///
/// [`Display`](fmt::Display) puts it in quotes and escapes whatever could move a cursor, colour a terminal
/// or look like a line of its own; text in any script stays readable.
///
/// ```
/// use hebra::Excerpt;
///
/// assert_eq!(Excerpt::new("¡It's me!\r\n".as_bytes()).to_string(), r#""¡It's me!\r\n" (12 bytes)"#);
/// assert_eq!(Excerpt::new(b"\x1b[2J\xff").to_string(), r#""\u{1b}[2J\xff" (5 bytes)"#);
/// assert_eq!(Excerpt::new(&[b'x'; 9000]).to_string(), format!("\"{}...\" (9000 bytes)", "x".repeat(64)));
/// ```
#[derive(Clone, Copy)]
pub struct Excerpt {
    kept: [u8; KEPT],
    length: usize,
}

impl Excerpt {
    /// The excerpt of `message`.
    #[must_use]
    pub fn new(message: &[u8]) -> Self {
        let mut kept = [0; KEPT];
        let count = message.len().min(KEPT);
        kept[..count].copy_from_slice(&message[..count]);
        Self { kept, length: message.len() }
    }

    /// The message's length in bytes, which may be more than is kept.
    #[must_use]
    pub fn message_len(&self) -> usize {
        self.length
    }

    /// The bytes kept, as they arrived: nothing is escaped.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.kept[..self.length.min(KEPT)]
    }
}

impl fmt::Display for Excerpt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        quote(f, self.as_bytes(), self.length)
    }
}

/// Prints the first bytes of a message of `length` bytes, or all, in quotes and escaped.
pub(super) fn quote(f: &mut fmt::Formatter<'_>, kept: &[u8], length: usize) -> fmt::Result {
    let cut = length > kept.len();
    f.write_char('"')?;
    let mut chunks = kept.utf8_chunks().peekable();
    while let Some(chunk) = chunks.next() {
        print_text(f, chunk.valid(), &['\''])?;
        // A character that the cut went through is left out, not shown as bad bytes.
        let cut_through = cut
            && chunks.peek().is_none()
            && std::str::from_utf8(chunk.invalid()).is_err_and(|error| error.error_len().is_none());
        if !cut_through {
            print_bytes(f, chunk.invalid())?;
        }
    }
    f.write_str(if cut { "...\"" } else { "\"" })?;
    let unit = if length == 1 { "byte" } else { "bytes" };
    write!(f, " ({length} {unit})")
}

/// Prints `text`, with all but readable characters and those of `plain` escaped.
fn print_text(f: &mut fmt::Formatter<'_>, text: &str, plain: &[char]) -> fmt::Result {
    for character in text.chars() {
        if plain.contains(&character) {
            f.write_char(character)?;
        } else {
            write!(f, "{}", character.escape_debug())?;
        }
    }
    Ok(())
}

/// Prints bytes that are no text.
fn print_bytes(f: &mut fmt::Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(f, "\\x{byte:02x}"))
}

/// What a client sent, all of it, safe to print: only what is not readable text is escaped.
pub(crate) struct Printable<'a>(pub(crate) &'a [u8]);

impl fmt::Display for Printable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.utf8_chunks().try_for_each(|chunk| {
            print_text(f, chunk.valid(), &['\'', '"', '\\'])?;
            print_bytes(f, chunk.invalid())
        })
    }
}

impl fmt::Debug for Excerpt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_terminal_obeys_is_printed() {
        let hostile: Vec<u8> = (0..=255).collect();
        for start in 0..=255 {
            let shown = Excerpt::new(&hostile[start..]).to_string();
            assert!(shown.chars().all(|c| !c.is_control()), "{shown}");
        }
        // Overrides of the writing direction, a line separator, a C1 control sequence introducer.
        let shown = Excerpt::new("\u{202e}\u{2066}\u{2028}\u{9b}".as_bytes()).to_string();
        assert!(shown.is_ascii(), "{shown}");
        assert_eq!(Excerpt::new(b"a\"\nclient 1 connected").to_string(), r#""a\"\nclient 1 connected" (21 bytes)"#);
    }

    #[test]
    fn what_people_type_is_printed_as_they_typed_it() {
        let text = r#"¿Qué tal, "it's" C:\dir? 漢字 👍"#;
        assert_eq!(Printable(text.as_bytes()).to_string(), text);
        assert_eq!(Printable(b"a\x1b[2J\r\n\xff").to_string(), r"a\u{1b}[2J\r\n\xff");
    }

    #[test]
    fn a_cut_character_is_left_out() {
        let text = format!("{}é", "x".repeat(63));
        assert_eq!(Excerpt::new(text.as_bytes()).to_string(), format!("\"{}...\" (65 bytes)", "x".repeat(63)));
        let whole = format!("{}é", "x".repeat(62));
        assert_eq!(Excerpt::new(whole.as_bytes()).to_string(), format!("\"{whole}\" (64 bytes)"));
    }
}
