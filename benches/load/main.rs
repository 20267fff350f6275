//! `cargo bench --bench load`: load on an echo server, with numbers one can believe.
//!
//! Every byte that comes back is compared with the one that was sent; the rate is that of a measured time;
//! latency counts from when a message was due, so that a stall of the server is not hidden by a client that
//! waits for it. `benches/README.md` tells how to use it and what the results mean.
//!
//! The main thread reads the command line, starts servers and shows results; one or two event loops
//! ([`engine`]) are the clients.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "it is a program that people run")]

pub(crate) mod arguments;
pub(crate) mod load;
pub(crate) mod run;
mod engine;
mod connection;
mod schedule;
pub(crate) mod payload;
pub(crate) mod tally;
mod sample;
mod adversary;
mod server_side;
mod process;
mod progress;
mod report;
pub(crate) mod json;

use std::fs;
use std::io;
use std::process::ExitCode;

use clap::Parser;

use arguments::Arguments;
use progress::Progress;

/// Errors, wrong bytes, or a regression.
const FAILED: u8 = 1;
const USAGE: u8 = 2;

fn main() -> ExitCode {
    // Usage errors end the process here, with the exit code 2.
    let arguments = Arguments::parse();
    let code = measure(&arguments).unwrap_or_else(|error| {
        eprintln!("load: {error}");
        FAILED
    });
    ExitCode::from(code)
}

/// One run, against the server of the command line or one of our own; the exit code.
fn measure(arguments: &Arguments) -> io::Result<u8> {
    let (address, id, _own) = match &arguments.addr {
        Some(addr) => match arguments::resolve(addr) {
            Ok(address) => (address, arguments.pid, None),
            Err(error) => {
                eprintln!("load: --addr {error}");
                return Ok(USAGE);
            }
        },
        None => {
            let server = process::hebra(arguments.clients(), &[], &process::results()?.join("hebra.log"))?;
            (server.address, Some(server.id()), Some(server))
        }
    };
    let load = arguments.load(address);
    let mut progress = Progress::new(&load);
    let outcome = run::run(&load, id, &mut |point| progress.show(point))?;
    drop(progress);
    print!("{}", report::table(&load, &outcome));
    if let Some(path) = &arguments.json {
        let result = json::join(json::surroundings(), json::result(&load, &outcome));
        fs::write(path, format!("{result:#}\n"))?;
    }
    Ok(if outcome.tally.failures.total() == 0 { 0 } else { FAILED })
}
