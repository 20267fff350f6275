//! The result of one run as JSON for scripts. `benches/README.md` describes the format.

use std::fs;
use std::thread;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::{Serializer, V2DeflateSerializer};
use serde_json::{Map, Value, json};

use super::super::server::usage::Reading;
use super::super::traffic::datagrams::{DatagramFault, Datagrams};
use super::super::traffic::load::{Load, Mode, name};
use super::super::traffic::run::Outcome;
use super::super::traffic::tally::Failure;
use super::super::traffic::timeline::{Percentile, Step, Timeline};
use super::figures::{PERCENTILES, microseconds, throughput};

/// Version of the format. It grows when a field is removed or changes its meaning.
pub(crate) const SCHEMA: u32 = 4;

/// Returns the version, the arguments and the machine that a measurement was made with.
pub(crate) fn environment() -> Value {
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let cpus = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let cpu = cpus.lines().find_map(|line| line.strip_prefix("model name")?.split(": ").nth(1));
    json!({
        "schema": SCHEMA,
        "version": env!("CARGO_PKG_VERSION"),
        "arguments": std::env::args().skip(1).filter(|argument| argument != "--bench").collect::<Vec<_>>(),
        "kernel": kernel.trim(),
        "cpu": cpu,
        "cores": thread::available_parallelism().map_or(0, usize::from),
    })
}

/// Returns the fields that describe the load, which are known before the run.
pub(crate) fn load(load: &Load) -> Value {
    json!({
        "address": load.address.to_string(),
        "mode": name(&load.mode),
        "proxy": load.proxy.as_ref().map(name),
        "connections": load.connections,
        "size": load.size,
        "depth": load.depth_limit(),
        "end": name(&load.end),
        "threads": load.threads,
        "seed": load.seed,
        "idle": load.adversaries.idle,
        "slow_writers": load.adversaries.slow_writers,
        "slow_readers": load.adversaries.slow_readers,
        "resetters": load.adversaries.resetters,
        "reconnect": load.reconnect,
        "expect_faults": load.expect_faults,
        "warmup_s": load.warmup.as_secs_f64(),
        "requested_rate": load.rate,
    })
}

/// Returns the fields of the load and of its result.
pub(crate) fn result(load: &Load, outcome: &Outcome) -> Value {
    let tally = &outcome.tally;
    let errors: Map<String, Value> = Failure::ALL
        .into_iter()
        .map(|failure| (failure.name().to_owned(), tally.failures.count(failure).into()))
        .collect();
    let result = json!({
        "begun": humantime::format_rfc3339_micros(outcome.begun).to_string(),
        "elapsed_s": tally.elapsed.as_secs_f64(),
        "achieved_rate": outcome.rate(),
        "saturated": outcome.saturated(),
        "noise_pct": outcome.noise(load),
        "messages": tally.answers,
        "total_messages": tally.total_answers,
        "due": tally.due,
        "unsent": tally.unsent,
        "overdue": outcome.overdue(),
        "mib_per_s": throughput(load, outcome),
        "verified_bytes": tally.verified_bytes,
        "errors": errors,
        "first_error": tally.failures.first,
        "sessions": {
            "ended": tally.sessions.ended,
            "reset": tally.sessions.reset,
            "reconnected": tally.sessions.reconnected,
            "resent": tally.sessions.resent,
            "least_messages": tally.sessions.least_messages,
            "most_messages": tally.sessions.most_messages,
        },
        "faults": {
            "corrupted_bytes": tally.faults.corrupted_bytes,
            "missing_bytes": tally.faults.missing_bytes,
            "damaged_messages": tally.faults.damaged_messages,
            "unfinished_messages": tally.faults.unfinished_messages,
        },
        "datagrams": (load.mode == Mode::Udp).then(|| datagrams(&tally.datagrams)),
        "service_us": latencies(&tally.service),
        "response_us": latencies(&tally.response),
        "connect_us": latencies(&tally.connect),
        "histograms": {
            "service": encoded(&tally.service),
            "response": encoded(&tally.response),
            "connect": encoded(&tally.connect),
            "answered": encoded(&tally.answered),
            "unanswered": encoded(&tally.unanswered),
        },
        "client_busy": outcome.client_busy(),
        "server": outcome.server.map(|server| json!({
            "cpu_s": server.cpu.as_secs_f64(),
            "elapsed_s": server.elapsed.as_secs_f64(),
            "resident_bytes": server.resident,
            "threads": server.threads,
            "descriptors": server.descriptors,
            "voluntary_switches": server.voluntary_switches,
            "involuntary_switches": server.involuntary_switches,
        })),
        "points": outcome.points.iter().map(|point| json!({
            "at_s": seconds(point.at),
            "rate": point.rate.round(),
            "p99_us": point.p99_us,
            "connections": point.open,
        })).collect::<Vec<_>>(),
        "timeline": timeline(&outcome.timeline),
    });
    join(self::load(load), result)
}

