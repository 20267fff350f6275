//! `make bench`: compares hebra with its peers, in interleaved rounds of one run.
//!
//! On a machine that runs other programs too, rates of different minutes cannot be compared. So each round runs every
//! scenario against every peer, one after the other. The result is the ratio to the reference within a round: its
//! median over the rounds, and its spread.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Map, json};

use super::arguments::Arguments;
use super::json;
use super::load::{Adversaries, End, Load, Mode};
use super::peers::{self, MAX_CONNECTIONS, Peer, QUIET, REFERENCE, TOKIO};
use super::plot::{self, thousands};
use super::process;
use super::run::{self, Outcome};
use super::suite_report;

const ROUNDS: u16 = 3;

/// Unless the command line has a number of rounds, none begins after this time, so that the suite takes three minutes.
const LAST_ROUND: Duration = Duration::from_secs(100);

/// Length of each measurement. It is short because there are hundreds; the spread over the rounds shows the noise.
const DURATION: Duration = Duration::from_millis(250);
const WARMUP: Duration = Duration::from_millis(100);

/// Length of the detailed measurements.
const DETAIL_DURATION: Duration = Duration::from_secs(2);

/// The peers with a detailed measurement. The reference is first: it determines the rate of the open loop.
const DETAILED: [&str; 5] = [REFERENCE, "hebra", QUIET, TOKIO, "python"];

/// The rate of the open loop, as a share of the reference's rate in a closed loop.
const OPEN_SHARE: f64 = 0.25;

/// One kind of load, which is the same for every peer.
#[derive(Clone, Debug)]
pub(crate) struct Scenario {
    pub(crate) name: String,
    mode: Mode,
    connections: usize,
    size: usize,
    depth: usize,
    duration: Duration,
}

/// The results of a scenario with one peer, with an entry for each round.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cell {
    pub(crate) rates: Vec<f64>,
    pub(crate) p99_us: Vec<f64>,
    pub(crate) client_busy: Vec<f64>,
    pub(crate) failures: u64,
    pub(crate) first_failure: Option<String>,
}

/// The detailed measurement of one peer: a closed loop for rate and costs, an open loop for response times.
pub(crate) struct Detail {
    pub(crate) name: &'static str,
    pub(crate) closed: (Load, Outcome),
    pub(crate) open: (Load, Outcome),
}

/// The whole comparison: a row for each scenario with a cell for each peer, or `None` if the peer does not take part.
pub(crate) struct Comparison {
    pub(crate) names: Vec<&'static str>,
    pub(crate) missing: Vec<String>,
    pub(crate) rows: Vec<(Scenario, Vec<Option<Cell>>)>,
    pub(crate) details: Vec<Detail>,
}

/// Runs the requested scenarios and writes `suite.json`, `latency.svg` and `rate.svg`. Returns `true` if no run against
/// hebra had a failure.
pub(crate) fn run(arguments: &Arguments) -> io::Result<bool> {
    let start = Instant::now();
    let directory = process::results()?;
    // Servers inherit the limit.
    rlimit::increase_nofile_limit(2 * MAX_CONNECTIONS as u64)?;
    let wants = |list: &[String], name: &str| list.is_empty() || list.iter().any(|wanted| wanted == name);
    let (peers, missing) = match &arguments.before {
        Some(program) => (peers::with_before(&directory, program)?, Vec::new()),
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
            eprintln!("round {} of {all}: {}", rounds + 1, scenario.name);
            // The order rotates, so that each peer is first in some round.
            for turn in 0..peers.len() {
                let turn = (turn + rounds) % peers.len();
                if let Some(cell) = &mut cells[turn] {
                    let load = scenario.load(peers[turn].server.address);
                    cell.add(&run::run(&load, None, &mut |_| ())?);
                }
            }
        }
        rounds += 1;
    }
    let is_whole = arguments.only.is_empty() && arguments.peer.is_empty() && arguments.before.is_none();
    let details = if is_whole { measure_details(&peers)? } else { Vec::new() };
    draw(&directory, &details)?;
    let names = peers.iter().map(|peer| peer.name).collect();
    let comparison = Comparison { names, missing, rows, details };
    println!("{}", suite_report::tables(&comparison));
    fs::write(directory.join("suite.json"), format!("{:#}\n", suite_json(&comparison)))?;
    println!("suite.json, latency.svg and rate.svg are in {}", directory.display());
    println!("{rounds} rounds, {:.0} s", start.elapsed().as_secs_f64());
    Ok(comparison.hebra_is_clean())
}

/// Returns all scenarios: connections times sizes, then pipelining, churn and streams.
pub(crate) fn scenarios() -> Vec<Scenario> {
    let sizes = [(64, "64 B"), (512, "512 B"), (16 * 1024, "16 KiB")];
    let matrix = [1, 50, 500, MAX_CONNECTIONS].into_iter().flat_map(|connections| {
        sizes.into_iter().map(move |(size, text)| {
            let name = format!("{connections} x {text}");
            Scenario { name, size, ..Scenario::echo(connections, DURATION) }
        })
    });
    let special = [
        ("50 x 512 B, 16 pipelined", Mode::Echo, 50, 512, 16),
        ("16 churning", Mode::Churn, 16, 512, 1),
        ("64 churning", Mode::Churn, 64, 512, 1),
        ("1 streaming", Mode::Stream, 1, 64 * 1024, 16),
        ("4 streaming", Mode::Stream, 4, 64 * 1024, 16),
    ];
    let special = special.into_iter().map(|(name, mode, connections, size, depth)| Scenario {
        name: name.to_owned(),
        mode,
        connections,
        size,
        depth,
        duration: DURATION,
    });
    matrix.chain(special).collect()
}

