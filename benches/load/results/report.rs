//! The result of one run as text for people, who may see it for the first time.

use std::fmt::{Result, Write};

use hdrhistogram::Histogram;

use super::super::server::usage::ServerSide;
use super::super::traffic::load::{Load, Mode};
use super::super::traffic::run::Outcome;
use super::super::traffic::tally::{Tally, list};
use super::faults;
use super::figures::{self, PERCENTILES, mebibytes, thousands, throughput, time, unit};

/// Significant digits of a latency.
const DIGITS: i32 = 3;

/// Returns the result as a table.
pub(crate) fn table(load: &Load, outcome: &Outcome) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = write_table(&mut text, load, outcome);
    text
}

fn write_table(text: &mut String, load: &Load, outcome: &Outcome) -> Result {
    let tally = &outcome.tally;
    writeln!(text, "{}", load.title())?;
    let [measured, warmup] = [tally.elapsed, load.warmup].map(|time| time.as_secs_f64());
    writeln!(text, "  against     {}, for {measured:.1} s after {warmup:.1} s of warm-up", load.address)?;
    write_adversaries(text, load)?;
    write_rate(text, load, outcome)?;
    write_latency(text, load, tally)?;
    write_errors(text, load, tally)?;
    for (name, value) in faults::rows(load, tally) {
        writeln!(text, "  {name:<11} {value}")?;
    }
    let [busy, cores, verdict] = client(load, outcome);
    writeln!(text, "  client      {busy} {cores}: {verdict}")?;
    if let Some(server) = &outcome.server {
        write_server(text, server)?;
    }
    Ok(())
}

fn write_adversaries(text: &mut String, load: &Load) -> Result {
    let adversaries = load.adversaries;
    let kinds = [
        ("idle", adversaries.idle),
        ("slow writers", adversaries.slow_writers),
        ("slow readers", adversaries.slow_readers),
        ("resetters", adversaries.resetters),
    ];
    let kinds = kinds.into_iter().filter(|(_, count)| *count > 0).map(|(kind, count)| format!("{count} {kind}"));
    match kinds.collect::<Vec<_>>().join(", ") {
        none if none.is_empty() => Ok(()),
        kinds => writeln!(text, "  beside it   {kinds}, which are not measured"),
    }
}

fn write_rate(text: &mut String, load: &Load, outcome: &Outcome) -> Result {
    let (rate, unit) = (figures::rate(outcome.rate()), unit(load));
    writeln!(text, "  rate        {rate} {unit}{}, {:.1} MiB/s each way", asked(load), throughput(load, outcome))?;
    writeln!(text, "              ±{:.1} % from one tenth of a second to another", outcome.noise(load))?;
    if let Some(reason) = saturated(load, outcome) {
        writeln!(text, "  SATURATED   {reason}")?;
    }
    Ok(())
}

/// Returns which rate was asked for.
pub(crate) fn asked(load: &Load) -> String {
    match load.rate {
        Some(rate) => format!(" of {} requested", figures::rate(rate)),
        None => ", as fast as answers came".to_owned(),
    }
}

/// Explains who did not keep up with the requested rate, if it was missed.
pub(crate) fn saturated(load: &Load, outcome: &Outcome) -> Option<String> {
    let Tally { due, unsent, .. } = outcome.tally;
    let open = outcome.points.last().map_or(load.connections, |point| point.open);
    let why = match load.connections.saturating_sub(open) {
        lost if lost > 0 && load.mode != Mode::Churn => format!("{lost} of the connections ended early"),
        _ if is_client_the_limit(outcome) => "this client did not keep up".to_owned(),
        _ => "the server did not keep up".to_owned(),
    };
    let [due, unsent, overdue] = [due, unsent, outcome.overdue()].map(|count| thousands(count as f64));
    let what = if load.mode == Mode::Churn { "sessions" } else { load.what() };
    outcome.saturated().then(|| {
        format!(
            "{why}: of {due} {what}\n              that were due in the window, {unsent} were not sent in \
             it and\n              {overdue} were overdue at its end"
        )
    })
}

