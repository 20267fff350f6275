//! Reads a result back from the JSON that it was written to.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use clap::ValueEnum;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::Deserializer;
use serde_json::Value;

use super::super::super::results::json::SCHEMA;
use super::super::super::server::usage::{Reading, ServerSide};
use super::super::super::traffic::address::Address;
use super::super::super::traffic::datagrams::{DatagramFault, Datagrams};
use super::super::super::traffic::faults::{Faults, Sessions};
use super::super::super::traffic::load::{Adversaries, Load};
use super::super::super::traffic::run::Outcome;
use super::super::super::traffic::tally::{Failure, Failures, Tally, histogram};
use super::super::super::traffic::timeline::{Point, Step, Timeline, Times};

/// The fields in which all results must be equal. Different seeds, rates and numbers of clients can be added.
const SAME: [&str; 8] = ["mode", "proxy", "size", "depth", "end", "warmup_s", "reconnect", "expect_faults"];

/// The result of one process.
pub(super) struct Part {
    /// The path of its file.
    pub(super) name: String,
    pub(super) load: Load,
    pub(super) outcome: Outcome,
}

/// Reads results of one kind.
///
/// # Errors
///
/// Returns what is wrong, for people to read. It begins with the path of the file.
pub(super) fn all(paths: &[PathBuf]) -> Result<Vec<Part>, String> {
    let mut first: Option<(String, Value)> = None;
    let mut parts = Vec::new();
    for path in paths {
        let name = path.display().to_string();
        let named = |problem| format!("{name}: {problem}");
        let text = fs::read_to_string(path).map_err(|error| named(error.to_string()))?;
        let json: Value = serde_json::from_str(&text).map_err(|error| named(format!("not a result: {error}")))?;
        let Part { load, outcome, .. } = part(&json).map_err(named)?;
        match &first {
            Some((first, expected)) => {
                is_same(&json, expected).map_err(|problem| named(format!("{problem} as in {first}")))?;
            }
            None => first = Some((name.clone(), json)),
        }
        parts.push(Part { name, load, outcome });
    }
    Ok(parts)
}

fn is_same(json: &Value, expected: &Value) -> Result<(), String> {
    for field in SAME {
        if json[field] != expected[field] {
            return Err(format!("its {field} is {} and not {}", json[field], expected[field]));
        }
    }
    match (json["requested_rate"].is_null(), expected["requested_rate"].is_null()) {
        (true, false) => Err("it has no requested_rate and is a closed loop, not an open one".to_owned()),
        (false, true) => Err("it has a requested_rate and is an open loop, not a closed one".to_owned()),
        _ => Ok(()),
    }
}

fn part(json: &Value) -> Result<Part, String> {
    match json["schema"].as_u64() {
        Some(schema) if schema == u64::from(SCHEMA) => {}
        Some(schema) => return Err(format!("its schema is {schema} and not {SCHEMA}")),
        None => return Err("not a result: it has no schema".to_owned()),
    }
    Ok(Part { name: String::new(), load: load(json)?, outcome: outcome(json)? })
}

fn load(json: &Value) -> Result<Load, String> {
    let address = text(json, "/address")?;
    let address = match address.strip_prefix("unix:") {
        Some(path) => Address::Unix(path.into()),
        None => Address::Tcp(address.parse().map_err(|_| format!("its address is {address}"))?),
    };
    let proxy = if json["proxy"].is_null() { None } else { Some(choice(json, "/proxy")?) };
    Ok(Load {
        address,
        proxy,
        mode: choice(json, "/mode")?,
        connections: count(json, "/connections")? as usize,
        duration: seconds(json, "/elapsed_s")?,
        warmup: seconds(json, "/warmup_s")?,
        size: count(json, "/size")? as usize,
        // Datagrams of an open loop have none.
        depth: if json["depth"].is_null() { 1 } else { count(json, "/depth")? as usize },
        rate: json["requested_rate"].as_f64(),
        end: choice(json, "/end")?,
        threads: count(json, "/threads")? as usize,
        // No result depends on it.
        timeout: Duration::ZERO,
        seed: count(json, "/seed")?,
        reconnect: json["reconnect"] == true,
        expect_faults: json["expect_faults"] == true,
        start_at: None,
        stop: None,
        adversaries: Adversaries {
            idle: count(json, "/idle")? as usize,
            slow_writers: count(json, "/slow_writers")? as usize,
            slow_readers: count(json, "/slow_readers")? as usize,
            resetters: count(json, "/resetters")? as usize,
        },
    })
}

fn outcome(json: &Value) -> Result<Outcome, String> {
    let server = if json["server"].is_null() { None } else { Some(server(&json["server"])?) };
    let timeline =
        Timeline { steps: list(json, "/timeline/steps", step)?, server: list(json, "/timeline/server", reading)? };
    Ok(Outcome {
        tally: tally(json)?,
        points: list(json, "/points", point)?,
        timeline,
        server,
        begun: time(json, "/begun")?,
    })
}

