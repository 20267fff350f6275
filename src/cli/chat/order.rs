//! What the operator wants, and what looks like it from a client.

/// What a line of the operator's asks for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Order<'a> {
    Nothing,
    Say(&'a str),
    SayTo(u64, &'a str),
    Who,
    Kick(u64),
    Leave,
    Unknown,
}

impl<'a> From<&'a str> for Order<'a> {
    fn from(line: &'a str) -> Self {
        let id = |text: &str| text.parse().ok();
        if line.is_empty() {
            Self::Nothing
        } else if line == "bye" {
            Self::Leave
        } else if line == "/who" {
            Self::Who
        } else if line.starts_with("//") || line.starts_with("@@") {
            Self::Say(&line[1..])
        } else if let Some(addressed) = line.strip_prefix('@') {
            let (name, text) = addressed.split_once(char::is_whitespace).unwrap_or((addressed, ""));
            match (id(name), text.trim()) {
                (Some(id), text) if !text.is_empty() => Self::SayTo(id, text),
                _ => Self::Unknown,
            }
        } else if let Some(command) = line.strip_prefix('/') {
            let kicked = command.strip_prefix("kick").and_then(|name| id(name.trim()));
            kicked.map_or(Self::Unknown, Self::Kick)
        } else {
            Self::Say(line)
        }
    }
}

/// Returns what a client says with a line; `None` if it looks like a command, which only the operator has. A client that
/// writes `@2 secret` means client 2 alone, so nobody must hear it.
pub(super) fn said(line: &[u8]) -> Option<&[u8]> {
    match line {
        [b'/', b'/', ..] => Some(&line[1..]),
        [b'/', ..] => None,
        [b'@', b'@', name @ ..] if is_number(name) => Some(&line[1..]),
        [b'@', name @ ..] if is_number(name) => None,
        _ => Some(line),
    }
}

/// Returns whether the first word is a number.
fn is_number(text: &[u8]) -> bool {
    let word = text.split(u8::is_ascii_whitespace).next().unwrap_or_default();
    !word.is_empty() && word.iter().all(u8::is_ascii_digit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_typed_is_said_unless_it_is_an_order() {
        let cases = [
            ("", Order::Nothing),
            ("hello, all", Order::Say("hello, all")),
            ("goodbye", Order::Say("goodbye")),
            ("@2 hello", Order::SayTo(2, "hello")),
            ("@2   hello  there", Order::SayTo(2, "hello  there")),
            ("@2", Order::Unknown),
            ("@two hello", Order::Unknown),
            ("//who", Order::Say("/who")),
            ("///", Order::Say("//")),
            ("@@2 hello", Order::Say("@2 hello")),
            ("/@2", Order::Unknown),
            ("@/who", Order::Unknown),
            ("@2 //who", Order::SayTo(2, "//who")),
            ("/who", Order::Who),
            ("/kick 2", Order::Kick(2)),
            ("/kick", Order::Unknown),
            ("/kick two", Order::Unknown),
            ("/dance", Order::Unknown),
            ("bye", Order::Leave),
        ];
        for (line, order) in cases {
            assert_eq!(Order::from(line), order, "{line}");
        }
    }

    #[test]
    fn what_a_client_says_is_said_unless_it_looks_like_a_command() {
        for (line, expected) in [
            ("hello", Some("hello")),
            ("/who", None),
            ("/", None),
            ("//who", Some("/who")),
            ("@2 secret", None),
            ("@2", None),
            ("@2\tsecret", None),
            ("@@2 hello", Some("@2 hello")),
            ("@@ana hello", Some("@@ana hello")),
            ("@ana hello", Some("@ana hello")),
            ("@2nd hello", Some("@2nd hello")),
            ("a/b @2", Some("a/b @2")),
        ] {
            assert_eq!(said(line.as_bytes()), expected.map(str::as_bytes), "{line}");
        }
    }
}
