//! The parts of the report that are no charts: the figures at the top, the tables, and the conditions at the end.

use std::fmt::{Result, Write};
use std::time::SystemTime;

use serde_json::Value;

use super::super::super::traffic::load::{Load, Mode, name};
use super::super::super::traffic::run::Outcome;
use super::super::super::traffic::tally::list;
use super::super::faults;
use super::super::figures::{self, PERCENTILES, mebibytes, microseconds, thousands, time, unit};
use super::super::report::{asked, client, is_client_the_limit, right, saturated, times};
use super::escape;

const DIGITS: i32 = 3;

/// Appends the title and the figures that are read first.
pub(super) fn write_figures(html: &mut String, load: &Load, outcome: &Outcome, environment: &Value) -> Result {
    let tally = &outcome.tally;
    let now = humantime::format_rfc3339_seconds(SystemTime::now());
    let version = environment["version"].as_str().unwrap_or_default();
    writeln!(html, "<header>\n<h1>Load on {}</h1>", escape(&load.address.to_string()))?;
    let [measured, warmup] = [tally.elapsed, load.warmup].map(|time| time.as_secs_f64());
    writeln!(
        html,
        "<p>{}<br>\n{measured:.1} s measured after {warmup:.1} s of warm-up, by hebra-load {}, {now}</p>\n</header>\n<main>",
        escape(&load.title()),
        escape(version)
    )?;
    if let Some(reason) = saturated(load, outcome) {
        let reason = reason.split_whitespace().collect::<Vec<_>>().join(" ");
        writeln!(html, "<p class=\"alarm\"><strong>SATURATED</strong>: {}</p>", escape(&reason))?;
    }
    writeln!(html, "<dl class=\"figures\">")?;
    let rate = figures::rate(outcome.rate());
    write_figure(
        html,
        "Rate",
        (&rate, unit(load)),
        asked(load).trim_start_matches([',', ' ']),
        outcome.saturated(),
    )?;
    let meaning = times(load, tally).first().map_or("", |(_, _, meaning)| *meaning);
    for (name, quantile) in [("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999)] {
        let value = match tally.response.is_empty() {
            true => "-".to_owned(),
            false => time(microseconds(&tally.response, quantile), DIGITS),
        };
        write_figure(html, &format!("Response time, {name}"), (&value, ""), meaning, false)?;
    }
    let errors = tally.errors(load);
    let (count, about) = match errors {
        0 if load.expect_faults => ("none".to_owned(), "but what was expected".to_owned()),
        0 => ("none".to_owned(), "every byte was right".to_owned()),
        _ => (thousands(errors as f64), list(&tally.counts(load))),
    };
    write_figure(html, "Errors", (&count, ""), &about, errors > 0)?;
    let [busy, cores, about] = client(load, outcome);
    write_figure(html, "Client", (&busy, &cores), &about, is_client_the_limit(outcome))?;
    if let Some(server) = &outcome.server {
        let share = 100.0 * server.cpu.as_secs_f64() / server.elapsed.as_secs_f64().max(1e-9);
        write_figure(html, "Server, processor", (&format!("{share:.0} %"), "of a core"), "on average", false)?;
        let threads = format!("{} threads", thousands(server.threads as f64));
        write_figure(html, "Server, memory", (&mebibytes(server.resident), "resident"), &threads, false)?;
    }
    writeln!(html, "</dl>")
}

fn write_figure(html: &mut String, name: &str, value: (&str, &str), about: &str, is_bad: bool) -> Result {
    let bad = if is_bad { " bad" } else { "" };
    writeln!(
        html,
        "<div><dt>{}</dt><dd class=\"value{bad}\">{} <small>{}</small></dd><dd class=\"about\">{}</dd></div>",
        escape(name),
        escape(value.0),
        escape(value.1),
        escape(about)
    )
}

/// Appends the latencies, and the conditions of the run.
pub(super) fn write_tables(html: &mut String, load: &Load, outcome: &Outcome, environment: &Value) -> Result {
    let tally = &outcome.tally;
    write!(html, "<section>\n<h2>Latency</h2>\n<div class=\"wide\"><table><thead><tr><th>time</th>")?;
    for (_, name, _) in PERCENTILES {
        write!(html, "<th>{name}</th>")?;
    }
    writeln!(html, "<th>max</th><th>mean</th><th>counted</th></tr></thead><tbody>")?;
    for (name, histogram, meaning) in times(load, tally) {
        let comma = if meaning.is_empty() { "" } else { ", " };
        write!(html, "<tr><th>{name}{comma}{meaning}</th>")?;
        for (_, _, quantile) in PERCENTILES {
            write!(html, "<td>{}</td>", time(microseconds(histogram, quantile), DIGITS))?;
        }
        let [max, mean] = [histogram.max() as f64, histogram.mean()].map(|ns| time(ns / 1000.0, DIGITS));
        writeln!(html, "<td>{max}</td><td>{mean}</td><td>{}</td></tr>", thousands(histogram.len() as f64))?;
    }
    writeln!(html, "</tbody></table></div>\n</section>\n<section>\n<h2>Conditions</h2>\n<table><tbody>")?;
    for (name, value) in conditions(load, outcome, environment) {
        writeln!(html, "<tr><th>{}</th><td class=\"text\">{}</td></tr>", escape(name), escape(&value))?;
    }
    writeln!(html, "</tbody></table>\n</section>\n</main>")
}

fn conditions(load: &Load, outcome: &Outcome, environment: &Value) -> Vec<(&'static str, String)> {
    let tally = &outcome.tally;
    let text = |field: &str| match &environment[field] {
        Value::String(text) => text.clone(),
        Value::Null => "unknown".to_owned(),
        other => other.to_string(),
    };
    let arguments = environment["arguments"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let [busy, cores, verdict] = client(load, outcome);
    let mut rows = vec![
        ("address", load.address.to_string()),
        ("mode", name(&load.mode)),
        ("connections", thousands(load.connections as f64)),
        (load.what(), format!("{} bytes each", thousands(load.size as f64))),
        ("in flight on each", load.depth_limit().map_or("no limit".to_owned(), |depth| depth.to_string())),
        (
            "rate",
            load.rate.map_or("as fast as answers came (closed loop)".to_owned(), |rate| {
                format!("{} {} requested (open loop)", figures::rate(rate), unit(load))
            }),
        ),
        ("variation", format!("±{:.1} % from one tenth of a second to another", outcome.noise(load))),
        ("verified", right(load, tally)),
        ("client", format!("{busy} {cores}: {verdict}")),
        ("seed", load.seed.to_string()),
        ("arguments", arguments.collect::<Vec<_>>().join(" ")),
        ("machine of the client", format!("{}, {} cores, Linux {}", text("cpu"), text("cores"), text("kernel"))),
    ];
    if load.mode == Mode::Churn {
        rows.retain(|(name, _)| *name != "in flight on each");
        rows.insert(4, ("clients leave by", name(&load.end)));
    }
    let mut found = faults::rows(load, tally);
    if let Some(first) = &tally.failures.first {
        found.insert(0, ("first error", first.clone()));
    }
    rows.splice(..0, found);
    rows
}
