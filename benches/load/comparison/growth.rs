//! `--growth`: rate, latency and memory against the number of connections.
//!
//! Each measurement starts a server of its own with as many workers as it needs, so that its memory can be divided by
//! its sessions. Rounds are interleaved, and each point of the plot is the median of the rounds.

use std::io;
use std::time::Duration;

use super::super::output::{self, Output, note};
use super::super::results::figures::{microseconds, thousands};
use super::super::results::plot::panel::Curve;
use super::super::traffic::run::{self, Outcome};
use super::arguments::Comparisons;
use super::build;
use super::markdown;
use super::peers::{self, POLLING, QUIET, REFERENCE, TOKIO};
use super::plot::{self, Growth, Scale};
use super::rounds::median;
use super::scenario::Scenario;

const ROUNDS: u16 = 3;

const SERVERS: [&str; 4] = [REFERENCE, QUIET, POLLING, TOKIO];

const CONNECTIONS: [usize; 10] = [1, 2, 5, 20, 50, 200, 500, 2000, 4000, MAX_CONNECTIONS];

const MAX_CONNECTIONS: usize = 8000;

const DURATION: Duration = Duration::from_millis(500);

/// The measurements of one server: for each number of connections, one value for each round.
type Series = [Vec<f64>; CONNECTIONS.len()];

/// What is measured, how it is read from a run with a number of connections, and the values of each server.
struct Quantity {
    name: &'static str,
    axis: &'static str,
    scale: Scale,
    read: fn(&Outcome, usize) -> f64,
    values: [Series; SERVERS.len()],
}

impl Quantity {
    fn new(name: &'static str, axis: &'static str, scale: Scale, read: fn(&Outcome, usize) -> f64) -> Self {
        Self { name, axis, scale, read, values: Default::default() }
    }

    /// Its panel of the plot.
    fn growth(&self) -> Growth<'_> {
        let curve = |(server, series): (&&'static str, &Series)| -> Curve<'_> {
            let points = CONNECTIONS.into_iter().zip(series).map(|(at, rounds)| (at as f64, median(rounds)));
            (*server, points.collect())
        };
        let curves = SERVERS.iter().zip(&self.values).map(curve).collect();
        Growth { name: self.name, axis: self.axis, scale: self.scale, curves }
    }
}

/// Measures, prints a table for each quantity, and draws `growth.svg`.
pub(crate) fn run(arguments: &Comparisons) -> io::Result<()> {
    let directory = build::results()?;
    let path = directory.join("growth.svg");
    let file = Output::open(&path)?;
    rlimit::increase_nofile_limit(2 * MAX_CONNECTIONS as u64)?;
    let mut rate = Quantity::new("Rate", "answers per second", Scale::Linear, |run, _| run.rate());
    let mut latency =
        Quantity::new("99th percentile of the latency", "latency (µs)", Scale::Logarithmic, |run, _| {
            microseconds(&run.tally.response, 0.99)
        });
    let mut memory = Quantity::new(
        "Resident memory of the server, divided by its sessions",
        "KiB per session",
        Scale::Logarithmic,
        |run, sessions| run.server.map_or(f64::NAN, |server| server.resident as f64 / 1024.0 / sessions as f64),
    );
    let rounds = usize::from(arguments.rounds.unwrap_or(ROUNDS));
    for round in 0..rounds {
        for (step, connections) in CONNECTIONS.into_iter().enumerate() {
            note(format_args!("round {} of {rounds}: {connections} connections", round + 1));
            // The order rotates, so that each server is first in some round.
            for turn in 0..SERVERS.len() {
                let server = (turn + round) % SERVERS.len();
                let process = peers::start(&directory, SERVERS[server], connections)?;
                let load = Scenario::echo(connections, DURATION).load(process.address, None);
                let outcome = run::run(&load, Some(process.id()), &mut |_| ())?;
                let failure = outcome.tally.failures.first.clone();
                if let Some(failure) = failure.or_else(|| outcome.nothing_measured(&load)) {
                    return Err(io::Error::other(format!("{}: {failure}", SERVERS[server])));
                }
                for quantity in [&mut rate, &mut latency, &mut memory] {
                    quantity.values[server][step].push((quantity.read)(&outcome, connections));
                }
            }
        }
    }
    let mut text = String::new();
    for quantity in [&rate, &latency, &memory] {
        text += &format!("{}, {}\n\n{}\n", quantity.name, quantity.axis, table(&quantity.values));
    }
    text += "Resident memory of each session after the first, KiB: ";
    text += &format!("{}\n\n{}\n", memory_of_sessions(&memory.values), path.display());
    let title = format!("1 to {} connections, 512 B messages, closed loop", thousands(MAX_CONNECTIONS as f64));
    file.write(&plot::growth(&title, &[rate.growth(), latency.growth(), memory.growth()])?)?;
    output::print(&text)
}

/// Formats what each session adds: the difference between the most connections and one, without what the program
/// itself takes.
fn memory_of_sessions(resident: &[Series; SERVERS.len()]) -> String {
    let added = |rounds: &Series| {
        let (one, most) = (median(&rounds[0]), median(&rounds[CONNECTIONS.len() - 1]));
        (most * MAX_CONNECTIONS as f64 - one) / (MAX_CONNECTIONS - 1) as f64
    };
    let each = SERVERS.iter().zip(resident).map(|(server, rounds)| format!("{server} {:.1}", added(rounds)));
    each.collect::<Vec<_>>().join(", ")
}

/// Formats the medians of the rounds, with minimum and maximum in parentheses.
fn table(values: &[Series; SERVERS.len()]) -> String {
    let mut table = vec![vec!["connections".to_owned()]];
    table[0].extend(SERVERS.map(str::to_owned));
    for (step, connections) in CONNECTIONS.into_iter().enumerate() {
        let mut row = vec![connections.to_string()];
        row.extend(values.iter().map(|series| {
            let rounds = &series[step];
            let min = rounds.iter().copied().fold(f64::INFINITY, f64::min);
            let max = rounds.iter().copied().fold(0.0, f64::max);
            format!("{:.0} ({min:.0} to {max:.0})", median(rounds))
        }));
        table.push(row);
    }
    markdown::table(&table)
}
