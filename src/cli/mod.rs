//! The command line: what was typed, what it means, and the exit code that comes of it.
//!
//! `arguments` is what was typed; a file or folder for each command does it; `terminal` and `process` serve them all.

mod serve;
mod greet;
mod chat;
mod connect;
mod udp;
mod arguments;
mod terminal;
mod process;

use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind;

use arguments::{Arguments, Command, UdpCommand};
use process::{DRAINED, USAGE, complain, signals};

/// Runs the command that the process was started with.
pub(crate) fn run() -> ExitCode {
    // Without the handler the limit ends the process, as it does with most programs.
    let _ = signals::survive_file_size_limit();
    let code = match Arguments::try_parse() {
        Ok(Arguments { command }) => match command {
            Command::Serve(arguments) => serve::run(&arguments),
            Command::Connect(arguments) => connect::run(&arguments),
            Command::Udp(UdpCommand::Serve(arguments)) => udp::serve::run(&arguments),
            Command::Udp(UdpCommand::Send(arguments)) => udp::send::run(&arguments),
        },
        Err(error) => report_usage(&error),
    };
    ExitCode::from(code)
}

/// Prints the help or the version that was asked for, or one line that says what is wrong.
fn report_usage(error: &clap::Error) -> u8 {
    if !error.use_stderr() {
        // A closed standard output is the reader's choice.
        let _ = error.print();
        return DRAINED;
    }
    if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        complain("a command is missing, such as serve (see hebra --help)");
        return USAGE;
    }
    let text = error.to_string();
    // clap states the problem in the first paragraph and adds hints in others.
    let problem: Vec<&str> = text.lines().take_while(|line| !line.trim().is_empty()).map(str::trim).collect();
    let problem = problem.join(" ");
    complain(format_args!("{} (see hebra --help)", problem.trim_start_matches("error: ")));
    USAGE
}
