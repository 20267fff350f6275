//! The command line: what was typed, what it means, and the exit code that comes of it.
//!
//! `arguments` is what was typed; a file or folder for each command does it; `terminal` and `process` serve them all.

mod serve;
mod greet;
mod whoami;
mod prefix;
mod chat;
mod connect;
mod probe;
mod udp;
mod admin;
mod man;
mod completions;
mod dial;
mod arguments;
mod terminal;
mod process;
mod describe;
mod json;
mod pieces;
mod stdio;

use std::env;
use std::process::ExitCode;

use arguments::{Command, Rejected, UdpCommand};
use process::{DRAINED, USAGE, complain, signals};

/// Runs the command that the process was started with.
pub(crate) fn run() -> ExitCode {
    // Without the handler the limit ends the process, as it does with most programs.
    let _ = signals::survive_file_size_limit();
    let code = match arguments::parse(env::args_os()) {
        Ok(Command::Serve(arguments)) => serve::run(&arguments),
        Ok(Command::Connect(arguments)) => connect::run(&arguments),
        Ok(Command::Probe(arguments)) => probe::run(&arguments),
        Ok(Command::Udp(UdpCommand::Serve(arguments))) => udp::serve::run(&arguments),
        Ok(Command::Udp(UdpCommand::Send(arguments))) => udp::send::run(&arguments),
        Ok(Command::Man(arguments)) => man::run(&arguments),
        Ok(Command::Completions(arguments)) => completions::run(&arguments),
        Err(Rejected::Shown(help)) => {
            // A closed standard output is the reader's choice.
            let _ = help.print();
            DRAINED
        }
        Err(Rejected::Wrong(line)) => {
            complain(line);
            USAGE
        }
    };
    ExitCode::from(code)
}
