//! Text in JSON.

use std::fmt::{self, Write};

use hebra::text::is_escaped;

/// Bytes that [`Display`](fmt::Display) shows as a string of JSON, in quotes. What a terminal would obey is escaped
/// as JSON has it, and a byte that is not UTF-8 is the text `\xff`, as in the log.
pub(super) struct Text<'a>(pub(super) &'a [u8]);

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('"')?;
        for chunk in self.0.utf8_chunks() {
            chunk.valid().chars().try_for_each(|character| write_character(f, character))?;
            chunk.invalid().iter().try_for_each(|byte| write!(f, "\\\\x{byte:02x}"))?;
        }
        f.write_char('"')
    }
}

fn write_character(f: &mut fmt::Formatter<'_>, character: char) -> fmt::Result {
    match character {
        '"' | '\\' => {
            f.write_char('\\')?;
            f.write_char(character)
        }
        '\n' => f.write_str("\\n"),
        '\r' => f.write_str("\\r"),
        '\t' => f.write_str("\\t"),
        character if is_escaped(character) => {
            character.encode_utf16(&mut [0; 2]).iter().try_for_each(|unit| write!(f, "\\u{unit:04x}"))
        }
        character => f.write_char(character),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_one_line_and_controls_no_terminal() {
        let hostile: String = ('\0'..='\u{ff}').chain("\u{202e}\u{2028}\u{10ffff}ñ".chars()).collect();
        let json = Text(hostile.as_bytes()).to_string();
        assert!(!json.chars().any(|character| character.is_control() || is_escaped(character)), "{json}");
        assert_eq!(serde_json::from_str::<String>(&json).expect("it is JSON"), hostile);
    }

    #[test]
    fn bytes_that_are_no_text_are_shown_as_in_the_log() {
        let json = Text(b"a\xff\xc3\"\xf0\x9f").to_string();
        assert_eq!(json, r#""a\\xff\\xc3\"\\xf0\\x9f""#);
        assert_eq!(serde_json::from_str::<String>(&json).expect("it is JSON"), r#"a\xff\xc3"\xf0\x9f"#);
    }
}
