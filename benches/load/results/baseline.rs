//! Baselines: results that are saved under a name and compared with later results.
//!
//! A closed loop is judged by its rate. An open loop has a given rate, so it is judged by the 99th percentile of its
//! response time. The verdict states the noise, because a limit below the noise means little.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::super::output::named;

/// The fields in which a result must equal its baseline.
const SAME: [&str; 8] = ["mode", "proxy", "connections", "size", "depth", "end", "threads", "requested_rate"];

/// A saved result whose load is the one to be measured.
#[derive(Debug)]
pub(crate) struct Baseline {
    name: String,
    result: Value,
}

/// How a result compares with a baseline.
#[derive(Debug, PartialEq)]
pub(crate) struct Comparison {
    /// The name of the baseline.
    name: String,
    /// The name of the compared figure.
    what: &'static str,
    /// How much worse the result is, in percent; negative if it is better.
    pub(crate) worse: f64,
    /// The larger noise of the two, in percent.
    noise: f64,
}

/// Returns the path of the baseline with this name, among the results in `directory`. Creates the directory.
pub(crate) fn path(directory: &Path, name: &str) -> io::Result<PathBuf> {
    let directory = directory.join("baselines");
    fs::create_dir_all(&directory).map_err(|error| named(&directory, &error))?;
    Ok(directory.join(format!("{name}.json")))
}

impl Baseline {
    /// Reads the baseline with this name, among the results in `directory`.
    ///
    /// # Errors
    ///
    /// Returns the reason, for people to read, if there is none or if no run of `load` can be compared with it.
    pub(crate) fn read(directory: &Path, name: &str, load: &Value) -> Result<Self, String> {
        let path = path(directory, name).map_err(|error| error.to_string())?;
        let text = fs::read_to_string(&path).map_err(|error| match error.kind() {
            ErrorKind::NotFound => format!("{name}: no such baseline, see --save-baseline"),
            _ => format!("{name}: {}", named(&path, &error)),
        })?;
        Self::parse(name, &text, load).map_err(|problem| format!("{name}: {problem}"))
    }

    /// Parses the text of a baseline.
    ///
    /// # Errors
    ///
    /// As [`Baseline::read`], without the name.
    pub(crate) fn parse(name: &str, text: &str, load: &Value) -> Result<Self, String> {
        let result: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
        for field in SAME {
            if result[field] != load[field] {
                return Err(format!("its {field} is {} and not {}", result[field], load[field]));
            }
        }
        figure(&result)?;
        Ok(Self { name: name.to_owned(), result })
    }

    /// Compares a result of the same load.
    ///
    /// # Errors
    ///
    /// Returns the reason, for people to read, if the result has no answers.
    pub(crate) fn compare(self, result: &Value) -> Result<Comparison, String> {
        let change = 100.0 * (figure(result)? / figure(&self.result)? - 1.0);
        let noise = |result: &Value| result["noise_pct"].as_f64().unwrap_or(0.0);
        let open = is_open(result);
        Ok(Comparison {
            name: self.name,
            what: if open { "p99 of the response time" } else { "rate" },
            worse: if open { change } else { -change },
            noise: noise(result).max(noise(&self.result)),
        })
    }
}

/// Returns the figure that a result is judged by.
fn figure(result: &Value) -> Result<f64, &'static str> {
    let figure = if is_open(result) { &result["response_us"]["p99"] } else { &result["achieved_rate"] };
    figure.as_f64().filter(|figure| *figure > 0.0).ok_or("it has no answers")
}

fn is_open(result: &Value) -> bool {
    !result["requested_rate"].is_null()
}

impl Comparison {
    /// Formats the comparison for people. `limit` is the tolerated regression in percent.
    pub(crate) fn verdict(&self, limit: Option<f64>) -> String {
        let Self { name, what, worse, noise } = self;
        let direction = if *worse > 0.0 { "worse" } else { "better" };
        let mut text = format!("{name}: the {what} is {:.1} % {direction}; noise {noise:.1} %", worse.abs());
        if let Some(limit) = limit {
            text += if self.regressed(limit) { ", REGRESSION" } else { ", passed" };
            text += &format!(" (limit {limit} %)");
            if *noise > limit {
                text += "\n  the noise is above the limit: measure longer, or on a quieter machine";
            }
        }
        text
    }

    /// Returns `true` if the result is worse by more than `limit` percent.
    pub(crate) fn regressed(&self, limit: f64) -> bool {
        self.worse > limit
    }
}
