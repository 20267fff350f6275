//! The command line of the program: the flags of a run, or a command.

use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser, Subcommand};
use hebra::text::Escaped;

use super::super::cli::arguments::Arguments;
use super::super::describe::Shell;

/// Measures an echo server: rate, latency and errors. Verifies every byte.
///
/// Exit codes: 0 clean, 1 errors, wrong bytes, a regression or nothing measured, 2 usage.
#[derive(Debug, Parser)]
#[command(name = "hebra-load", version, args_conflicts_with_subcommands = true, disable_help_subcommand = true)]
struct Program {
    #[command(flatten)]
    load: Arguments,

    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Prints the manual page, or writes all pages
    Man {
        /// Write the page, and those of the commands, to a directory
        #[arg(long, value_name = "DIR")]
        dir: Option<PathBuf>,
    },

    /// Prints completions for a shell
    #[command(after_help = "For the shell that runs: source <(hebra-load completions bash)")]
    Completions {
        /// Shell to complete in: bash, zsh or fish
        #[arg(value_name = "SHELL", hide_possible_values = true)]
        shell: Shell,
    },
}

/// What the process was started for.
pub(super) enum Asked {
    /// To run a load.
    Load(Box<Arguments>),
    Command(Command),
    /// To show this text.
    Help(String),
}

/// Parses what the process was started with.
///
/// # Errors
///
/// Returns one line that says what is wrong.
pub(super) fn parse() -> Result<Asked, String> {
    match Program::try_parse() {
        Ok(Program { command: Some(command), .. }) => Ok(Asked::Command(command)),
        Ok(Program { command: None, load }) => Ok(Asked::Load(Box::new(load))),
        Err(error) if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) => {
            Ok(Asked::Help(error.to_string()))
        }
        Err(error) => {
            // The first paragraph states the problem, and the others are hints.
            let text = error.to_string();
            let lines = text.lines().take_while(|line| !line.trim().is_empty()).map(str::trim);
            let problem = lines.collect::<Vec<_>>().join(" ");
            let problem = problem.trim_start_matches("error: ");
            Err(format!("{} (see hebra-load --help)", Escaped(problem.as_bytes())))
        }
    }
}

/// Returns the command `hebra-load` with everything below it.
pub(super) fn command() -> clap::Command {
    Program::command()
}

/// Returns the same as [`command`], with the names that its manual pages show.
pub(super) fn documented() -> clap::Command {
    let mut command = command();
    command.build();
    command
}
