//! What a line asks for: one that the operator types, and one that a client sends.

/// What a line of the operator asks for.
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

/// What a line of a client asks for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Said<'a> {
    /// To be passed on.
    Text(&'a [u8]),
    /// To learn who is here.
    Who,
    /// Something that only the operator can do. It is not passed on, because a client that writes `@2 secret` means
    /// client 2 alone.
    Command,
}

impl<'a> From<&'a [u8]> for Said<'a> {
    fn from(line: &'a [u8]) -> Self {
        match line {
            b"/who" => Self::Who,
            [b'/', b'/', ..] => Self::Text(&line[1..]),
            [b'/', ..] => Self::Command,
            [b'@', b'@', name @ ..] if is_number(name) => Self::Text(&line[1..]),
            [b'@', name @ ..] if is_number(name) => Self::Command,
            _ => Self::Text(line),
        }
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
    fn what_the_operator_types_is_said_unless_it_is_an_order() {
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
    fn a_line_of_a_client_is_passed_on_unless_it_looks_like_a_command() {
        let text = |text: &'static str| Said::Text(text.as_bytes());
        for (line, expected) in [
            ("hello", text("hello")),
            ("/who", Said::Who),
            ("/kick 2", Said::Command),
            ("/", Said::Command),
            ("//who", text("/who")),
            ("@2 secret", Said::Command),
            ("@2", Said::Command),
            ("@2\tsecret", Said::Command),
            ("@@2 hello", text("@2 hello")),
            ("@@ana hello", text("@@ana hello")),
            ("@ana hello", text("@ana hello")),
            ("@2nd hello", text("@2nd hello")),
            ("a/b @2", text("a/b @2")),
        ] {
            assert_eq!(Said::from(line.as_bytes()), expected, "{line}");
        }
    }
}
