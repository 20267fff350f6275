//! What was typed: the flags, their environment variables and their defaults.

mod serve;
mod service;
mod faults;
mod probe;
mod udp;
mod address;
mod units;
mod label;
mod parse;
mod problem;

use std::path::PathBuf;

use clap::builder::BoolishValueParser;
use clap::{Args, CommandFactory, Parser, Subcommand};
use hebra::text::Escaped;
use hebra::{LogMessages, Network};

pub(super) use label::Label;
pub(super) use parse::{Rejected, parse};
pub(super) use probe::{ProbeArguments, Wanted};
pub(super) use serve::ServeArguments;
pub(super) use service::Service;
pub(super) use udp::{SendArguments, UdpCommand, UdpServeArguments};
use units::Limit;

use super::describe::Shell;
use super::process::logging::LogFormat;

/// A thread-based, blocking TCP message server
#[derive(Debug, Parser)]
#[command(name = "hebra", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Serves each client on a thread of its own: echo, whoami, greeting or chat
    #[command(allow_negative_numbers = true)]
    Serve(Box<ServeArguments>),

    /// Sends what is typed or piped in to a server, and shows what comes back
    #[command(allow_negative_numbers = true)]
    Connect(ConnectArguments),

    /// Sends one line to a server, and says whether the answer is right
    #[command(allow_negative_numbers = true)]
    Probe(ProbeArguments),

    /// Receives datagrams and can echo them, or sends one
    #[command(subcommand)]
    Udp(UdpCommand),

    /// Prints a manual page, or writes all of them
    Man(ManArguments),

    /// Prints completions for a shell
    Completions(CompletionsArguments),
}

/// Returns the command `hebra` with everything below it.
pub(super) fn command() -> clap::Command {
    Arguments::command()
}

/// Returns the same as [`command`], with the names that its manual pages show.
pub(super) fn documented() -> clap::Command {
    let mut command = command().disable_help_subcommand(true);
    command.build();
    command
}

/// Who may connect to a server.
#[derive(Debug, Args)]
pub(crate) struct GateArguments {
    /// Networks whose clients are let in, and no others [default: all]
    #[arg(
        long,
        env = "HEBRA_ALLOW",
        value_name = "CIDR",
        value_delimiter = ',',
        value_parser = address::network
    )]
    pub(crate) allow: Vec<Network>,

    /// Networks whose clients are not let in, whatever --allow says
    #[arg(long, env = "HEBRA_DENY", value_name = "CIDR", value_delimiter = ',', value_parser = address::network)]
    pub(crate) deny: Vec<Network>,
}

/// What a server logs.
#[derive(Debug, Args)]
pub(crate) struct LogArguments {
    /// Messages logged a second, or all, or off
    #[arg(
        long,
        env = "HEBRA_LOG_MESSAGES",
        value_name = "N",
        value_parser = units::log_messages,
        default_value = "1000"
    )]
    pub(crate) log_messages: LogMessages,

    /// Text, json or journal [default: text; journal for the journal]
    #[arg(long, env = "HEBRA_LOG_FORMAT", value_name = "NAME", hide_possible_values = true)]
    pub(crate) log_format: Option<LogFormat>,

    /// How often totals are logged, or off
    #[arg(long, env = "HEBRA_STATS_INTERVAL", value_parser = units::limit, value_name = "TIME", default_value = "off")]
    pub(crate) stats_interval: Limit,
}

/// The argument and the flag of `hebra connect`.
#[derive(Debug, Args)]
#[command(after_help = "Each flag has an environment variable: --timeout is HEBRA_TIMEOUT, and so on.")]
pub(crate) struct ConnectArguments {
    /// Server to connect to, HOST:PORT or unix:/path; tries all addresses
    #[arg(value_name = "ADDR", value_parser = address::server, default_value = "localhost:1234")]
    pub(crate) address: String,

    /// How long connecting and the name lookup may take, or off
    #[arg(long, env = "HEBRA_TIMEOUT", value_name = "TIME", value_parser = units::timeout, default_value = "10s")]
    pub(crate) timeout: Limit,

    /// End lines with CR LF on the wire, as most text protocols want them
    #[arg(long, env = "HEBRA_CRLF", value_parser = BoolishValueParser::new())]
    pub(crate) crlf: bool,
}

/// The arguments of `hebra man`.
#[derive(Debug, Args)]
#[command(after_help = "--dir has an environment variable, HEBRA_DIR.")]
pub(crate) struct ManArguments {
    /// Command whose page it is, such as udp serve [default: hebra]
    #[arg(value_name = "COMMAND")]
    command: Vec<String>,

    /// Write the page, and those of the commands below, to a directory
    #[arg(long, env = "HEBRA_DIR", value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
}

impl ManArguments {
    /// Returns the command that is meant.
    pub(crate) fn selected(&self) -> clap::Command {
        self.find().unwrap_or_else(|_| documented())
    }

    /// Checks that there is such a command.
    fn validate(&self) -> Result<(), String> {
        self.find().map(drop)
    }

    fn find(&self) -> Result<clap::Command, String> {
        self.command.iter().try_fold(documented(), |command, word| {
            let below = command.find_subcommand(word).cloned();
            below.ok_or_else(|| format!("COMMAND: \"{}\" is no command", Escaped(word.as_bytes())))
        })
    }
}

/// The argument of `hebra completions`.
#[derive(Debug, Args)]
#[command(after_help = "For the shell that runs: source <(hebra completions bash)")]
pub(crate) struct CompletionsArguments {
    /// Shell to complete in: bash, zsh or fish
    #[arg(value_name = "SHELL", hide_possible_values = true)]
    pub(crate) shell: Shell,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Asserts it for the flags of a command and of its subcommands. Returns how many flags there are.
    fn assert_environment(command: &clap::Command) -> usize {
        let mut flags = command.get_subcommands().map(assert_environment).sum();
        for argument in command.get_arguments() {
            // A positional argument has no variable, and neither have help and version.
            let ours = |flag: &&str| !["help", "version"].contains(flag);
            let Some(flag) = argument.get_long().filter(ours) else { continue };
            let variable = format!("HEBRA_{}", flag.to_uppercase().replace('-', "_"));
            assert_eq!(argument.get_env().and_then(|name| name.to_str()), Some(variable.as_str()));
            flags += 1;
        }
        flags
    }

    #[test]
    fn every_flag_has_its_environment_variable() {
        assert!(assert_environment(&Arguments::command()) > 20);
    }
}
