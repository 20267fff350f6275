//! Texts that a service puts into its answers: labels and a prefix.

use std::collections::HashSet;

use hebra::Error;
use hebra::text::is_escaped;

/// Bytes of all labels together, so that an answer stays an answer.
const MOST_LABELS: usize = 4096;

/// Bytes of a prefix.
const LONGEST_PREFIX: usize = 256;

/// One `KEY=VALUE`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Label {
    pub(crate) key: String,
    pub(crate) value: String,
}

/// A label as it is typed. The value may be empty, and may contain `=`.
pub(crate) fn label(text: &str) -> Result<Label, String> {
    const EXAMPLE: &str = "a label looks like zone=eu-1, and a comma separates labels";
    let (key, value) = text.split_once('=').ok_or_else(|| format!("lacks its =; {EXAMPLE}"))?;
    if key.is_empty() {
        return Err(format!("lacks its key; {EXAMPLE}"));
    }
    without_controls(text)?;
    Ok(Label { key: key.to_owned(), value: value.to_owned() })
}

/// A prefix as it is typed.
pub(crate) fn prefix(text: &str) -> Result<String, String> {
    if text.is_empty() {
        return Err("is empty; leave it out for no prefix".to_owned());
    }
    if text.len() > LONGEST_PREFIX {
        return Err(format!("is too long; a prefix has at most {LONGEST_PREFIX} bytes"));
    }
    without_controls(text)?;
    Ok(text.to_owned())
}

/// Fails on what would end a line or control a terminal.
fn without_controls(text: &str) -> Result<(), String> {
    match text.chars().find(|character| is_escaped(*character) || character.is_control()) {
        Some(character) => Err(format!("contains a control character, {}", character.escape_default())),
        None => Ok(()),
    }
}

/// Checks what no single label shows to be wrong.
pub(super) fn check(labels: &[Label]) -> Result<(), Error> {
    let wrong = |problem| Err(Error::Config { field: "label", problem });
    let mut keys = HashSet::new();
    if !labels.iter().all(|label| keys.insert(&label.key)) {
        return wrong("must not have a key twice");
    }
    if labels.iter().map(|label| label.key.len() + label.value.len()).sum::<usize>() > MOST_LABELS {
        return wrong("must have at most 4096 bytes, all labels together");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_is_a_key_and_a_value() {
        for (text, key, value) in
            [("a=b", "a", "b"), ("a=", "a", ""), ("a=b=c", "a", "b=c"), (" ñ =x y", " ñ ", "x y")]
        {
            assert_eq!(label(text), Ok(Label { key: key.to_owned(), value: value.to_owned() }));
        }
        for (text, problem) in [
            ("", "lacks its =; "),
            ("zone", "lacks its =; "),
            ("=eu", "lacks its key; "),
            ("a=\n", "contains a control character, \\n"),
            ("a\u{202e}=b", "contains a control character, \\u{202e}"),
            ("a=\t", "contains a control character, \\t"),
        ] {
            let message = label(text).expect_err(text);
            assert!(message.starts_with(problem), "{text:?} {message}");
        }
    }

    #[test]
    fn labels_have_a_bound_and_each_key_once() {
        let labels = |texts: &[String]| texts.iter().map(|text| label(text).expect("a label")).collect::<Vec<_>>();
        let longest = ["x".repeat(MOST_LABELS - 1) + "=", "y=".to_owned()];
        assert!(check(&labels(&longest)).is_ok());
        assert!(check(&labels(&[longest[0].clone(), "y=z".to_owned()])).is_err());
        assert!(check(&labels(&["a=1".to_owned(), "a=1".to_owned()])).is_err());
    }

    #[test]
    fn a_prefix_is_short_and_stays_on_its_line() {
        assert_eq!(prefix("one two"), Ok("one two".to_owned()));
        assert!(prefix(&"x".repeat(LONGEST_PREFIX)).is_ok());
        for wrong in ["", "a\nb", "\u{1b}[1m", "\u{2028}", &"x".repeat(LONGEST_PREFIX + 1)] {
            assert!(prefix(wrong).is_err(), "{wrong:?}");
        }
    }
}
