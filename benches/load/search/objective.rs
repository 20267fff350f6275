//! What a server is to keep to: a percentile of the response time.

use std::fmt;
use std::time::Duration;

use super::super::traffic::load::Load;
use super::super::traffic::run::Outcome;

/// The longest time that the histograms hold apart from longer ones.
const LONGEST: Duration = Duration::from_secs(100);

/// The percentiles that may be limited.
const QUANTILES: [(&str, f64); 5] = [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99.9", 0.999), ("max", 1.0)];

/// Fewer messages than this say little about any percentile.
const FEWEST: f64 = 20.0;

/// A limit of a percentile of the response time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Objective {
    name: &'static str,
    quantile: f64,
    limit: Duration,
}

/// How an objective fared in a run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Verdict {
    Held,
    /// The percentile was above the limit.
    TooLate,
    /// More than a hundredth of the messages were late or not sent.
    Saturated,
    /// There were errors, this many.
    Errors(u64),
}

impl Objective {
    /// Parses an objective such as `p99=5ms`.
    ///
    /// # Errors
    ///
    /// Returns what it looks like, for people to read.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let form = || {
            format!(
                "an objective is one of {} and a time, such as p99=5ms",
                QUANTILES.map(|(name, _)| name).join(", ")
            )
        };
        let (name, limit) = text.split_once('=').ok_or_else(form)?;
        let (name, quantile) = QUANTILES.into_iter().find(|(known, _)| *known == name).ok_or_else(form)?;
        let limit = humantime::parse_duration(limit).map_err(|_| form())?;
        if limit.is_zero() || limit > LONGEST {
            return Err(format!("the time must be more than 0 and at most {}s", LONGEST.as_secs()));
        }
        Ok(Self { name, quantile, limit })
    }

    /// Returns the percentile that is limited.
    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    pub(crate) fn judge(&self, load: &Load, outcome: &Outcome) -> Verdict {
        match outcome.tally.errors(load) {
            0 if outcome.saturated() || outcome.tally.response.is_empty() => Verdict::Saturated,
            0 if self.measured(outcome) > self.limit => Verdict::TooLate,
            0 => Verdict::Held,
            errors => Verdict::Errors(errors),
        }
    }

    /// Returns the percentile of a run.
    pub(crate) fn measured(&self, outcome: &Outcome) -> Duration {
        Duration::from_nanos(outcome.tally.response.value_at_quantile(self.quantile))
    }

    /// Returns how many messages a run must have at least, so that one of them is beyond the percentile.
    pub(crate) fn fewest_messages(&self) -> f64 {
        if self.quantile < 1.0 { (1.0 / (1.0 - self.quantile)).max(FEWEST) } else { FEWEST }
    }
}

impl fmt::Display for Objective {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} at most {}", self.name, humantime::format_duration(self.limit))
    }
}
