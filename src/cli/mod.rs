//! The command line: what was typed, what it means, and the exit code that comes of it.

mod arguments;
mod chat;
mod connect;
mod failure;
mod lines;
mod logging;
mod printable;
mod serve;
mod signals;
mod terminal;
mod thread;
mod udp;
mod units;

use std::fmt::Display;
use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind;

use arguments::{Arguments, Command};

/// All went well: the server stopped and every session had ended by itself, or the client saw the end.
pub(crate) const DRAINED: u8 = 0;
/// It could not run; standard error says why.
pub(crate) const FAILED: u8 = 1;
/// The command line is wrong; standard error says where.
pub(crate) const USAGE: u8 = 2;
/// The server stopped, and the drain deadline or a second signal cut sessions off.
pub(crate) const CUT_OFF: u8 = 3;

/// Runs the command that the process was started with.
pub(crate) fn run() -> ExitCode {
    let code = match Arguments::try_parse() {
        Ok(Arguments { command }) => match command {
            Command::Serve(arguments) => serve::run(&arguments),
            Command::Connect(arguments) => connect::run(&arguments),
            Command::Udp(command) => udp::run(command),
        },
        Err(error) => report_usage(&error),
    };
    ExitCode::from(code)
}

/// Prints the help or the version that was asked for, or one line that says what is wrong.
fn report_usage(error: &clap::Error) -> u8 {
    if !error.use_stderr() {
        // There is nobody to tell if standard output is closed.
        let _ = error.print();
        return DRAINED;
    }
    if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        complain("a command is missing, such as serve (see hebra --help)");
        return USAGE;
    }
    let text = error.to_string();
    // clap tells the matter in the first paragraph and adds hints in others.
    let matter: Vec<&str> = text.lines().take_while(|line| !line.trim().is_empty()).map(str::trim).collect();
    let matter = matter.join(" ");
    complain(format_args!("{} (see hebra --help)", matter.trim_start_matches("error: ")));
    USAGE
}

/// Prints the one line of a failure.
fn complain(message: impl Display) {
    // There is nobody to tell if standard error is closed.
    let _ = writeln!(io::stderr(), "hebra: {message}");
}
