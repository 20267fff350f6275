//! `--growth`: answers a second, latency and memory against the number of connections.
//!
//! Each point has a server of its own, with as many workers as it needs: memory can then be divided by sessions.
//! Rounds are interleaved, and a point is the median of its rounds.

use std::io;
use std::time::Duration;

use super::arguments::Arguments;
use super::peers::{self, POLLING, QUIET, REFERENCE, TOKIO};
use super::plot::{self, Curve};
use super::process;
use super::run::{self, Outcome};
use super::suite::Scenario;
use super::suite_report::{median, write_markdown};

const ROUNDS: u16 = 3;

const SERVERS: [&str; 4] = [REFERENCE, QUIET, POLLING, TOKIO];

const CONNECTIONS: [usize; 10] = [1, 2, 5, 20, 50, 200, 500, 2000, 4000, MOST];

const MOST: usize = 8000;

const DURATION: Duration = Duration::from_millis(500);

/// What is measured: its name, how it is read from a run, and its entry for each server and number of
/// connections, with one figure for each round.
struct Quantity {
    name: &'static str,
    read: fn(&Outcome, usize) -> f64,
    figures: [[Vec<f64>; CONNECTIONS.len()]; SERVERS.len()],
}

/// Measures, prints a table for each quantity, and draws `growth.svg`.
pub(crate) fn run(arguments: &Arguments) -> io::Result<()> {
    let directory = process::results()?;
    rlimit::increase_nofile_limit(2 * MOST as u64)?;
    let quantity = |name, read| Quantity { name, read, figures: Default::default() };
    let mut quantities = [
        quantity("answers a second", |run, _| run.rate()),
        quantity("99th percentile of the latency, us", |run, _| {
            run.tally.response.value_at_quantile(0.99) as f64 / 1000.0
        }),
        quantity("resident memory divided by sessions, KiB", |run, sessions| {
            run.server.map_or(f64::NAN, |server| server.resident as f64 / 1024.0 / sessions as f64)
        }),
    ];
    let rounds = usize::from(arguments.rounds.unwrap_or(ROUNDS));
    for round in 0..rounds {
        for (step, connections) in CONNECTIONS.into_iter().enumerate() {
            eprintln!("round {} of {rounds}: {connections} connections", round + 1);
            // Everyone is first in turn.
            for turn in 0..SERVERS.len() {
                let server = (turn + round) % SERVERS.len();
                let process = peers::start(&directory, SERVERS[server], connections)?;
                let load = Scenario::echo(connections, DURATION).load(process.address);
                let outcome = run::run(&load, Some(process.id()), &mut |_| ())?;
                if let Some(failure) = outcome.tally.failures.first {
                    return Err(io::Error::other(format!("{}: {failure}", SERVERS[server])));
                }
                for Quantity { read, figures, .. } in &mut quantities {
                    figures[server][step].push(read(&outcome, connections));
                }
            }
        }
    }
    let mut charts = Vec::new();
    for Quantity { name, figures, .. } in &quantities {
        println!("{name}\n\n{}", table(figures));
        let curve = |(server, figures): (usize, &[Vec<f64>; CONNECTIONS.len()])| -> Curve<'_> {
            let points = CONNECTIONS.into_iter().zip(figures).map(|(at, rounds)| (at as f64, median(rounds)));
            (SERVERS[server], points.collect())
        };
        charts.push((*name, figures.iter().enumerate().map(curve).collect()));
    }
    println!("resident memory for each session after the first, KiB: {}\n", further(&quantities[2].figures));
    let path = directory.join("growth.svg");
    plot::growth(&path, &charts)?;
    println!("{}", path.display());
    Ok(())
}

/// What `MOST` sessions have more than one, for each of them: without what the program itself takes.
fn further(resident: &[[Vec<f64>; CONNECTIONS.len()]; SERVERS.len()]) -> String {
    let further = |rounds: &[Vec<f64>; CONNECTIONS.len()]| {
        let (one, most) = (median(&rounds[0]), median(&rounds[CONNECTIONS.len() - 1]));
        (most * MOST as f64 - one) / (MOST - 1) as f64
    };
    let each = SERVERS.iter().zip(resident).map(|(server, rounds)| format!("{server} {:.1}", further(rounds)));
    each.collect::<Vec<_>>().join(", ")
}

/// Medians, and in parentheses least and most.
fn table(figures: &[[Vec<f64>; CONNECTIONS.len()]; SERVERS.len()]) -> String {
    let mut table = vec![vec!["connections".to_owned()]];
    table[0].extend(SERVERS.map(str::to_owned));
    for (step, connections) in CONNECTIONS.into_iter().enumerate() {
        let mut row = vec![connections.to_string()];
        row.extend(figures.iter().map(|figures| {
            let rounds = &figures[step];
            let least = rounds.iter().copied().fold(f64::INFINITY, f64::min);
            let most = rounds.iter().copied().fold(0.0, f64::max);
            format!("{:.0} ({least:.0} to {most:.0})", median(rounds))
        }));
        table.push(row);
    }
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = write_markdown(&mut text, &table);
    text
}
