//! `make bench`: compares hebra with its peers, in interleaved rounds of one run.
//!
//! On a machine that runs other programs too, rates of different minutes cannot be compared. So each round runs every
//! scenario against every peer, one after the other. The result is the ratio to the reference within a round: its
//! median over the rounds, and its spread.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fs;
use std::io;
use std::path::Path;
use std::time::Instant;

use super::super::cli::problem::Problem;
use super::super::output::{self, Output, named, note};
use super::super::traffic::run;
use super::affinity::{self, Pinned};
use super::arguments::Comparisons;
use super::build;
use super::peers::{self, HEBRA, MAX_CONNECTIONS, Peer, REFERENCE};
use super::plot;
use super::scenario::{Scenario, scenarios};
use super::suite_report;
use super::suite_results::{Cell, Comparison, Row};

const ROUNDS: u16 = 3;

/// The rates that the reference reaches in a closed loop in one round, by the number of connections and whether cores are
/// pinned. The machine may be half as fast in another round.
type Reached = HashMap<(usize, bool), f64>;

/// The servers that take part. The first one is the reference.
struct Servers {
    peers: Vec<Peer>,
    missing: Vec<String>,
    /// The core of the client and the one of all servers, for scenarios on pinned cores.
    cores: Option<(usize, usize)>,
    /// Those of `peers` that such scenarios need, on that core.
    pinned: Vec<Peer>,
}

/// Runs the requested scenarios and writes `suite.json`, and `below.svg` if all of those below saturation are among
/// them. Returns `true` if each run against hebra had a result and no failure.
pub(crate) fn run(arguments: &Comparisons) -> Result<bool, Problem> {
    let start = Instant::now();
    let directory = build::results()?;
    let file = Output::open(&directory.join("suite.json"))?;
    // Servers inherit the limit.
    rlimit::increase_nofile_limit(2 * MAX_CONNECTIONS as u64)?;
    let is_requested = |scenario: &Scenario| {
        arguments.only.is_empty() || arguments.only.iter().any(|text| scenario.name.contains(text))
    };
    let scenarios: Vec<_> = scenarios().into_iter().filter(is_requested).collect();
    let servers = Servers::start(arguments, &directory, scenarios.iter().any(|scenario| scenario.is_pinned))?;
    let mut rows: Vec<Row> = scenarios.into_iter().filter_map(|scenario| servers.row(scenario)).collect();
    let rounds = usize::from(arguments.rounds.unwrap_or(ROUNDS));
    for round in 0..rounds {
        let mut reached = HashMap::new();
        for row in &mut rows {
            note(format_args!("round {} of {rounds}: {}", round + 1, row.scenario.name));
            servers.measure(row, round, &mut reached)?;
        }
    }
    let names = servers.peers.iter().map(|peer| peer.name).collect();
    let comparison = Comparison { names, missing: servers.missing, rows };
    file.write(&format!("{:#}\n", comparison.json()))?;
    let mut files = vec!["suite.json"];
    if let Some(curves) = comparison.below_saturation() {
        Output::open(&directory.join("below.svg"))?.write(&plot::below_saturation(&curves)?)?;
        files.push("below.svg");
    }
    output::print(&format!(
        "{}\n{} in {}\n{rounds} rounds, {:.0} s\n",
        suite_report::tables(&comparison),
        files.join(" and "),
        directory.display(),
        start.elapsed().as_secs_f64(),
    ))?;
    Ok(comparison.hebra_is_clean())
}

impl Servers {
    fn start(arguments: &Comparisons, directory: &Path, with_pinned: bool) -> Result<Self, Problem> {
        if let Some(program) = &arguments.before {
            fs::metadata(program).map_err(|error| Problem::flag("before", named(program, &error)))?;
        }
        let is_wanted =
            |name: &str| arguments.peer.is_empty() || arguments.peer.iter().any(|wanted| wanted == name);
        let start = |directory: &Path| match &arguments.before {
            Some(program) => Ok((peers::with_before(directory, program)?, Vec::new())),
            None => peers::start_all(directory, |name| name == REFERENCE || is_wanted(name)),
        };
        let (peers, mut missing) = start(directory)?;
        let cores = affinity::two_cores()?;
        let mut pinned = Vec::new();
        match cores {
            Some((_, core)) if with_pinned => {
                let _pinned = Pinned::to(core)?;
                let directory = directory.join("pinned");
                fs::create_dir_all(&directory).map_err(|error| named(&directory, &error))?;
                pinned = start(&directory)?.0;
            }
            None if with_pinned => missing.push("all that is pinned: there is one core only".to_owned()),
            _ => {}
        }
        Ok(Self { peers, missing, cores, pinned })
    }

    /// Returns the peers for a scenario.
    fn peers(&self, scenario: &Scenario) -> &[Peer] {
        if scenario.is_pinned { &self.pinned } else { &self.peers }
    }

    /// Puts the client on its own core, if the scenario asks for that, until the value is dropped.
    fn pin(&self, scenario: &Scenario) -> io::Result<Option<Pinned>> {
        self.cores.filter(|_| scenario.is_pinned).map(|(core, _)| Pinned::to(core)).transpose()
    }

    /// Returns the row of a scenario, for which no peer is measured yet, or `None` if it cannot be run here.
    fn row(&self, scenario: Scenario) -> Option<Row> {
        let reference = self.peers(&scenario).first()?;
        let cells = self.peers.iter().map(|peer| {
            // Another hebra takes part where hebra does.
            let name = if reference.name == REFERENCE { peer.name } else { HEBRA };
            scenario.is_for(name, peer.limit).then(Cell::default)
        });
        let cells = cells.collect();
        Some(Row { scenario, requested: Vec::new(), cells })
    }

    /// Returns the rate of a scenario's open loop in this round, or `None` if its loop is closed.
    fn rate(&self, scenario: &Scenario, reached: &mut Reached) -> io::Result<Option<f64>> {
        let Some(share) = scenario.share else { return Ok(None) };
        let reached = match reached.entry((scenario.connections, scenario.is_pinned)) {
            Entry::Occupied(known) => *known.get(),
            Entry::Vacant(unknown) => {
                let load = scenario.load(self.peers(scenario)[0].server.address, None);
                *unknown.insert(run::run(&load, None, &mut |_| ())?.rate())
            }
        };
        Ok(Some((share * reached / 100.0).ceil().max(1.0) * 100.0))
    }

    /// Measures each peer once. The order rotates, so that each is first in some round.
    fn measure(&self, row: &mut Row, round: usize, reached: &mut Reached) -> io::Result<()> {
        let _pinned = self.pin(&row.scenario)?;
        let rate = self.rate(&row.scenario, reached)?;
        row.requested.extend(rate);
        for turn in 0..self.peers.len() {
            let turn = (turn + round) % self.peers.len();
            let name = self.peers[turn].name;
            let peer = self.peers(&row.scenario).iter().find(|peer| peer.name == name);
            if let (Some(peer), Some(cell)) = (peer, &mut row.cells[turn]) {
                let load = row.scenario.load(peer.server.address, rate);
                let server = peer.is_one_process.then(|| peer.server.id());
                cell.add(&load, &run::run(&load, server, &mut |_| ())?);
            }
        }
        Ok(())
    }
}
