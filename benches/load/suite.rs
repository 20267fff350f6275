//! `make bench`: compares hebra with its peers, in interleaved rounds of one run.
//!
//! On a machine that runs other programs too, rates of different minutes cannot be compared. So each round runs every
//! scenario against every peer, one after the other. The result is the ratio to the reference within a round: its
//! median over the rounds, and its spread.

use std::fs;
use std::io;
use std::time::{Duration, Instant};

use super::arguments::Arguments;
use super::comparison::{Cell, Comparison, Detail};
use super::figures::thousands;
use super::load::Load;
use super::output::{self, Output, named, note};
use super::peers::{self, MAX_CONNECTIONS, Peer, QUIET, REFERENCE, TOKIO};
use super::plot;
use super::problem::Problem;
use super::process;
use super::run;
use super::scenario::{Scenario, scenarios};
use super::suite_report;

const ROUNDS: u16 = 3;

/// Unless the command line has a number of rounds, none begins after this time, so that the suite takes three minutes.
const LAST_ROUND: Duration = Duration::from_secs(100);

/// Length of the detailed measurements.
const DETAIL_DURATION: Duration = Duration::from_secs(2);

/// The peers with a detailed measurement. The reference is first: it determines the rate of the open loop.
const DETAILED: [&str; 5] = [REFERENCE, "hebra", QUIET, TOKIO, "python"];

/// The rate of the open loop, as a share of the reference's rate in a closed loop.
const OPEN_SHARE: f64 = 0.25;

/// Runs the requested scenarios and writes `suite.json`, and for the whole suite also `latency.svg` and `rate.svg`.
/// Returns `true` if each run against hebra had a result and no failure.
pub(crate) fn run(arguments: &Arguments) -> Result<bool, Problem> {
    let start = Instant::now();
    let directory = process::results()?;
    let is_whole = arguments.only.is_empty() && arguments.peer.is_empty() && arguments.before.is_none();
    let file = Output::open(&directory.join("suite.json"))?;
    let plots = match is_whole {
        true => Some((Output::open(&directory.join("latency.svg"))?, Output::open(&directory.join("rate.svg"))?)),
        false => None,
    };
    // Servers inherit the limit.
    rlimit::increase_nofile_limit(2 * MAX_CONNECTIONS as u64)?;
    let wants = |list: &[String], name: &str| list.is_empty() || list.iter().any(|wanted| wanted == name);
    let (peers, missing) = match &arguments.before {
        Some(program) => {
            fs::metadata(program).map_err(|error| Problem::flag("before", named(program, &error)))?;
            (peers::with_before(&directory, program)?, Vec::new())
        }
        None => peers::start_all(&directory, |name| name == REFERENCE || wants(&arguments.peer, name))?,
    };
    let is_requested = |scenario: &Scenario| {
        arguments.only.is_empty() || arguments.only.iter().any(|text| scenario.name.contains(text))
    };
    let mut rows: Vec<_> = scenarios()
        .into_iter()
        .filter(is_requested)
        .map(|scenario| {
            let takes_part = |peer: &Peer| (scenario.connections <= peer.limit).then(Cell::default);
            let cells: Vec<_> = peers.iter().map(takes_part).collect();
            (scenario, cells)
        })
        .collect();
    let all = arguments.rounds.unwrap_or(ROUNDS).into();
    let mut rounds = 0;
    while rounds < all && (rounds == 0 || arguments.rounds.is_some() || start.elapsed() < LAST_ROUND) {
        for (scenario, cells) in &mut rows {
            note(format_args!("round {} of {all}: {}", rounds + 1, scenario.name));
            // The order rotates, so that each peer is first in some round.
            for turn in 0..peers.len() {
                let turn = (turn + rounds) % peers.len();
                if let Some(cell) = &mut cells[turn] {
                    let load = scenario.load(peers[turn].server.address);
                    cell.add(&load, &run::run(&load, None, &mut |_| ())?);
                }
            }
        }
        rounds += 1;
    }
    let details = if is_whole { measure_details(&peers)? } else { Vec::new() };
    if let Some((latency, rate)) = plots {
        draw(latency, rate, &details)?;
    }
    let names = peers.iter().map(|peer| peer.name).collect();
    let comparison = Comparison { names, missing, rows, details };
    file.write(&format!("{:#}\n", comparison.json()))?;
    let files = if is_whole { "suite.json, latency.svg and rate.svg are" } else { "suite.json is" };
    output::print(&format!(
        "{}\n{files} in {}\n{rounds} rounds, {:.0} s\n",
        suite_report::tables(&comparison),
        directory.display(),
        start.elapsed().as_secs_f64(),
    ))?;
    Ok(comparison.hebra_is_clean())
}

/// Measures costs and rate over time in a closed loop, and response times in an open loop.
fn measure_details(peers: &[Peer]) -> io::Result<Vec<Detail>> {
    let scenario = Scenario::echo(50, DETAIL_DURATION);
    let mut rate = None;
    let mut details = Vec::new();
    for peer in DETAILED.iter().filter_map(|name| peers.iter().find(|peer| peer.name == *name)) {
        note(format_args!("detailed measurement: {}", peer.name));
        let load = scenario.load(peer.server.address);
        let closed = run::run(&load, Some(peer.server.id()), &mut |_| ())?;
        let rate = *rate.get_or_insert_with(|| (OPEN_SHARE * closed.rate() / 1000.0).ceil().max(1.0) * 1000.0);
        let open_load = Load { rate: Some(rate), ..load.clone() };
        let open = run::run(&open_load, None, &mut |_| ())?;
        details.push(Detail { name: peer.name, closed: (load, closed), open: (open_load, open) });
    }
    Ok(details)
}

fn draw(latency: Output, rate: Output, details: &[Detail]) -> io::Result<()> {
    let Some(Detail { closed, open, .. }) = details.first() else { return Ok(()) };
    let Load { connections, size, rate: requested, .. } = open.0;
    let times: Vec<_> = details.iter().map(|peer| (peer.name, &peer.open.1.tally.response)).collect();
    let messages = thousands(requested.unwrap_or_default());
    let title = format!("Response time at {messages} messages/s: {connections} connections, {size} B");
    latency.write(&plot::latency(&title, &times)?)?;
    let runs: Vec<_> = details.iter().map(|peer| (peer.name, peer.closed.1.points.as_slice())).collect();
    let title = format!("Rate over time ({})", closed.0.title());
    rate.write(&plot::rate(&title, &runs)?)
}
