//! The results of the suite: a row for each scenario, with a cell for each peer.

use serde_json::{Map, Value, json};

use super::super::results::figures::microseconds;
use super::super::results::json;
use super::super::traffic::load::Load;
use super::super::traffic::run::Outcome;
use super::peers::{COMPARED, REFERENCE};
use super::scenario::Scenario;

/// The results of a scenario with one peer, with an entry for each round.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cell {
    pub(crate) rates: Vec<f64>,
    pub(crate) p50_us: Vec<f64>,
    pub(crate) p99_us: Vec<f64>,
    pub(crate) p999_us: Vec<f64>,
    /// Processor time of the server for each message. It includes the warm-up.
    pub(crate) cpu_us: Vec<f64>,
    pub(crate) client_busy: Vec<f64>,
    /// The rounds in which the server, or the client, did not keep up with the requested rate.
    pub(crate) saturated: usize,
    /// Datagrams that are lost or late are counted apart: how many there are depends on the rate.
    pub(crate) failures: u64,
    /// Datagrams that had no answer at the timeout.
    pub(crate) timed_out: u64,
    pub(crate) first_failure: Option<String>,
}

/// The results of a scenario.
pub(crate) struct Row {
    pub(crate) scenario: Scenario,
    /// The rate of an open loop in each round, in messages a second. It is empty for a closed loop.
    pub(crate) requested: Vec<f64>,
    /// A cell for each peer, or `None` if the peer does not take part.
    pub(crate) cells: Vec<Option<Cell>>,
}

/// The whole comparison.
pub(crate) struct Comparison {
    pub(crate) names: Vec<&'static str>,
    pub(crate) missing: Vec<String>,
    pub(crate) rows: Vec<Row>,
}

/// What was measured below saturation with one number of connections: for each server, a figure for each share.
pub(crate) struct Below<'a> {
    pub(crate) connections: usize,
    /// The servers with their rows and cells.
    pub(crate) servers: Vec<(&'a str, Vec<(f64, &'a Cell)>)>,
}

impl Cell {
    /// Adds the result of one round. A round in which nothing was measured counts as a failure.
    pub(crate) fn add(&mut self, load: &Load, outcome: &Outcome) {
        let tally = &outcome.tally;
        let nothing_measured = outcome.nothing_measured(load);
        self.rates.push(outcome.rate());
        self.p50_us.push(microseconds(&tally.response, 0.5));
        self.p99_us.push(microseconds(&tally.response, 0.99));
        self.p999_us.push(microseconds(&tally.response, 0.999));
        if let Some(server) = &outcome.server {
            self.cpu_us.push(server.cpu.as_secs_f64() * 1e6 / tally.total_answers.max(1) as f64);
        }
        self.client_busy.push(outcome.client_busy());
        self.saturated += usize::from(outcome.saturated());
        let timed_out = tally.datagrams.timed_out;
        self.timed_out += timed_out;
        self.failures += tally.errors(load) - timed_out + u64::from(nothing_measured.is_some());
        let first = tally.failures.first.clone().or(nothing_measured);
        self.first_failure = self.first_failure.take().or(first);
    }
}

impl Comparison {
    /// Returns `true` if each run against hebra had a result and no failure.
    pub(crate) fn hebra_is_clean(&self) -> bool {
        let of_hebra = |row: &Row| -> u64 {
            let cells = self.names.iter().zip(&row.cells).filter(|(name, _)| name.starts_with("hebra"));
            cells.filter_map(|(_, cell)| cell.as_ref()).map(|cell| cell.failures).sum()
        };
        self.rows.iter().all(|row| of_hebra(row) == 0)
    }

    /// Returns what was measured below saturation by the number of connections, if anything was.
    pub(crate) fn below_saturation(&self) -> Option<Vec<Below<'_>>> {
        let rows = || self.rows.iter().filter(|row| !row.scenario.is_pinned && !row.scenario.is_udp());
        let mut all: Vec<Below<'_>> = Vec::new();
        for row in rows().filter(|row| row.scenario.share.is_some()) {
            let connections = row.scenario.connections;
            if all.last().is_none_or(|below| below.connections != connections) {
                let servers = self.names.iter().filter(|name| COMPARED.contains(name));
                all.push(Below { connections, servers: servers.map(|name| (*name, Vec::new())).collect() });
            }
            let Some(below) = all.last_mut() else { continue };
            for (name, cell) in self.names.iter().zip(&row.cells) {
                let series = below.servers.iter_mut().find(|(server, _)| server == name);
                if let (Some((_, series)), Some(share), Some(cell)) = (series, row.scenario.share, cell) {
                    series.push((100.0 * share, cell));
                }
            }
        }
        (!all.is_empty()).then_some(all)
    }

    /// Returns the content of `suite.json`.
    pub(crate) fn json(&self) -> Value {
        let cell = |cell: &Cell| {
            json!({
                "rates": cell.rates,
                "p50_us": cell.p50_us,
                "p99_us": cell.p99_us,
                "p999_us": cell.p999_us,
                "cpu_us": cell.cpu_us,
                "client_busy": cell.client_busy,
                "saturated": cell.saturated,
                "timed_out": cell.timed_out,
                "errors": cell.failures,
                "first_error": cell.first_failure,
            })
        };
        let row = |row: &Row| {
            let cells = self.names.iter().zip(&row.cells);
            let cells: Map<_, _> =
                cells.filter_map(|(name, found)| Some(((*name).to_owned(), cell(found.as_ref()?)))).collect();
            json!({
                "scenario": row.scenario.name,
                "pinned": row.scenario.is_pinned,
                "requested_rates": row.requested,
                "peers": cells,
            })
        };
        json::join(
            json::environment(),
            json!({
                "reference": self.names.first().unwrap_or(&REFERENCE),
                "missing": self.missing,
                "scenarios": self.rows.iter().map(row).collect::<Vec<_>>(),
            }),
        )
    }
}
