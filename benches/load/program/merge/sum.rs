//! The sum of results, and what to know about it.

use std::time::{Duration, SystemTime};

use super::super::super::traffic::run::{Outcome, Point};
use super::super::super::traffic::tally::Tally;
use super::read::Part;

/// The interval of the points.
const STEP: Duration = Duration::from_millis(100);

/// The share of its window that a process must have in common with the first one, or else there is a warning.
const TOGETHER: f64 = 0.9;

/// From this share of its time on, a client is the limit.
const BUSY: f64 = 0.9;

/// Returns what makes the sum doubtful, a line for each.
pub(super) fn warnings(parts: &[Part]) -> Vec<String> {
    let [first, others @ ..] = parts else { return Vec::new() };
    let mut warnings = Vec::new();
    for part in others {
        let name = &part.name;
        let ([from, to], [first_from, first_to]) = (window(part), window(first));
        let common = to.min(first_to).duration_since(from.max(first_from)).unwrap_or_default();
        let length = to.duration_since(from).unwrap_or_default();
        let share = common.as_secs_f64() / length.as_secs_f64().max(1e-9);
        if share < TOGETHER {
            let [from, to, first_from, first_to] =
                [from, to, first_from, first_to].map(humantime::format_rfc3339_millis);
            warnings.push(format!(
                "{name}: {:.0} % of its window, {from} to {to}, is within that of {}, {first_from} to {first_to}: use \
                 --start-at",
                100.0 * share,
                first.name
            ));
        }
        if part.load.address != first.load.address {
            let addresses = [&part.load.address, &first.load.address];
            warnings.push(format!("{name}: it loaded {} and not {} as {}", addresses[0], addresses[1], first.name));
        }
    }
    for Part { name, outcome, .. } in parts {
        if outcome.client_busy() > BUSY {
            let busy = 100.0 * outcome.client_busy();
            warnings.push(format!("{name}: its client was busy for {busy:.0} % of the time, and is the limit"));
        }
    }
    warnings
}

/// Returns when the measured window of a result began and ended.
fn window(part: &Part) -> [SystemTime; 2] {
    let from = part.outcome.begun + part.load.warmup;
    [from, from + part.outcome.tally.elapsed]
}

/// Adds results, of which there is at least one.
pub(super) fn sum(parts: Vec<Part>) -> Part {
    let begun = parts.iter().map(|part| part.outcome.begun).min().unwrap_or(SystemTime::UNIX_EPOCH);
    let points = points(&parts, begun);
    let rate: f64 = parts.iter().map(|part| part.outcome.rate()).sum();
    let is_one_server = parts.iter().all(|part| part.load.address == parts[0].load.address);
    let server = parts.iter().find_map(|part| part.outcome.server).filter(|_| is_one_server);
    let mut loads = parts.iter().map(|part| part.load.clone());
    let mut load = loads.next().expect("there is one");
    for more in loads {
        load.connections += more.connections;
        load.threads += more.threads;
        load.duration = load.duration.max(more.duration);
        load.rate = load.rate.zip(more.rate).map(|(rate, more)| rate + more);
        load.adversaries.idle += more.adversaries.idle;
        load.adversaries.slow_writers += more.adversaries.slow_writers;
        load.adversaries.slow_readers += more.adversaries.slow_readers;
        load.adversaries.resetters += more.adversaries.resetters;
    }
    let mut tally = Tally::new();
    for part in parts {
        tally.merge(part.outcome.tally);
    }
    // So that the rate is the sum of the rates, even if one of the windows was shorter.
    if rate > 0.0 {
        tally.elapsed = Duration::from_secs_f64(tally.answers as f64 / rate);
    }
    Part { name: String::new(), load, outcome: Outcome { tally, points, server, begun } }
}

/// Adds the points of the same tenth of a second. Of the 99th percentiles it takes the highest, because that of all answers
/// together is not known.
fn points(parts: &[Part], begun: SystemTime) -> Vec<Point> {
    let timelines = parts.iter().map(|part| {
        let delay = part.outcome.begun.duration_since(begun).unwrap_or_default();
        part.outcome.points.iter().map(move |point| Point { at: point.at + delay, ..*point }).collect::<Vec<_>>()
    });
    let timelines: Vec<Vec<Point>> = timelines.collect();
    let last = timelines.iter().flatten().map(|point| point.at).max().unwrap_or_default();
    let steps = last.as_millis() / STEP.as_millis();
    (1..=steps as u32)
        .map(|step| {
            let at = step * STEP;
            let mut sum = Point { at, rate: 0.0, p99_us: 0.0, failures: 0, open: 0 };
            // Each process takes its points a little late.
            let near =
                timelines.iter().filter_map(|points| points.iter().min_by_key(|point| point.at.abs_diff(at)));
            for point in near.filter(|point| point.at.abs_diff(at) < STEP) {
                sum.rate += point.rate;
                sum.p99_us = sum.p99_us.max(point.p99_us);
                sum.open += point.open;
            }
            sum
        })
        .collect()
}