/// Returns the kinds of times that differ in this load, each with its name and what it counts from, if the name does not
/// say that.
pub(crate) fn times<'a>(load: &Load, tally: &'a Tally) -> Vec<(&'static str, &'a Histogram<u64>, &'static str)> {
    let is_churn = load.mode == Mode::Churn;
    let response = match (load.rate, is_churn) {
        (Some(_), _) => "since it was due",
        (None, true) => "since the connect",
        (None, false) => "since it was sent",
    };
    let mut times = vec![("response", &tally.response, response)];
    // In a closed loop without churn both times are equal.
    if load.rate.is_some() || is_churn {
        times.push(("service", &tally.service, "since it was sent"));
    }
    if is_churn {
        times.push(("connect", &tally.connect, ""));
    }
    times.retain(|(_, histogram, _)| !histogram.is_empty());
    times
}

fn write_latency(text: &mut String, load: &Load, tally: &Tally) -> Result {
    let times = times(load, tally);
    write!(text, "  latency   ")?;
    for (_, name, _) in PERCENTILES {
        write!(text, "{name:>9}")?;
    }
    writeln!(text, "{:>9}", "max")?;
    for (name, histogram, _) in &times {
        write!(text, "    {name:<8}")?;
        for (_, _, quantile) in PERCENTILES {
            write!(text, "{:>9}", time(figures::microseconds(histogram, quantile), DIGITS))?;
        }
        writeln!(text, "{:>9}", time(histogram.max() as f64 / 1000.0, DIGITS))?;
    }
    let meanings = times.iter().filter(|(_, _, meaning)| !meaning.is_empty());
    let meanings: Vec<String> = meanings.map(|(name, _, meaning)| format!("{name}: {meaning}")).collect();
    if meanings.is_empty() { Ok(()) } else { writeln!(text, "              {}", meanings.join("; ")) }
}

fn write_errors(text: &mut String, load: &Load, tally: &Tally) -> Result {
    let right = right(load, tally);
    if tally.errors(load) == 0 {
        let every = if load.expect_faults { "but what was expected" } else { "every byte was right" };
        return writeln!(text, "  errors      none: {every} in {right}");
    }
    let total = thousands(tally.errors(load) as f64);
    writeln!(text, "  ERRORS      {total}: {}", list(&tally.counts(load)))?;
    if let Some(first) = &tally.failures.first {
        writeln!(text, "  first error {first}")?;
    }
    writeln!(text, "  verified    {right}")
}

/// Says how much was right.
pub(crate) fn right(load: &Load, tally: &Tally) -> String {
    let messages = thousands(tally.total_answers as f64);
    let warmup = if load.warmup.is_zero() { "" } else { ", warm-up included" };
    format!("{messages} {}{warmup}", load.what())
}

/// Says how busy the client was, and whether it was the limit, in which case the figures are its own.
pub(crate) fn client(load: &Load, outcome: &Outcome) -> [String; 3] {
    let busy = 100.0 * outcome.client_busy();
    let cores = if load.threads == 1 { "of its core".to_owned() } else { format!("of its {} cores", load.threads) };
    let verdict = match is_client_the_limit(outcome) {
        true => "THE CLIENT WAS THE LIMIT, the server may do more",
        false => "it had time to spare",
    };
    [format!("{busy:.0} %"), cores, verdict.to_owned()]
}

pub(crate) fn is_client_the_limit(outcome: &Outcome) -> bool {
    outcome.client_busy() > 0.9
}

fn write_server(text: &mut String, server: &ServerSide) -> Result {
    let seconds = server.elapsed.as_secs_f64().max(1e-9);
    let per_second = |count: u64| thousands(count as f64 / seconds);
    writeln!(
        text,
        "  server      {:.0} % of a core, {} resident, {} threads, {} descriptors\n              \
         {} voluntary and {} involuntary context switches/s",
        100.0 * server.cpu.as_secs_f64() / seconds,
        mebibytes(server.resident),
        server.threads,
        server.descriptors,
        per_second(server.voluntary_switches),
        per_second(server.involuntary_switches),
    )
}
