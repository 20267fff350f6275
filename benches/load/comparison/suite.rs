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

/// The rates that the reference reaches in a closed loop in one round, by the number of connections, whether cores are
/// pinned, and whether datagrams are sent. The machine may be half as fast in another round.
type Reached = HashMap<(usize, bool, bool), f64>;

/// The servers that take part. The first one of each kind is the reference.
struct Servers {
    peers: Vec<Peer>,
    missing: Vec<String>,
    /// The core of the client and the one of all servers, for scenarios on pinned cores.
    cores: Option<(usize, usize)>,
    /// Those of `peers` that such scenarios need, on that core.
    pinned: Vec<Peer>,
    /// Servers of datagrams, with the names of others that serve connections.
    udp: Vec<Peer>,
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
    let servers = Servers::start(arguments, &directory, &scenarios)?;
    let mut rows: Vec<Row> = scenarios.into_iter().filter_map(|scenario| servers.row(scenario)).collect();
    let rounds = usize::from(arguments.rounds.unwrap_or(ROUNDS));
    for round in 0..rounds {
        let mut reached = HashMap::new();
        for row in &mut rows {
            note(format_args!("round {} of {rounds}: {}", round + 1, row.scenario.name));
            servers.measure(row, round, &mut reached)?;
        }
    }
    let names = servers.names();
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
    fn start(arguments: &Comparisons, directory: &Path, scenarios: &[Scenario]) -> Result<Self, Problem> {
        let with_pinned = scenarios.iter().any(|scenario| scenario.is_pinned);
        let with_streams = scenarios.iter().any(|scenario| !scenario.is_udp());
        let with_udp = scenarios.iter().any(Scenario::is_udp);
        if let Some(program) = &arguments.before {
            fs::metadata(program).map_err(|error| Problem::flag("before", named(program, &error)))?;
        }
        let is_wanted =
            |name: &str| arguments.peer.is_empty() || arguments.peer.iter().any(|wanted| wanted == name);
        let start = |directory: &Path| match &arguments.before {
            Some(program) => Ok((peers::with_before(directory, program)?, Vec::new())),
            None => peers::start_all(directory, |name| name == REFERENCE || is_wanted(name)),
        };
        let (peers, mut missing) = if with_streams { start(directory)? } else { Default::default() };
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
        let mut udp = Vec::new();
        if with_udp {
            let (servers, not_started) = match &arguments.before {
                Some(program) => (peers::udp::with_before(directory, program)?, Vec::new()),
                None => peers::udp::start_all(directory, |name| name == REFERENCE || is_wanted(name))?,
            };
            udp = servers;
            missing.extend(not_started.into_iter().map(|problem| format!("udp, {problem}")));
        }
        Ok(Self { peers, missing, cores, pinned, udp })
    }

    /// Returns the peers for a scenario.
    fn peers(&self, scenario: &Scenario) -> &[Peer] {
        if scenario.is_udp() {
            &self.udp
        } else if scenario.is_pinned {
            &self.pinned
        } else {
            &self.peers
        }
    }

    /// Returns the names of all servers, each of which has a column.
    fn names(&self) -> Vec<&'static str> {
        let servers = if self.peers.is_empty() { &self.udp } else { &self.peers };
        servers.iter().map(|peer| peer.name).collect()
    }

    /// Puts the client on its own core, if the scenario asks for that, until the value is dropped.
    fn pin(&self, scenario: &Scenario) -> io::Result<Option<Pinned>> {
        self.cores.filter(|_| scenario.is_pinned).map(|(core, _)| Pinned::to(core)).transpose()
    }

    /// Returns the row of a scenario, for which no peer is measured yet, or `None` if it cannot be run here.
    fn row(&self, scenario: Scenario) -> Option<Row> {
        let servers = self.peers(&scenario);
        let reference = servers.first()?;
        let cell = |name: &'static str| {
            let peer = servers.iter().find(|peer| peer.name == name)?;
            // Another hebra takes part where hebra does.
            let name = if reference.name == REFERENCE { name } else { HEBRA };
            scenario.is_for(name, peer.limit).then(Cell::default)
        };
        let cells = self.names().into_iter().map(cell).collect();
        Some(Row { scenario, requested: Vec::new(), cells })
    }

    /// Returns the rate of a scenario's open loop in this round, or `None` if its loop is closed.
    fn rate(&self, scenario: &Scenario, reached: &mut Reached) -> io::Result<Option<f64>> {
        let Some(share) = scenario.share else { return Ok(None) };
        let reached = match reached.entry((scenario.connections, scenario.is_pinned, scenario.is_udp())) {
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
        let names = self.names();
        for turn in 0..names.len() {
            let turn = (turn + round) % names.len();
            let name = names[turn];
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
