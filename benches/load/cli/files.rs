//! The files that a result is written to. They are opened before the measurement, so that none is lost to a mistyped path.

use std::io;
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::Value;

use super::super::output::Output;
use super::super::results::{hgrm, html, plot};
use super::super::traffic::load::{Load, Mode};
use super::super::traffic::run::Outcome;
use super::problem::Problem;

// As for `Arguments`, no comment for the documentation: the flags that name files.
#[derive(Clone, Debug, Args)]
pub(crate) struct FileFlags {
    /// Write the result to a file (benches/README.md describes the format)
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,

    /// Write plots of the latency by percentile and of the rate over time to a directory
    #[arg(long, value_name = "DIRECTORY")]
    plots: Option<PathBuf>,

    /// Write a report with charts to an HTML file, which loads nothing else
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,

    /// Write the response times by percentile to a file, in microseconds, as HdrHistogram's plotters read them
    #[arg(long, value_name = "FILE")]
    hgrm: Option<PathBuf>,
}

/// The open files.
pub(crate) struct Files {
    json: Option<Output>,
    latency: Option<Output>,
    rate: Option<Output>,
    html: Option<Output>,
    hgrm: Option<Output>,
}

impl Files {
    pub(crate) fn open(flags: &FileFlags) -> Result<Self, Problem> {
        let plot = |name: &str| flags.plots.as_ref().map(|plots| open("plots", &plots.join(name))).transpose();
        Ok(Self {
            json: flags.json.as_ref().map(|path| open("json", path)).transpose()?,
            latency: plot("latency.svg")?,
            rate: plot("rate.svg")?,
            html: flags.html.as_ref().map(|path| open("html", path)).transpose()?,
            hgrm: flags.hgrm.as_ref().map(|path| open("hgrm", path)).transpose()?,
        })
    }

    /// Writes the files. `result` is the content of the JSON.
    pub(crate) fn write(self, load: &Load, outcome: &Outcome, result: &Value) -> io::Result<()> {
        if let Some(file) = self.json {
            file.write(&format!("{result:#}\n"))?;
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
        Ok(())
    }
}

/// Opens the file that a flag names.
pub(crate) fn open(flag: &str, path: &Path) -> Result<Output, Problem> {
    Output::open(path).map_err(|error| Problem::flag(flag, error))
}
