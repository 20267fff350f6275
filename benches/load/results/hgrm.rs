//! The percentile distribution of HdrHistogram as text (`.hgrm`), which its plotters read.
//!
//! The columns are those of `outputPercentileDistribution` in Java. The first is two wider, because some plotters want a
//! space before each value, and a value may be two minutes long.

use std::fmt::Write;

use hdrhistogram::Histogram;

/// Values of each half of the distance to 100 %, as in HdrHistogram's own examples.
const TICKS: u32 = 5;

/// Significant digits of the histograms of a run.
const DIGITS: u32 = 3;

/// Returns the distribution of times in nanoseconds, in microseconds. The last lines say what they are: `what`.
pub(crate) fn distribution(times: &Histogram<u64>, what: &str) -> String {
    let mut text =
        format!("{:>14} {:>14} {:>10} {:>14}\n\n", "Value", "Percentile", "TotalCount", "1/(1-Percentile)");
    // Writing to a string cannot fail.
    let _ = write_distribution(&mut text, times, what);
    text
}

fn write_distribution(text: &mut String, times: &Histogram<u64>, what: &str) -> std::fmt::Result {
    let us = |nanoseconds: f64| nanoseconds / 1000.0;
    let mut total = 0;
    for value in times.iter_quantiles(TICKS) {
        total += value.count_since_last_iteration();
        let quantile = value.quantile_iterated_to();
        write!(text, "{:14.3} {quantile:14.12} {total:10}", us(value.value_iterated_to() as f64))?;
        // The last one has no reciprocal.
        if quantile < 1.0 {
            write!(text, " {:14.2}", 1.0 / (1.0 - quantile))?;
        }
        text.push('\n');
    }
    let sub_buckets = (2 * 10u64.pow(DIGITS)).next_power_of_two();
    let [mean, deviation, max] = [times.mean(), times.stdev(), times.max() as f64].map(us);
    writeln!(text, "#[Mean    = {mean:12.3}, StdDeviation   = {deviation:12.3}]")?;
    writeln!(text, "#[Max     = {max:12.3}, Total count    = {:12}]", times.len())?;
    writeln!(text, "#[Buckets = {:12}, SubBuckets     = {sub_buckets:12}]", times.buckets())?;
    writeln!(text, "# {what}, in microseconds")
}
