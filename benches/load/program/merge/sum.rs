//! The sum of results, and what to know about it.

use std::time::{Duration, SystemTime};

use super::super::super::traffic::run::Outcome;
use super::super::super::traffic::tally::Tally;
use super::super::super::traffic::timeline::{Point, Step, Timeline, Times};
use super::read::Part;

/// The interval of the points.
const POINTS: Duration = Duration::from_millis(100);

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
    let (points, steps) = (points(&parts, begun), steps(&parts, begun));
    let rate: f64 = parts.iter().map(|part| part.outcome.rate()).sum();
    let is_one_server = parts.iter().all(|part| part.load.address == parts[0].load.address);
    let measured = parts.iter().find(|part| is_one_server && part.outcome.server.is_some());
    let server = measured.and_then(|part| part.outcome.server);
    let readings = measured.map_or_else(Vec::new, |part| {
        let delay = delay(part, begun);
        part.outcome.timeline.server.iter().map(|(at, reading)| (*at + delay, *reading)).collect()
    });
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
    Part {
        name: String::new(),
        load,
        outcome: Outcome { tally, points, timeline: Timeline { steps, server: readings }, server, begun },
    }
}

/// Returns how much later than the first a process began.
fn delay(part: &Part, begun: SystemTime) -> Duration {
    part.outcome.begun.duration_since(begun).unwrap_or_default()
}

/// Returns what each process counted at about each multiple of `length`. They count a little late, each at its own time.
fn beside<T>(
    parts: &[Part],
    begun: SystemTime,
    length: Duration,
    list: fn(&Outcome) -> &[T],
    at: fn(&T) -> Duration,
) -> Vec<(Duration, Vec<&T>)> {
    let moments =
        parts.iter().flat_map(|part| list(&part.outcome).iter().map(move |one| at(one) + delay(part, begun)));
    let last = moments.max().unwrap_or_default() + length / 2;
    let steps = last.as_nanos() / length.as_nanos().max(1);
    let near = |moment: Duration| {
        let nearest = parts.iter().filter_map(move |part| {
            let away = |one: &&T| (at(one) + delay(part, begun)).abs_diff(moment);
            list(&part.outcome).iter().min_by_key(away).filter(|one| away(one) < length)
        });
        (moment, nearest.collect())
    };
    (1..=steps as u32).map(|step| near(step * length)).collect()
}

/// Adds the points. Of the 99th percentiles it takes the highest, because that of all answers together is not known.
fn points(parts: &[Part], begun: SystemTime) -> Vec<Point> {
    let points = beside(parts, begun, POINTS, |outcome| &outcome.points, |point| point.at);
    let sum = |(at, points): (Duration, Vec<&Point>)| Point {
        at,
        rate: points.iter().map(|point| point.rate).sum(),
        p99_us: points.iter().map(|point| point.p99_us).fold(0.0, f64::max),
        failures: 0,
        open: points.iter().map(|point| point.open).sum(),
    };
    points.into_iter().map(sum).collect()
}

/// Adds the steps, with percentiles as for the points.
fn steps(parts: &[Part], begun: SystemTime) -> Vec<Step> {
    // Steps of runs of one length have one length.
    let length = parts.iter().filter_map(|part| Some(part.outcome.timeline.steps.first()?.at)).max();
    let Some(length) = length else { return Vec::new() };
    let length = POINTS * ((length + POINTS / 2).as_millis() / POINTS.as_millis()).max(1) as u32;
    let steps = beside(parts, begun, length, |outcome| &outcome.timeline.steps, |step| step.at);
    let sum = |(at, steps): (Duration, Vec<&Step>)| Step {
        at,
        rate: steps.iter().map(|step| step.rate).sum(),
        times: steps.iter().filter_map(|step| step.times).reduce(highest),
        failures: steps.iter().map(|step| step.failures).sum(),
        open: steps.iter().map(|step| step.open).sum(),
    };
    steps.into_iter().map(sum).collect()
}

fn highest(one: Times, other: Times) -> Times {
    Times {
        p50: one.p50.max(other.p50),
        p99: one.p99.max(other.p99),
        p999: one.p999.max(other.p999),
        max: one.max.max(other.max),
    }
}
