//! What was typed after `hebra probe`.

use clap::{Args, ValueEnum};
use hebra::Error;

use super::address;
use super::units::{self, Limit};

/// The argument and the flags of `hebra probe`.
#[derive(Debug, Args)]
#[command(after_help = "\
Prints one line with the round trip. Each flag has an environment variable: --send is
HEBRA_SEND. HEBRA_SERVICE is also that of hebra serve, so a probe in the same container
expects what the server answers.

Exit codes: 0 answered, 1 wrong answer or busy, 2 wrong command line, 4 unknown name,
5 refused, 6 timed out, 7 closed or reset without an answer.")]
pub(crate) struct ProbeArguments {
    /// HOST:PORT, udp://HOST:PORT, unix:/path or unix:@name
    #[arg(value_name = "ADDR", value_parser = address::listener, default_value = "localhost:1234")]
    pub(crate) address: String,

    /// Line to send; '' only connects
    #[arg(long, env = "HEBRA_SEND", value_name = "TEXT", value_parser = line, default_value = "hebra-probe")]
    send: String,

    /// Longest time for it all, or off
    #[arg(long, env = "HEBRA_TIMEOUT", value_name = "TIME", value_parser = units::timeout, default_value = "3s")]
    pub(crate) timeout: Limit,

    /// Whose answer is right: echo, whoami, greet or chat
    #[arg(long, env = "HEBRA_SERVICE", value_name = "NAME", default_value = "echo", hide_possible_values = true)]
    service: Probed,
}

/// The service that is probed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Probed {
    Echo,
    Whoami,
    Greet,
    Chat,
}

/// Which answer is right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// The line that was sent, alone or after a prefix and a space.
    Same,
    /// An object in JSON whose `message` is the line that was sent.
    Json,
    /// Any line.
    Any,
}

impl ProbeArguments {
    /// Returns the line to send and the answer that is wanted, or `None` if the connection alone is.
    pub(crate) fn question(&self) -> Option<(&str, Wanted)> {
        let wanted = match self.service {
            Probed::Echo => Wanted::Same,
            Probed::Whoami => Wanted::Json,
            Probed::Greet => Wanted::Any,
            // People read what is sent to a chat, and nobody has to answer.
            Probed::Chat => return None,
        };
        (!self.send.is_empty()).then_some((&self.send, wanted))
    }

    /// Checks what the flags mean together.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] with the first value that cannot work.
    pub(super) fn validate(&self) -> Result<(), Error> {
        match self.question() {
            None if self.address.starts_with("udp://") => {
                let (field, problem) = match self.service {
                    Probed::Chat => ("service", "chat needs a connection, which udp:// has not"),
                    _ => ("send", "must not be empty with udp://, which has no connection"),
                };
                Err(Error::Config { field, problem })
            }
            _ => Ok(()),
        }
    }

    /// As [`ServeArguments::dependent`](super::ServeArguments::dependent).
    pub(super) fn dependent(&self) -> Vec<(&'static str, bool, &'static str)> {
        vec![("send", self.service != Probed::Chat, "with --service chat")]
    }
}

/// One line of text. Other control characters are sent as they are.
fn line(text: &str) -> Result<String, &'static str> {
    match text.contains(['\n', '\r']) {
        true => Err("has a line end; the probe sends one line"),
        false => Ok(text.to_owned()),
    }
}
