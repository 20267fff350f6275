//! The tables of a comparison, in Markdown: ratios to the reference, and the detailed measurements.

use std::fmt::Write;

use super::comparison::{Cell, Comparison, Detail};
use super::figures::{MIB, median, microseconds};
use super::markdown;

/// Share of busy time above which the client's own core is the limit, and a ratio says little about the server.
const BUSY: f64 = 0.9;

/// Returns all tables.
pub(crate) fn tables(comparison: &Comparison) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = write_tables(&mut text, comparison);
    text
}

fn write_tables(text: &mut String, comparison: &Comparison) -> std::fmt::Result {
    let reference = comparison.names.first().copied().unwrap_or_default();
    writeln!(text, "\nRate as a multiple of {reference}'s in the same round: median (minimum to maximum).\n")?;
    write_ratios(text, comparison, "answers/s", |cell| &cell.rates)?;
    writeln!(text, "\n99th percentile of the latency as a multiple of {reference}'s.\n")?;
    write_ratios(text, comparison, "us", |cell| &cell.p99_us)?;
    writeln!(
        text,
        "\n`*`: the client's core was the limit. `!`: there were errors, see suite.json. `-`: does not take part."
    )?;
    for name in &comparison.missing {
        writeln!(text, "Not measured: {name}")?;
    }
    write_details(text, &comparison.details)
}

fn write_ratios(
    text: &mut String,
    comparison: &Comparison,
    unit: &str,
    figures: impl Fn(&Cell) -> &Vec<f64>,
) -> std::fmt::Result {
    // The reference is started first.
    let Some(reference) = comparison.names.first() else { return Ok(()) };
    let mut table = vec![vec!["connections x size".to_owned(), format!("{reference}, {unit}")]];
    let others = || 1..comparison.names.len();
    table[0].extend(others().map(|column| comparison.names[column].to_owned()));
    for (scenario, cells) in &comparison.rows {
        let Some(divisor) = &cells[0] else { continue };
        let marks = |cell: &Cell| {
            let limited = if median(&cell.client_busy) > BUSY { "*" } else { "" };
            let failed = if cell.failures > 0 { "!" } else { "" };
            format!("{limited}{failed}")
        };
        let mut row = vec![scenario.name.clone(), format!("{:.0}{}", median(figures(divisor)), marks(divisor))];
        row.extend(others().map(|column| match &cells[column] {
            None => "-".to_owned(),
            Some(cell) => {
                let pairs = figures(cell).iter().zip(figures(divisor));
                let ratios: Vec<f64> = pairs.map(|(figure, divisor)| figure / divisor).collect();
                let min = ratios.iter().copied().fold(f64::INFINITY, f64::min);
                let max = ratios.iter().copied().fold(0.0, f64::max);
                format!("{:.2} ({min:.2} to {max:.2}){}", median(&ratios), marks(cell))
            }
        }));
        table.push(row);
    }
    text.write_str(&markdown::table(&table))
}

fn write_details(text: &mut String, details: &[Detail]) -> std::fmt::Result {
    let Some(rate) = details.first().and_then(|first| first.open.0.rate) else { return Ok(()) };
    writeln!(
        text,
        "\n50 connections x 512 B for 2 s: rate and costs in a closed loop, response times at {rate:.0} messages/s.\n"
    )?;
    let names =
        ["", "messages/s", "CPU us/message", "resident MiB", "threads", "p50 us", "p99 us", "p99.9 us", "max us"];
    let mut table = vec![names.map(str::to_owned).to_vec()];
    for Detail { name, closed: (_, closed), open: (_, open) } in details {
        let mut row = vec![(*name).to_owned(), format!("{:.0}", closed.rate())];
        match &closed.server {
            Some(server) => {
                let messages = closed.tally.total_answers.max(1) as f64;
                row.push(format!("{:.1}", server.cpu.as_secs_f64() * 1e6 / messages));
                row.push(format!("{:.1}", server.resident as f64 / MIB));
                row.push(server.threads.to_string());
            }
            None => row.extend(["-"; 3].map(str::to_owned)),
        }
        let times = &open.tally.response;
        row.extend([0.5, 0.99, 0.999, 1.0].map(|quantile| format!("{:.0}", microseconds(times, quantile))));
        if open.saturated() {
            row[0] += " (SATURATED)";
        }
        table.push(row);
    }
    text.write_str(&markdown::table(&table))
}
