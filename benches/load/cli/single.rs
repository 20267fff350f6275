//! One run, against the server of the command line or one that is started here.
//!
//! Everything that can be wrong with the command line is reported before the measurement.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

use super::super::output::{self, Output};
use super::super::results::baseline::{self, Baseline};
use super::super::results::{hgrm, html, json, plot, report};
use super::super::server::process::{self, Process};
use super::super::server::usage::Snapshot;
use super::super::traffic::load::{Load, Mode};
use super::super::traffic::run::{self, Outcome};
use super::arguments::{self, Arguments};
use super::installation::Installation;
use super::live::Live;
use super::problem::Problem;
use super::values;

/// The files that the command line asks for.
struct Files {
    json: Option<Output>,
    latency: Option<Output>,
    rate: Option<Output>,
    html: Option<Output>,
    hgrm: Option<Output>,
    saved: Option<Output>,
}

/// Measures, prints and writes the result. Returns `true` if there is one, without failures and without a regression.
pub(crate) fn run(installation: &Installation, arguments: &Arguments) -> Result<bool, Problem> {
    let given = arguments.addr.as_deref().map(values::resolve).transpose();
    let given = given.map_err(|error| Problem::flag("addr", error))?;
    if let Some(id) = arguments.pid {
        Snapshot::take(id).map_err(|error| Problem::flag("pid", format_args!("{id}: {error}")))?;
    }
    let unknown: SocketAddr = (Ipv4Addr::UNSPECIFIED, 0).into();
    let mut load = arguments.load(given.unwrap_or(unknown));
    arguments.check_mode().and_then(|()| arguments::check(&load)).map_err(Problem::Usage)?;
    let baseline = match &arguments.baseline {
        Some(name) => Some(Baseline::read(&(installation.results)()?, name, &json::load(&load))),
        None => None,
    };
    let baseline = baseline.transpose().map_err(|error| Problem::flag("baseline", error))?;
    let files = Files::open(installation, arguments)?;
    let own = match given {
        Some(_) => None,
        None => {
            let log = (installation.results)()?.join("hebra.log");
            let program = (installation.hebra)()?;
            Some(match load.mode {
                Mode::Udp => process::hebra_udp(&program, &[], &log)?,
                _ => process::hebra(&program, arguments.clients(), &[], &log)?,
            })
        }
    };
    load.address = own.as_ref().map_or(load.address, |own| own.address);
    let id = own.as_ref().map(Process::id).or(arguments.pid);
    let mut live = Live::new(&load, !arguments.no_progress);
    let outcome = run::run(&load, id, &mut |update| live.show(update))?;
    drop(live);
    let printed = output::print(&report::table(&load, &outcome));
    let mut is_clean = outcome.tally.errors(&load) == 0;
    let nothing_measured = outcome.nothing_measured(&load);
    let result = json::join(json::environment(), json::result(&load, &outcome));
    files.write(&load, &outcome, &result, nothing_measured.is_none())?;
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

impl Files {
    fn open(installation: &Installation, arguments: &Arguments) -> Result<Self, Problem> {
        let open = |flag: &str, path: &Path| Output::open(path).map_err(|error| Problem::flag(flag, error));
        let plot = |name: &str| arguments.plots.as_ref().map(|plots| open("plots", &plots.join(name))).transpose();
        Ok(Self {
            json: arguments.json.as_ref().map(|path| open("json", path)).transpose()?,
            latency: plot("latency.svg")?,
            rate: plot("rate.svg")?,
            html: arguments.html.as_ref().map(|path| open("html", path)).transpose()?,
            hgrm: arguments.hgrm.as_ref().map(|path| open("hgrm", path)).transpose()?,
            saved: match &arguments.save_baseline {
                Some(name) => Some(open("save-baseline", &baseline::path(&(installation.results)()?, name)?)?),
                None => None,
            },
        })
    }

    /// Writes the files. Without a result, the saved baseline stays as it was.
    fn write(self, load: &Load, outcome: &Outcome, result: &serde_json::Value, has_result: bool) -> io::Result<()> {
        let text = format!("{result:#}\n");
        if let Some(file) = self.json {
            file.write(&text)?;
        }
        if let Some(file) = self.latency {
            let tally = &outcome.tally;
            let mut times = vec![("response time", &tally.response)];
            // In a closed loop without churn both times are equal.
            if load.rate.is_some() || load.mode == Mode::Churn {
                times.push(("service time", &tally.service));
            }
            file.write(&plot::latency(&format!("Latency by percentile ({})", load.title()), &times)?)?;
        }
        if let Some(file) = self.rate {
            let title = format!("Rate over time ({})", load.title());
            file.write(&plot::rate(&title, &[("rate", &outcome.points)])?)?;
        }
        if let Some(file) = self.html {
            file.write(&html::page(load, outcome, result))?;
        }
        if let Some(file) = self.hgrm {
            let what = format!("Response times ({}, against {})", load.title(), load.address);
            file.write(&hgrm::distribution(&outcome.tally.response, &what))?;
        }
        if let Some(file) = self.saved.filter(|_| has_result) {
            file.write(&text)?;
        }
        Ok(())
    }
}
