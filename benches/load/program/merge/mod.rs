//! `hebra-load merge`: adds the results of several processes, so that many machines can load one server.

mod read;
mod sum;

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::super::cli::files::{FileFlags, Files};
use super::super::cli::installation::Installation;
use super::super::cli::problem::Problem;
use super::super::output;
use super::super::results::figures;
use super::super::results::{json, report};
use read::Part;

// Not a comment for the documentation, because clap would show it: the arguments of the command.
#[derive(Debug, Args)]
pub(super) struct Merge {
    /// Results that --json wrote
    #[arg(value_name = "FILE", required = true)]
    results: Vec<PathBuf>,

    #[command(flatten)]
    files: FileFlags,
}

/// Adds the results, prints and writes the sum. Returns `true` if there were no failures.
pub(super) fn run(installation: &Installation, merge: &Merge) -> Result<bool, Problem> {
    let parts = read::all(&merge.results).map_err(Problem::Usage)?;
    let files = Files::open(&merge.files)?;
    let warnings = sum::warnings(&parts);
    let rates = parts.iter().map(|part| figures::rate(part.outcome.rate())).collect::<Vec<_>>().join(" + ");
    let names: Vec<&str> = parts.iter().map(|part| &*part.name).collect();
    let merged = json!({ "merged": names });
    let Part { load, outcome, .. } = sum::sum(parts);
    let line = format!("  merged      {} results: {rates}\n", merge.results.len());
    let printed = output::print(&(report::table(&load, &outcome) + &line));
    let result = json::join(json::environment(), json::join(json::result(&load, &outcome), merged));
    files.write(&load, &outcome, &result)?;
    printed?;
    for warning in warnings.into_iter().chain(outcome.nothing_measured(&load)) {
        installation.note(warning);
    }
    Ok(outcome.tally.errors(&load) == 0 && outcome.tally.answers > 0)
}
