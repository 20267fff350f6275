//! `cargo bench --bench load`: puts load on an echo server and verifies every byte.
//!
//! Every byte that comes back is compared with the one that was sent. The rate is the number of answers in a window
//! of measured length. Latency counts from when a message was due, so that a stall of the server is not hidden by a
//! client that waits for it. `benches/README.md` describes how to use the harness and what its results mean.
//!
//! The main thread reads the command line, starts servers and shows results. One or two event loops ([`engine`]) run
//! the clients.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program prints its results")]

pub(crate) mod arguments;
pub(crate) mod load;
pub(crate) mod run;
mod engine;
mod connection;
mod pipeline;
mod context;
mod source;
pub(crate) mod schedule;
pub(crate) mod payload;
pub(crate) mod tally;
mod sample;
mod adversary;
mod server_side;
pub(crate) mod process;
mod progress;
mod report;
pub(crate) mod json;
mod plot;
pub(crate) mod baseline;
pub(crate) mod peers;
mod suite;
mod suite_report;
mod growth;

use std::fmt::Display;
use std::fs;
use std::io;
use std::process::ExitCode;

use clap::Parser;

use arguments::Arguments;
use load::{Load, Mode};
use progress::Progress;
use run::Outcome;

const CLEAN: u8 = 0;
/// There were errors, wrong bytes, or a regression.
const FAILED: u8 = 1;
const USAGE: u8 = 2;

fn main() -> ExitCode {
    let run = match std::env::args().nth(1).and_then(|argument| peers::serve(&argument)) {
        Some(served) => served.map(|()| CLEAN),
        // `parse` ends the process with exit code 2 if the command line is wrong.
        None => match Arguments::parse() {
            arguments if arguments.suite => suite::run(&arguments).map(|clean| if clean { CLEAN } else { FAILED }),
            arguments if arguments.growth => growth::run(&arguments).map(|()| CLEAN),
            arguments => measure(&arguments),
        },
    };
    let code = run.unwrap_or_else(|error| {
        eprintln!("load: {error}");
        FAILED
    });
    ExitCode::from(code)
}

/// Runs once, against the server of the command line or one that is started here. Returns the exit code.
fn measure(arguments: &Arguments) -> io::Result<u8> {
    // Checked first, so that no measurement is lost to a mistyped name.
    if let Some(name) =
        arguments.baseline.as_ref().filter(|name| !baseline::path(name).is_ok_and(|path| path.exists()))
    {
        return Ok(usage(format_args!("--baseline {name}: no such baseline, see --save-baseline")));
    }
    let (address, id, _own) = match &arguments.addr {
        Some(addr) => match arguments::resolve(addr) {
            Ok(address) => (address, arguments.pid, None),
            Err(error) => return Ok(usage(format_args!("--addr {error}"))),
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
    export(arguments, &load, &outcome)
}

/// Writes the requested files and compares with the baseline. Returns the exit code.
fn export(arguments: &Arguments, load: &Load, outcome: &Outcome) -> io::Result<u8> {
    let mut code = if outcome.tally.failures.total() == 0 { CLEAN } else { FAILED };
    let result = json::join(json::environment(), json::result(load, outcome));
    let text = format!("{result:#}\n");
    if let Some(path) = &arguments.json {
        fs::write(path, &text)?;
    }
    if let Some(directory) = &arguments.plots {
        let title = report::title(load);
        let tally = &outcome.tally;
        let mut times = vec![("response time", &tally.response)];
        // In a closed loop without churn both times are equal.
        if load.rate.is_some() || load.mode == Mode::Churn {
            times.push(("service time", &tally.service));
        }
        plot::latency(&directory.join("latency.svg"), &format!("Latency by percentile ({title})"), &times)?;
        plot::rate(
            &directory.join("rate.svg"),
            &format!("Rate over time ({title})"),
            &[("rate", &outcome.points)],
        )?;
    }
    if let Some(name) = &arguments.baseline {
        let compared = fs::read_to_string(baseline::path(name)?).map_err(|error| error.to_string());
        match compared.and_then(|baseline| baseline::compare(&baseline, &result)) {
            Ok(comparison) => {
                println!("{}", comparison.verdict(name, arguments.fail_on_regression));
                if arguments.fail_on_regression.is_some_and(|limit| comparison.regressed(limit)) {
                    code = FAILED;
                }
            }
            Err(error) => return Ok(usage(format_args!("--baseline {name}: {error}"))),
        }
    }
    if let Some(name) = &arguments.save_baseline {
        fs::write(baseline::path(name)?, &text)?;
    }
    Ok(code)
}

/// Reports a wrong command line. Returns the exit code.
fn usage(problem: impl Display) -> u8 {
    eprintln!("load: {problem}");
    USAGE
}
