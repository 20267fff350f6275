//! Baselines: results that are saved under a name and compared with later results.
//!
//! A closed loop is judged by its rate. An open loop has a given rate, so it is judged by the 99th percentile of its
//! response time. The verdict states the noise, because a limit below the noise means little.

use std::fs;
use std::io;
use std::path::PathBuf;

use serde_json::Value;

use super::process;

/// The fields in which a result must equal its baseline.
const SAME: [&str; 7] = ["mode", "connections", "size", "depth", "end", "threads", "requested_rate"];

/// How a result compares with a baseline.
#[derive(Debug, PartialEq)]
pub(crate) struct Comparison {
    /// The name of the compared figure.
    what: &'static str,
    /// How much worse the result is, in percent; negative if it is better.
    pub(crate) worse: f64,
    /// The larger noise of the two, in percent.
    noise: f64,
}

/// Returns the path of the baseline with this name. Creates its directory.
pub(crate) fn path(name: &str) -> io::Result<PathBuf> {
    let directory = process::results()?.join("baselines");
    fs::create_dir_all(&directory)?;
    Ok(directory.join(format!("{name}.json")))
}

/// Compares a result with a baseline, which is given as JSON text.
///
/// # Errors
///
/// Returns the reason, for people to read, if the two cannot be compared.
pub(crate) fn compare(baseline: &str, result: &Value) -> Result<Comparison, String> {
    let baseline: Value = serde_json::from_str(baseline).map_err(|error| error.to_string())?;
    for field in SAME {
        if baseline[field] != result[field] {
            return Err(format!("its {field} is {} and not {}", baseline[field], result[field]));
        }
    }
    let open = !result["requested_rate"].is_null();
    let what = if open { "p99 of the response time" } else { "rate" };
    let figure = |result: &Value| {
        let figure = if open { &result["response_us"]["p99"] } else { &result["achieved_rate"] };
        figure.as_f64().filter(|figure| *figure > 0.0).ok_or("one of the two results has no answers")
    };
    let change = 100.0 * (figure(result)? / figure(&baseline)? - 1.0);
    let noise = |result: &Value| result["noise_pct"].as_f64().unwrap_or(0.0);
    Ok(Comparison { what, worse: if open { change } else { -change }, noise: noise(result).max(noise(&baseline)) })
}

impl Comparison {
    /// Formats the comparison for people. `limit` is the tolerated regression in percent.
    pub(crate) fn verdict(&self, name: &str, limit: Option<f64>) -> String {
        let Self { what, worse, noise } = self;
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
