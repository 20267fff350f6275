//! The figures that tables, JSON and plots have in common.

use hdrhistogram::Histogram;

use super::super::traffic::load::Load;
use super::super::traffic::run::Outcome;

/// The reported percentiles, with their names.
pub(crate) const PERCENTILES: [(&str, f64); 5] =
    [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p999", 0.999), ("p9999", 0.9999)];

pub(crate) const MIB: f64 = 1024.0 * 1024.0;

/// Returns the latency at a quantile in microseconds.
pub(crate) fn microseconds(histogram: &Histogram<u64>, quantile: f64) -> f64 {
    histogram.value_at_quantile(quantile) as f64 / 1000.0
}

/// Returns the echoed bytes per second in MiB.
pub(crate) fn throughput(load: &Load, outcome: &Outcome) -> f64 {
    outcome.rate() * load.size as f64 / MIB
}

/// Formats a rate: one below 100 with two decimals.
pub(crate) fn rate(rate: f64) -> String {
    if rate < 100.0 { format!("{rate:.2}") } else { format!("{rate:.0}") }
}

/// Formats a number with commas between thousands.
pub(crate) fn thousands(number: f64) -> String {
    let digits = format!("{:.0}", number.abs());
    let mut text = String::new();
    for (index, digit) in digits.char_indices() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
