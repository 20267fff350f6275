//! The beginning of what a client sent, safe to print.

use std::any::Any;
use std::fmt;

use crate::text::{incomplete, quote};

/// How many bytes of a message an event carries.
const KEPT_BYTES: usize = 64;

/// The first bytes of a message and its length, held without allocating.
///
/// [`Display`](fmt::Display) prints them in quotes and escapes what [`is_escaped`](crate::text::is_escaped) names;
/// text in any script stays readable.
///
/// ```
/// use hebra::Excerpt;
///
/// assert_eq!(Excerpt::new("¡It's me!\r\n".as_bytes()).to_string(), r#""¡It's me!\r\n" (12 bytes)"#);
/// assert_eq!(Excerpt::new(b"\x1b[2J\xff").to_string(), r#""\u{1b}[2J\xff" (5 bytes)"#);
/// assert_eq!(Excerpt::new(&[b'x'; 9000]).to_string(), format!("\"{}...\" (9000 bytes)", "x".repeat(64)));
/// ```
#[derive(Clone, Copy)]
pub struct Excerpt(Text);

/// [`Display`](fmt::Display) gives the text alone, with nothing escaped.
#[derive(Clone, Copy)]
pub(crate) struct Text {
    kept: [u8; KEPT_BYTES],
    length: usize,
}

impl Excerpt {
    /// The excerpt of `message`.
    #[must_use]
    pub fn new(message: &[u8]) -> Self {
        let mut kept = [0; KEPT_BYTES];
        let count = message.len().min(KEPT_BYTES);
        kept[..count].copy_from_slice(&message[..count]);
        Self(Text { kept, length: message.len() })
    }

    /// The excerpt of what a panic says.
    pub(crate) fn of_panic(panic: &(dyn Any + Send)) -> Self {
        let literal = panic.downcast_ref::<&str>().copied();
        let text = literal.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
        Self::new(text.unwrap_or("not a text").as_bytes())
    }

    /// Returns the length of the message in bytes, which may be more than is kept.
    #[must_use]
    pub fn message_len(&self) -> usize {
        self.0.length
    }

    pub(crate) fn text(&self) -> &Text {
        &self.0
    }

    /// Returns the bytes that are kept, as they arrived: nothing is escaped.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0.kept[..self.0.length.min(KEPT_BYTES)]
    }
}

impl fmt::Display for Excerpt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        quote(f, self.as_bytes(), self.message_len())
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kept = &self.kept[..self.length.min(KEPT_BYTES)];
        // A character that the cut went through is left out.
        let cut = if self.length > KEPT_BYTES { incomplete(kept) } else { 0 };
        f.write_str(&String::from_utf8_lossy(&kept[..kept.len() - cut]))
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
            assert!(shown.chars().all(|c| c == '\t' || !c.is_control()), "{shown}");
        }
        // Overrides of the direction of writing, a line separator, a C1 control sequence introducer.
        let shown = Excerpt::new("\u{202e}\u{2066}\u{2028}\u{9b}".as_bytes()).to_string();
        assert!(shown.is_ascii(), "{shown}");
        assert_eq!(Excerpt::new(b"a\"\nclient 1 connected").to_string(), r#""a\"\nclient 1 connected" (21 bytes)"#);
    }

    #[test]
    fn a_cut_character_is_left_out() {
        let text = format!("{}é", "x".repeat(63));
        assert_eq!(Excerpt::new(text.as_bytes()).to_string(), format!("\"{}...\" (65 bytes)", "x".repeat(63)));
        let whole = format!("{}é", "x".repeat(62));
        assert_eq!(Excerpt::new(whole.as_bytes()).to_string(), format!("\"{whole}\" (64 bytes)"));
    }
}
