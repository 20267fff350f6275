//! `cargo bench --bench load`: puts load on an echo server and verifies every byte.
//!
//! Every byte that comes back is compared with the one that was sent. The rate is the number of answers in a window
//! of measured length. Latency counts from when a message was due, so that a stall of the server is not hidden by a
//! client that waits for it. `benches/README.md` describes how to use the harness and what its results mean.
//!
//! The main thread reads the command line, starts servers and shows results. One or two event loops run the clients
//! ([`traffic`]).
//!
//! Folders import each other downwards only: [`comparison`], [`cli`], [`search`], [`results`], [`traffic`], [`server`], [`output`].

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program prints its results")]

pub(crate) mod output;
pub(crate) mod server;
pub(crate) mod traffic;
pub(crate) mod results;
pub(crate) mod search;
pub(crate) mod cli;
pub(crate) mod comparison;

use std::process::ExitCode;

use clap::Parser;

use cli::problem::Problem;
use cli::single;
use comparison::arguments::Bench;
use comparison::build::BENCH;
use comparison::{growth, peers, suite};

fn main() -> ExitCode {
    BENCH.exit_code(match std::env::args().nth(1).and_then(|argument| peers::serve(&argument)) {
        Some(served) => served.map(|()| true).map_err(Problem::from),
        // `parse` ends the process with exit code 2 if the command line is wrong.
        None => match Bench::parse() {
            Bench { comparison, .. } if comparison.suite => suite::run(&comparison),
            Bench { comparison, .. } if comparison.growth => {
                growth::run(&comparison).map(|()| true).map_err(Problem::from)
            }
            Bench { single, .. } => single::run(&BENCH, &single),
        },
    })
}