fn datagrams(datagrams: &Datagrams) -> Value {
    let (here, server, elsewhere) = datagrams.losses();
    let mut fields = json!({
        "sent": datagrams.sent,
        "received": datagrams.received,
        "timed_out": datagrams.timed_out,
        "dropped_here": here,
        "dropped_by_server": server,
        "lost_elsewhere": elsewhere,
    });
    for fault in DatagramFault::ALL {
        fields[fault.name()] = datagrams.count(fault).into();
    }
    let first = |fault: DatagramFault| (fault.name().to_owned(), json!(datagrams.first(fault)));
    fields["first"] = DatagramFault::ALL.into_iter().map(first).collect::<Map<_, _>>().into();
    fields
}

/// Appends the fields of `more` to those of `object`.
pub(crate) fn join(mut object: Value, more: Value) -> Value {
    if let (Value::Object(fields), Value::Object(more)) = (&mut object, more) {
        fields.extend(more);
    }
    object
}

/// Returns what the report draws over time.
fn timeline(timeline: &Timeline) -> Value {
    let step = |step: &Step| {
        let time = |figure: Percentile| step.times.as_ref().map(figure);
        json!({
            "at_s": seconds(step.at),
            "rate": step.rate.round(),
            "p50_us": time(|times| times.p50),
            "p99_us": time(|times| times.p99),
            "p999_us": time(|times| times.p999),
            "max_us": time(|times| times.max),
            "errors": step.failures,
            "connections": step.open,
        })
    };
    let reading = |(at, reading): &(Duration, Reading)| json!({ "at_s": seconds(*at), "cores": reading.cores, "resident_bytes": reading.resident });
    json!({
        "steps": timeline.steps.iter().map(step).collect::<Vec<_>>(),
        "server": timeline.server.iter().map(reading).collect::<Vec<_>>(),
    })
}

fn latencies(histogram: &Histogram<u64>) -> Value {
    let mut fields: Map<String, Value> = PERCENTILES
        .into_iter()
        .map(|(name, _, quantile)| (name.to_owned(), microseconds(histogram, quantile).into()))
        .collect();
    fields.insert("max".to_owned(), (histogram.max() as f64 / 1000.0).into());
    fields.insert("mean".to_owned(), (histogram.mean() / 1000.0).into());
    fields.insert("count".to_owned(), histogram.len().into());
    Value::Object(fields)
}

/// Returns a histogram of nanoseconds as HdrHistogram's tools read it: compressed, version 2, in base64.
fn encoded(histogram: &Histogram<u64>) -> String {
    let mut bytes = Vec::new();
    V2DeflateSerializer::new()
        .serialize(histogram, &mut bytes)
        .expect("a vector has room, and counts fit in 63 bits");
    BASE64_STANDARD.encode(bytes)
}

/// Returns a duration in seconds, rounded down to milliseconds.
fn seconds(duration: Duration) -> f64 {
    duration.as_millis() as f64 / 1000.0
}
