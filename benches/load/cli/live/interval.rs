//! The figures of the last second, or of the time between two lines.

use std::time::Duration;

use hdrhistogram::Histogram;

use super::super::super::results::figures::{mebibytes, thousands, time};
use super::super::super::server::usage::Reading;
use super::super::super::traffic::load::{Load, Mode};
use super::super::super::traffic::tally::{Counts, histogram, list};
use super::super::super::traffic::timeline::{Times, Update};

pub(super) const SECOND: Duration = Duration::from_secs(1);

/// Points come a little late, so an interval is over this much before its end.
const TOLERANCE: Duration = Duration::from_millis(50);

/// The points of an interval so far.
#[derive(Debug)]
pub(crate) struct Interval {
    from: Duration,
    to: Duration,
    answers: f64,
    latencies: Histogram<u64>,
    failures: Counts,
    server: Option<Reading>,
}

/// The figures of an interval.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Figures {
    /// Its end, as time since the load began.
    pub(crate) at: Duration,
    pub(crate) rate: f64,
    /// Response times. `None` if no answer came.
    pub(crate) times: Option<Times>,
    /// Failures since the load began, by kind.
    pub(crate) failures: Counts,
    /// The server, if its process is known.
    pub(crate) server: Option<Reading>,
}

impl Default for Interval {
    fn default() -> Self {
        Self {
            from: Duration::ZERO,
            to: Duration::ZERO,
            answers: 0.0,
            latencies: histogram(2),
            failures: Counts::default(),
            server: None,
        }
    }
}

impl Interval {
    pub(super) fn add(&mut self, update: &Update<'_>) {
        let Update { point, latencies, failures, server } = update;
        self.answers += point.rate * point.at.saturating_sub(self.to).as_secs_f64();
        self.to = point.at;
        self.latencies.add(*latencies).expect("both have the same bounds");
        self.failures = *failures;
        self.server = server.or(self.server);
    }

    pub(super) fn is_longer_than(&self, length: Duration) -> bool {
        self.to - self.from + TOLERANCE >= length
    }

    /// Returns the figures, and begins the next interval.
    pub(super) fn end(&mut self) -> Figures {
        let figures = Figures {
            at: self.to,
            rate: self.answers / (self.to - self.from).as_secs_f64().max(1e-9),
            times: Times::of(&self.latencies),
            failures: self.failures,
            server: self.server,
        };
        (self.from, self.answers) = (self.to, 0.0);
        self.latencies.reset();
        figures
    }
}

/// Formats the figures as one plain line.
pub(super) fn line(load: &Load, figures: &Figures) -> String {
    let Figures { at, rate, times, failures, server } = figures;
    let phase =
        if at.saturating_sub(TOLERANCE) <= load.warmup && !load.warmup.is_zero() { " of warm-up" } else { "" };
    let what = if load.mode == Mode::Churn { "sessions" } else { "answers" };
    let mut line = format!("{:3.0} s{phase}: {} {what}/s", at.as_secs_f64(), thousands(*rate));
    if let Some(times) = times {
        let [p50, p99, p999] = [times.p50, times.p99, times.p999].map(|us| time(us, 2));
        line += &format!(", p50 {p50}, p99 {p99}, p99.9 {p999}");
    }
    match list(failures) {
        none if none.is_empty() => line += ", no errors",
        errors => line += &format!(", errors: {errors}"),
    }
    if let Some(Reading { cores, resident }) = server {
        line += &format!(", server {:.0} % of a core, {}", 100.0 * cores, mebibytes(*resident));
    }
    line
}