impl Scenario {
    /// The plain echo that most scenarios vary.
    pub(crate) fn echo(connections: usize, duration: Duration) -> Self {
        Self { name: String::new(), mode: Mode::Echo, connections, size: 512, depth: 1, duration }
    }

    /// Returns the load against a server.
    pub(crate) fn load(&self, address: SocketAddr) -> Load {
        let Self { mode, connections, size, depth, duration, .. } = *self;
        Load {
            address,
            mode,
            connections,
            duration,
            warmup: WARMUP,
            size,
            depth,
            rate: None,
            end: End::Close,
            threads: 1,
            timeout: Duration::from_secs(2),
            seed: 1,
            adversaries: Adversaries::default(),
        }
    }
}

impl Cell {
    fn add(&mut self, outcome: &Outcome) {
        self.rates.push(outcome.rate());
        self.p99_us.push(outcome.tally.response.value_at_quantile(0.99) as f64 / 1000.0);
        self.client_busy.push(outcome.client_busy());
        self.failures += outcome.tally.failures.total();
        self.first_failure = self.first_failure.take().or_else(|| outcome.tally.failures.first.clone());
    }
}

impl Comparison {
    fn hebra_is_clean(&self) -> bool {
        let is_hebra = |name: &&str| name.starts_with("hebra");
        let of_hebra = |cells: &Vec<Option<Cell>>| -> u64 {
            let cells = self.names.iter().zip(cells).filter(|(name, _)| is_hebra(name));
            cells.filter_map(|(_, cell)| cell.as_ref()).map(|cell| cell.failures).sum()
        };
        let details = self.details.iter().filter(|detail| is_hebra(&detail.name));
        self.rows.iter().all(|(_, cells)| of_hebra(cells) == 0)
            && details
                .flat_map(|detail| [&detail.closed, &detail.open])
                .all(|(_, run)| run.tally.failures.total() == 0)
    }
}

/// Measures costs and rate over time in a closed loop, and response times in an open loop.
fn measure_details(peers: &[Peer]) -> io::Result<Vec<Detail>> {
    let scenario = Scenario::echo(50, DETAIL_DURATION);
    let mut rate = None;
    let mut details = Vec::new();
    for peer in DETAILED.iter().filter_map(|name| peers.iter().find(|peer| peer.name == *name)) {
        eprintln!("detailed measurement: {}", peer.name);
        let load = scenario.load(peer.server.address);
        let closed = run::run(&load, Some(peer.server.id()), &mut |_| ())?;
        let rate = *rate.get_or_insert_with(|| (OPEN_SHARE * closed.rate() / 1000.0).ceil() * 1000.0);
        let open_load = Load { rate: Some(rate), ..load.clone() };
        let open = run::run(&open_load, None, &mut |_| ())?;
        details.push(Detail { name: peer.name, closed: (load, closed), open: (open_load, open) });
    }
    Ok(details)
}

fn draw(directory: &Path, details: &[Detail]) -> io::Result<()> {
    let Some(Detail { closed, open, .. }) = details.first() else { return Ok(()) };
    let Load { connections, size, rate, .. } = open.0;
    let times: Vec<_> = details.iter().map(|peer| (peer.name, &peer.open.1.tally.response)).collect();
    let messages = thousands(rate.unwrap_or_default());
    let title = format!("Response time at {messages} messages/s: {connections} connections, {size} B");
    plot::latency(&directory.join("latency.svg"), &title, &times)?;
    let runs: Vec<_> = details.iter().map(|peer| (peer.name, peer.closed.1.points.as_slice())).collect();
    let title = format!("Rate over time ({})", super::report::title(&closed.0));
    plot::rate(&directory.join("rate.svg"), &title, &runs)
}

fn suite_json(comparison: &Comparison) -> serde_json::Value {
    let cell = |cell: &Cell| {
        json!({
            "rates": cell.rates,
            "p99_us": cell.p99_us,
            "client_busy": cell.client_busy,
            "errors": cell.failures,
            "first_error": cell.first_failure,
        })
    };
    let row = |(scenario, cells): &(Scenario, Vec<Option<Cell>>)| {
        let cells = comparison.names.iter().zip(cells);
        let cells: Map<_, _> =
            cells.filter_map(|(name, found)| Some(((*name).to_owned(), cell(found.as_ref()?)))).collect();
        json!({ "scenario": scenario.name, "peers": cells })
    };
    let detail = |detail: &Detail| {
        json!({
            "peer": detail.name,
            "closed": json::result(&detail.closed.0, &detail.closed.1),
            "open": json::result(&detail.open.0, &detail.open.1),
        })
    };
    json::join(
        json::environment(),
        json!({
            "reference": REFERENCE,
            "missing": comparison.missing,
            "scenarios": comparison.rows.iter().map(row).collect::<Vec<_>>(),
            "closer": comparison.details.iter().map(detail).collect::<Vec<_>>(),
        }),
    )
}