fn tally(json: &Value) -> Result<Tally, String> {
    let mut failures = Failures::default();
    failures.first = json["first_error"].as_str().map(str::to_owned);
    for failure in Failure::ALL {
        failures.add_many(failure, count(json, &format!("/errors/{}", failure.name()))?);
    }
    let threads = number(json, "/threads")?;
    let busy = number(json, "/client_busy")? * threads;
    let busy = [busy, threads].map(Duration::try_from_secs_f64);
    let [Ok(busy), Ok(elapsed)] = busy else { return Err("its client_busy is not a share".to_owned()) };
    Ok(Tally {
        answers: count(json, "/messages")?,
        elapsed: seconds(json, "/elapsed_s")?,
        total_answers: count(json, "/total_messages")?,
        verified_bytes: count(json, "/verified_bytes")?,
        due: count(json, "/due")?,
        unsent: count(json, "/unsent")?,
        unanswered: times(json, "/histograms/unanswered")?,
        answered: times(json, "/histograms/answered")?,
        service: times(json, "/histograms/service")?,
        response: times(json, "/histograms/response")?,
        connect: times(json, "/histograms/connect")?,
        failures,
        sessions: Sessions {
            ended: count(json, "/sessions/ended")?,
            reset: count(json, "/sessions/reset")?,
            reconnected: count(json, "/sessions/reconnected")?,
            resent: count(json, "/sessions/resent")?,
            least_messages: count(json, "/sessions/least_messages")?,
            most_messages: count(json, "/sessions/most_messages")?,
        },
        faults: Faults {
            corrupted_bytes: count(json, "/faults/corrupted_bytes")?,
            missing_bytes: count(json, "/faults/missing_bytes")?,
            damaged_messages: count(json, "/faults/damaged_messages")?,
            unfinished_messages: count(json, "/faults/unfinished_messages")?,
        },
        datagrams: if json["datagrams"].is_null() { Datagrams::default() } else { datagrams(&json["datagrams"])? },
        busy: (busy, elapsed),
    })
}

fn datagrams(json: &Value) -> Result<Datagrams, String> {
    let mut datagrams = Datagrams::default();
    datagrams.sent = count(json, "/sent")?;
    datagrams.received = count(json, "/received")?;
    datagrams.timed_out = count(json, "/timed_out")?;
    datagrams.dropped_here = count(json, "/dropped_here")?;
    datagrams.dropped_by_server = json["dropped_by_server"].as_u64();
    for fault in DatagramFault::ALL {
        let first = &json["first"][fault.name()];
        if let Some((client, number)) = first[0].as_u64().zip(first[1].as_u64()) {
            datagrams.add_many(fault, count(json, &format!("/{}", fault.name()))?, client, number);
        }
    }
    Ok(datagrams)
}

fn point(json: &Value) -> Result<Point, String> {
    Ok(Point {
        at: seconds(json, "/at_s")?,
        rate: number(json, "/rate")?,
        p99_us: number(json, "/p99_us")?,
        failures: 0,
        open: count(json, "/connections")? as usize,
    })
}

fn step(json: &Value) -> Result<Step, String> {
    let times = match json["p50_us"].is_null() {
        true => None,
        false => Some(Times {
            p50: number(json, "/p50_us")?,
            p99: number(json, "/p99_us")?,
            p999: number(json, "/p999_us")?,
            max: number(json, "/max_us")?,
        }),
    };
    Ok(Step {
        at: seconds(json, "/at_s")?,
        rate: number(json, "/rate")?,
        times,
        failures: count(json, "/errors")?,
        open: count(json, "/connections")? as usize,
    })
}

fn reading(json: &Value) -> Result<(Duration, Reading), String> {
    let reading = Reading { cores: number(json, "/cores")?, resident: count(json, "/resident_bytes")? };
    Ok((seconds(json, "/at_s")?, reading))
}

fn server(json: &Value) -> Result<ServerSide, String> {
    Ok(ServerSide {
        cpu: seconds(json, "/cpu_s")?,
        elapsed: seconds(json, "/elapsed_s")?,
        resident: count(json, "/resident_bytes")?,
        threads: count(json, "/threads")?,
        descriptors: count(json, "/descriptors")?,
        voluntary_switches: count(json, "/voluntary_switches")?,
        involuntary_switches: count(json, "/involuntary_switches")?,
    })
}

fn field<'a, T>(json: &'a Value, pointer: &str, read: impl Fn(&'a Value) -> Option<T>) -> Result<T, String> {
    let value = json.pointer(pointer).and_then(read);
    value.ok_or_else(|| format!("it has no {}, or one of another kind", pointer[1..].replace('/', ".")))
}

fn list<T>(json: &Value, pointer: &str, read: fn(&Value) -> Result<T, String>) -> Result<Vec<T>, String> {
    field(json, pointer, Value::as_array)?.iter().map(read).collect()
}

fn text<'a>(json: &'a Value, pointer: &str) -> Result<&'a str, String> {
    field(json, pointer, Value::as_str)
}

fn number(json: &Value, pointer: &str) -> Result<f64, String> {
    field(json, pointer, Value::as_f64)
}

fn count(json: &Value, pointer: &str) -> Result<u64, String> {
    field(json, pointer, Value::as_u64)
}

fn seconds(json: &Value, pointer: &str) -> Result<Duration, String> {
    field(json, pointer, |value| Duration::try_from_secs_f64(value.as_f64()?).ok())
}

fn time(json: &Value, pointer: &str) -> Result<SystemTime, String> {
    field(json, pointer, |value| humantime::parse_rfc3339(value.as_str()?).ok())
}

fn choice<T: ValueEnum>(json: &Value, pointer: &str) -> Result<T, String> {
    field(json, pointer, |value| T::from_str(value.as_str()?, false).ok())
}

/// Reads a histogram, of which only those with the same bounds can be added.
fn times(json: &Value, pointer: &str) -> Result<Histogram<u64>, String> {
    let bounds = |histogram: &Histogram<u64>| (histogram.low(), histogram.high(), histogram.sigfig());
    field(json, pointer, |value| {
        let bytes = BASE64_STANDARD.decode(value.as_str()?).ok()?;
        let read: Histogram<u64> = Deserializer::new().deserialize(&mut bytes.as_slice()).ok()?;
        (bounds(&read) == bounds(&histogram(3))).then_some(read)
    })
}
