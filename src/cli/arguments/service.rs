//! What answers in `hebra serve`, and what belongs to one service only.

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, ValueEnum};
use hebra::{Error, Framing};

use super::label::{self, Label};
use super::units;

/// The flags that choose a service and its messages.
#[derive(Debug, Args)]
pub(crate) struct ServiceArguments {
    /// What answers: echo, whoami, greet or chat
    #[arg(
        id = "service",
        long = "service",
        env = "HEBRA_SERVICE",
        value_name = "NAME",
        default_value = "echo",
        hide_possible_values = true
    )]
    pub(crate) kind: Service,

    /// The answer of --service greet
    #[arg(long, env = "HEBRA_GREETING", value_name = "TEXT", default_value = "Un saludo crack!")]
    pub(crate) greeting: String,

    /// A label in the answers of --service whoami; repeatable
    #[arg(long, env = "HEBRA_LABEL", value_name = "KEY=VALUE", value_delimiter = ',', value_parser = label::label)]
    pub(crate) label: Vec<Label>,

    /// What each line of --service echo begins with, before a space
    #[arg(long, env = "HEBRA_PREFIX", value_name = "TEXT", value_parser = label::prefix)]
    prefix: Option<String>,

    /// Several clients in --service chat, who hear each other
    #[arg(long, env = "HEBRA_ROOM", value_parser = units::switch)]
    pub(crate) room: bool,

    /// Message, line or raw [default: message; line for --room and whoami]
    #[arg(
        long,
        env = "HEBRA_FRAMING",
        value_name = "NAME",
        value_parser = framing(),
        hide_possible_values = true
    )]
    framing: Option<Framing>,

    /// Longest line of --framing line
    #[arg(
        long,
        env = "HEBRA_MAX_LINE",
        value_name = "SIZE",
        value_parser = units::size,
        default_value = "64KiB"
    )]
    pub(super) max_line: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Service {
    Echo,
    Whoami,
    Greet,
    Chat,
}

impl ServiceArguments {
    /// Returns whether the service answers datagrams.
    pub(crate) fn serves_datagrams(&self) -> bool {
        matches!(self.kind, Service::Echo | Service::Whoami) && self.prefix().is_none()
    }

    /// Returns what each line of an echo begins with, if the service is one that has lines.
    pub(crate) fn prefix(&self) -> Option<&str> {
        let has_lines = self.kind == Service::Echo && self.framing() != Framing::Raw;
        self.prefix.as_deref().filter(|_| has_lines)
    }

    /// Returns how messages are delimited, which depends on the service.
    pub(super) fn framing(&self) -> Framing {
        match (self.kind, self.framing) {
            // It answers lines, and anything else is wrong.
            (Service::Whoami, None) => Framing::Line,
            // In a room the lines of many clients must not mix.
            (Service::Chat, None) if self.room => Framing::Line,
            // People read it, so telnet commands are no part of it.
            (Service::Chat, None | Some(Framing::Message)) => Framing::Text,
            // `bye` is greeted too.
            (Service::Greet, None) => Framing::Raw,
            (_, framing) => framing.unwrap_or_default(),
        }
    }

    /// Returns whether the service is a chat.
    pub(super) fn is_chat(&self) -> bool {
        self.kind == Service::Chat
    }

    /// Checks what the flags mean.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] with the first value that cannot work.
    pub(super) fn validate(&self) -> Result<(), Error> {
        if self.kind == Service::Whoami {
            label::check(&self.label)?;
            if self.framing() != Framing::Line {
                return Err(Error::Config { field: "framing", problem: "must be line with --service whoami" });
            }
        }
        Ok(())
    }

    /// Returns the flags that have an effect only together with others, as
    /// [`ServeArguments::dependent`](super::ServeArguments::dependent) does.
    pub(super) fn dependent(&self) -> Vec<(&'static str, bool, &'static str)> {
        vec![
            ("greeting", self.kind == Service::Greet, "without --service greet"),
            ("label", self.kind == Service::Whoami, "without --service whoami"),
            ("prefix", self.kind == Service::Echo, "without --service echo"),
            ("prefix", self.framing() != Framing::Raw, "with --framing raw"),
            ("room", self.is_chat(), "without --service chat"),
            ("max_line", self.framing() == Framing::Line, "without --framing line"),
        ]
    }
}

fn framing() -> impl TypedValueParser<Value = Framing> {
    PossibleValuesParser::new(["message", "line", "raw"]).map(|name| match name.as_str() {
        "line" => Framing::Line,
        "raw" => Framing::Raw,
        _ => Framing::Message,
    })
}
