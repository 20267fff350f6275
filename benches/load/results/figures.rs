//! The figures that tables, JSON and plots have in common.

use hdrhistogram::Histogram;

use super::super::traffic::load::{Load, Mode};
use super::super::traffic::run::Outcome;

/// The reported percentiles, with their names in JSON and for people.
pub(crate) const PERCENTILES: [(&str, &str, f64); 5] = [
    ("p50", "p50", 0.5),
    ("p90", "p90", 0.9),
    ("p99", "p99", 0.99),
    ("p999", "p99.9", 0.999),
    ("p9999", "p99.99", 0.9999),
];

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
    if rate < 100.0 { format!("{rate:.2}") } else { thousands(rate) }
}

/// Formats a time, given in microseconds, with so many significant digits and the unit that suits it.
pub(crate) fn time(us: f64, digits: i32) -> String {
    if us <= 0.0 {
        return "0 µs".to_owned();
    }
    let magnitude = |value: f64| value.log10().floor() as i32;
    // Rounded first, because 999.9 µs may be 1.00 ms.
    let unit = 10f64.powi(magnitude(us) + 1 - digits);
    let rounded = (us / unit).round() * unit;
    let (value, name) = match rounded {
        ..1e3 => (rounded, "µs"),
        1e3..1e6 => (rounded / 1e3, "ms"),
        _ => (rounded / 1e6, "s"),
    };
    let decimals = (digits - 1 - magnitude(value)).max(0) as usize;
    format!("{value:.decimals$} {name}")
}

/// Formats a number of bytes with one decimal.
pub(crate) fn mebibytes(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / MIB)
}

/// Returns the unit of a rate.
pub(crate) fn unit(load: &Load) -> &'static str {
    match load.mode {
        Mode::Echo | Mode::Stream => "messages/s",
        Mode::Churn => "sessions/s",
        Mode::Udp => "datagrams/s",
    }
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
