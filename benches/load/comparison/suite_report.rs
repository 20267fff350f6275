//! The tables of a comparison, in Markdown: response times below saturation, and ratios to a reference.

use std::fmt::{Result, Write};

use super::super::results::figures::thousands;
use super::markdown;
use super::peers::{COMPARED, TOKIO};
use super::rounds::median;
use super::suite_results::{Cell, Comparison, Row};

/// Share of busy time above which the client's own core is the limit, and a ratio says little about the server.
const BUSY: f64 = 0.9;

/// Returns the figures of a cell that a table shows, one for each round.
type Figures = fn(&Cell) -> &Vec<f64>;

/// Returns all tables.
pub(crate) fn tables(comparison: &Comparison) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = write_tables(&mut text, comparison);
    text
}

fn write_tables(text: &mut String, comparison: &Comparison) -> Result {
    let reference = comparison.names.first().copied().unwrap_or_default();
    let is_open = |row: &&Row| row.scenario.share.is_some();
    if comparison.rows.iter().any(|row| is_open(&row)) {
        writeln!(text, "\nResponse time in us, p50 / p99 / p99.9, and processor time a message: medians.\n")?;
        write_times(text, comparison)?;
        for other in [reference, TOKIO].into_iter().filter(|other| comparison.names.contains(other)) {
            writeln!(text, "\n99th percentile below saturation, as a multiple of {other}'s in the same round.\n")?;
            write_ratios(text, comparison, is_open, other, "us", |cell| &cell.p99_us)?;
            writeln!(text, "\nProcessor time a message below saturation, as a multiple of {other}'s.\n")?;
            write_ratios(text, comparison, is_open, other, "us", |cell| &cell.cpu_us)?;
        }
    }
    if comparison.rows.iter().any(|row| !is_open(&row)) {
        let is_closed = |row: &&Row| row.scenario.share.is_none();
        writeln!(text, "\nRate as a multiple of {reference}'s in the same round: median (minimum to maximum).\n")?;
        write_ratios(text, comparison, is_closed, reference, "answers/s", |cell| &cell.rates)?;
        writeln!(text, "\n99th percentile of the latency as a multiple of {reference}'s.\n")?;
        write_ratios(text, comparison, is_closed, reference, "us", |cell| &cell.p99_us)?;
        writeln!(text, "\nProcessor time a message as a multiple of {reference}'s.\n")?;
        write_ratios(text, comparison, is_closed, reference, "us", |cell| &cell.cpu_us)?;
    }
    writeln!(
        text,
        "\n`*`: the client's core was the limit. `~`: in some round the rate was not reached. `!`: there were errors, \
         see suite.json. `?`: datagrams were lost or late. `-`: does not take part."
    )?;
    for name in &comparison.missing {
        writeln!(text, "Not measured: {name}")?;
    }
    Ok(())
}

/// Writes the response times and the processor time of the open loops.
fn write_times(text: &mut String, comparison: &Comparison) -> Result {
    let columns = || comparison.names.iter().enumerate().filter(|(_, name)| COMPARED.contains(name));
    let mut table = vec![vec!["connections".to_owned(), "messages/s".to_owned()]];
    table[0].extend(columns().map(|(_, name)| (*name).to_owned()));
    for row in &comparison.rows {
        if row.scenario.share.is_none() {
            continue;
        }
        let mut line = vec![row.scenario.name.clone(), thousands(median(&row.requested))];
        line.extend(columns().map(|(column, _)| match &row.cells[column] {
            None => "-".to_owned(),
            Some(cell) => {
                let [p50, p99, p999, cpu] =
                    [&cell.p50_us, &cell.p99_us, &cell.p999_us, &cell.cpu_us].map(|figures| median(figures));
                format!("{p50:.0} / {p99:.0} / {p999:.0}; {cpu:.1}{}", marks(cell))
            }
        }));
        table.push(line);
    }
    text.write_str(&markdown::table(&table))
}

/// Writes figures of some rows as multiples of those of the peer `divisor`.
fn write_ratios(
    text: &mut String,
    comparison: &Comparison,
    is_shown: impl Fn(&&Row) -> bool,
    divisor: &str,
    unit: &str,
    figures: Figures,
) -> Result {
    let Some(of_divisor) = comparison.names.iter().position(|name| *name == divisor) else { return Ok(()) };
    let rows: Vec<&Row> = comparison.rows.iter().filter(|row| is_shown(row)).collect();
    // Those that take part in none of the rows are left out, and so are those that have no such figure.
    let has_figures = |column: usize| {
        rows.iter().filter_map(|row| row.cells[column].as_ref()).any(|cell| !figures(cell).is_empty())
    };
    let others = || (0..comparison.names.len()).filter(|column| *column != of_divisor && has_figures(*column));
    let mut table = vec![vec!["connections x size".to_owned(), format!("{divisor}, {unit}")]];
    table[0].extend(others().map(|column| comparison.names[column].to_owned()));
    for Row { scenario, cells, .. } in rows.iter().copied() {
        let Some(divisor) = &cells[of_divisor] else { continue };
        let decimals = usize::from(median(figures(divisor)) < 100.0);
        let mut row =
            vec![scenario.name.clone(), format!("{:.decimals$}{}", median(figures(divisor)), marks(divisor))];
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

fn marks(cell: &Cell) -> String {
    let limited = if median(&cell.client_busy) > BUSY { "*" } else { "" };
    let missed = if cell.saturated > 0 { "~" } else { "" };
    let failed = if cell.failures > 0 { "!" } else { "" };
    let lost = if cell.timed_out > 0 { "?" } else { "" };
    format!("{limited}{missed}{failed}{lost}")
}
