//! The results of the suite: a cell for each scenario and peer, and the detailed measurements.

use serde_json::{Map, Value, json};

use super::figures::microseconds;
use super::json;
use super::load::Load;
use super::peers::REFERENCE;
use super::run::Outcome;
use super::scenario::Scenario;

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

impl Cell {
    /// Adds the result of one round. A round in which nothing was measured counts as a failure.
    pub(crate) fn add(&mut self, load: &Load, outcome: &Outcome) {
        let failures = &outcome.tally.failures;
        let nothing_measured = outcome.nothing_measured(load);
        self.rates.push(outcome.rate());
        self.p99_us.push(microseconds(&outcome.tally.response, 0.99));
        self.client_busy.push(outcome.client_busy());
        self.failures += failures.total() + u64::from(nothing_measured.is_some());
        let first = failures.first.clone().or(nothing_measured);
        self.first_failure = self.first_failure.take().or(first);
    }
}

impl Comparison {
    /// Returns `true` if each run against hebra had a result and no failure.
    pub(crate) fn hebra_is_clean(&self) -> bool {
        let is_hebra = |name: &&str| name.starts_with("hebra");
        let of_hebra = |cells: &Vec<Option<Cell>>| -> u64 {
            let cells = self.names.iter().zip(cells).filter(|(name, _)| is_hebra(name));
            cells.filter_map(|(_, cell)| cell.as_ref()).map(|cell| cell.failures).sum()
        };
        let details = self.details.iter().filter(|detail| is_hebra(&detail.name));
        self.rows.iter().all(|(_, cells)| of_hebra(cells) == 0)
            && details
                .flat_map(|detail| [&detail.closed, &detail.open])
                .all(|(load, run)| run.tally.failures.total() == 0 && run.nothing_measured(load).is_none())
    }

    /// Returns the content of `suite.json`.
    pub(crate) fn json(&self) -> Value {
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
            let cells = self.names.iter().zip(cells);
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
                "missing": self.missing,
                "scenarios": self.rows.iter().map(row).collect::<Vec<_>>(),
                "closer": self.details.iter().map(detail).collect::<Vec<_>>(),
            }),
        )
    }
}
