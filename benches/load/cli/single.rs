//! One run, against the server of the command line or one that is started here.
//!
//! Everything that can be wrong with the command line is reported before the measurement.

use std::io;

use super::super::output;
use super::super::results::baseline::{self, Baseline};
use super::super::results::{json, report};
use super::super::traffic::run;
use super::arguments::Arguments;
use super::files::{Files, open};
use super::installation::Installation;
use super::live::Live;
use super::problem::Problem;
use super::search;
use super::target::{self, Target};

/// Measures, prints and writes the result. Returns `true` if there is one, without failures and without a regression.
pub(crate) fn run(installation: &Installation, arguments: &Arguments) -> Result<bool, Problem> {
    let load = target::load(arguments)?;
    if let Some(objective) = &arguments.search {
        return search::run(installation, arguments, load, objective);
    }
    let baseline = match &arguments.baseline {
        Some(name) => Some(Baseline::read(&(installation.results)()?, name, &json::load(&load))),
        None => None,
    };
    let baseline = baseline.transpose().map_err(|error| Problem::flag("baseline", error))?;
    let files = Files::open(&arguments.files)?;
    let saved = match &arguments.save_baseline {
        Some(name) => Some(open("save-baseline", &baseline::path(&(installation.results)()?, name)?)?),
        None => None,
    };
    let target = Target::start(installation, arguments, load)?;
    let load = &target.load;
    let mut live = Live::new(load, !arguments.no_progress);
    let outcome = run::run(load, target.id, &mut |update| live.show(update))?;
    drop(live);
    let printed = output::print(&report::table(load, &outcome));
    let mut is_clean = outcome.tally.errors(load) == 0;
    let nothing_measured = outcome.nothing_measured(load);
    let result = json::join(json::environment(), json::result(load, &outcome));
    files.write(load, &outcome, &result)?;
    // Without a result, the saved baseline stays as it was.
    if let Some(file) = saved.filter(|_| nothing_measured.is_none()) {
        file.write(&format!("{result:#}\n"))?;
    }
    printed?;
    if let Some(problem) = nothing_measured {
        installation.note(problem);
        return Ok(false);
    }
    if let Some(baseline) = baseline {
        let comparison = baseline.compare(&result).map_err(io::Error::other)?;
        let limit = arguments.fail_on_regression;
        output::print(&format!("{}\n", comparison.verdict(limit)))?;
        is_clean &= !limit.is_some_and(|limit| comparison.regressed(limit));
    }
    Ok(is_clean)
}
