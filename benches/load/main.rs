//! `cargo bench --bench load`: puts load on an echo server and verifies every byte.
//!
//! Every byte that comes back is compared with the one that was sent. The rate is the number of answers in a window
//! of measured length. Latency counts from when a message was due, so that a stall of the server is not hidden by a
//! client that waits for it. `benches/README.md` describes how to use the harness and what its results mean.
//!
//! The main thread reads the command line, starts servers and shows results. One or two event loops ([`engine`]) run
//! the clients.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program prints its results")]

pub(crate) mod load;
pub(crate) mod payload;
pub(crate) mod alignment;
pub(crate) mod schedule;
mod source;
pub(crate) mod faults;
pub(crate) mod tally;
mod sample;
mod context;
mod pipeline;
mod connection;
mod engine;
mod adversary;
mod server_side;
pub(crate) mod run;
pub(crate) mod output;
pub(crate) mod problem;
pub(crate) mod figures;
mod markdown;
pub(crate) mod json;
pub(crate) mod report;
mod plot;
mod progress;
pub(crate) mod process;
pub(crate) mod peers;
mod affinity;
mod scenario;
pub(crate) mod arguments;
pub(crate) mod baseline;
pub(crate) mod single;
mod comparison;
mod suite_report;
mod suite;
mod growth;

use std::process::ExitCode;

use clap::Parser;

use arguments::Arguments;
use output::note;
use problem::Problem;

const CLEAN: u8 = 0;
/// There were errors, wrong bytes, a regression, or nothing was measured.
const FAILED: u8 = 1;
const USAGE: u8 = 2;

fn main() -> ExitCode {
    let run = match std::env::args().nth(1).and_then(|argument| peers::serve(&argument)) {
        Some(served) => served.map(|()| true).map_err(Problem::from),
        // `parse` ends the process with exit code 2 if the command line is wrong.
        None => match Arguments::parse() {
            arguments if arguments.suite => suite::run(&arguments),
            arguments if arguments.growth => growth::run(&arguments).map(|()| true).map_err(Problem::from),
            arguments => single::run(&arguments),
        },
    };
    ExitCode::from(match run {
        Ok(true) => CLEAN,
        Ok(false) => FAILED,
        Err(Problem::Failed(error)) => {
            note(format_args!("load: {error}"));
            FAILED
        }
        Err(Problem::Usage(problem)) => {
            note(format_args!("load: {problem}"));
            USAGE
        }
    })
}
