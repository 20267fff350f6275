//! Baselines: a result that is kept under a name, and compared with later ones.
//!
//! A closed loop is judged by its rate, an open one, whose rate is given, by the 99th percentile of its
//! response time. The noise is stated beside the verdict: a limit below it means little.

use std::fs;
use std::io;
use std::path::PathBuf;

use serde_json::Value;

use super::process;

/// What a baseline must have in common with what is compared to it.
const SAME: [&str; 7] = ["mode", "connections", "size", "depth", "end", "threads", "requested_rate"];

/// How a result compares with a baseline.
#[derive(Debug, PartialEq)]
pub(crate) struct Comparison {
    /// What was compared.
    what: &'static str,
    /// How much worse the result is, in percent; negative if it is better.
    pub(crate) worse: f64,
    /// The larger noise of the two, in percent.
    noise: f64,
}

/// Where the baseline of that name is.
pub(crate) fn path(name: &str) -> io::Result<PathBuf> {
    let directory = process::results()?.join("baselines");
    fs::create_dir_all(&directory)?;
    Ok(directory.join(format!("{name}.json")))
}

/// Compares a result with the text of a baseline.
///
/// # Errors
///
/// A sentence, if the two cannot be compared.
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
        figure.as_f64().filter(|figure| *figure > 0.0).ok_or("one of the two has no answers")
    };
    let change = 100.0 * (figure(result)? / figure(&baseline)? - 1.0);
    let noise = |result: &Value| result["noise_pct"].as_f64().unwrap_or(0.0);
    Ok(Comparison { what, worse: if open { change } else { -change }, noise: noise(result).max(noise(&baseline)) })
}

impl Comparison {
    /// The lines for people; `limit` is what is tolerated, in percent.
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

    /// Whether it is worse by more than that.
    pub(crate) fn regressed(&self, limit: f64) -> bool {
        self.worse > limit
    }
}
