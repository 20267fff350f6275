//! Which charts the report has. Those of latencies have one scale, and those over time one time axis.

use std::time::Duration;

use super::super::super::traffic::load::{Load, Mode};
use super::super::super::traffic::run::Outcome;
use super::super::super::traffic::timeline::{DRAWN, Percentile, Step, Timeline};
use super::super::figures::{MIB, microseconds, thousands, time, unit};
use super::super::report::times;
use super::axis::Axis;
use super::chart::{Chart, Curve};

/// Heights in pixels.
const TALL: f64 = 220.0;
const LOW: f64 = 120.0;

/// The rarest message of the chart by percentile: one in a million is slower.
const RAREST: f64 = 1e6;

/// Parts of a power of ten, at which there are values by percentile: 50 %, 60 % and so on, then 95 %, 96 %.
const PARTS: [f64; 10] = [1.0, 0.8, 0.65, 0.5, 0.4, 0.3, 0.25, 0.2, 0.15, 0.125];

/// Returns the charts of a run.
pub(super) fn all<'a>(load: &Load, outcome: &'a Outcome) -> Vec<Chart<'a>> {
    let clock = Clock::of(load);
    let timeline = &outcome.timeline;
    let by_percentile = by_percentile(load, outcome);
    let over_time = latency_over_time(timeline);
    // Both show how long a message took, so equal heights must mean equal times.
    let curves = by_percentile.iter().map(|(name, values)| (*name, values)).filter(|(name, _)| *name != "connect");
    let values = curves.flat_map(|(_, values)| values.iter().map(|(_, us)| *us));
    let values = values.chain(over_time.iter().flat_map(|curve| curve.values.iter().flatten().copied()));
    let y = Axis::logarithmic(values.collect::<Vec<_>>().into_iter(), |us| time(us, 1));
    let mut charts = Vec::new();
    if !by_percentile.is_empty() {
        charts.push(percentiles(&by_percentile, y.clone()));
    }
    if timeline.steps.is_empty() {
        return charts;
    }
    let steps = |title, about, height, y, curves, format| Chart {
        title,
        about,
        rows: "time",
        group: "time",
        height,
        x: clock.axis(load),
        y,
        at: timeline.steps.iter().map(|step| clock.place(step.at)).collect(),
        curves,
        line: None,
        warmup: clock.time(load.warmup),
        format,
    };
    let rates = values_of(timeline, |step| Some(step.rate));
    let most = most(&rates).max(load.rate.unwrap_or(0.0));
    let name = if load.mode == Mode::Churn { "sessions" } else { "answers" };
    let rate = Curve { name, values: rates };
    let about = if load.mode == Mode::Churn { "sessions per second" } else { "answers per second" };
    let rate = steps("Rate over time", about, TALL, Axis::linear(most, true, number), vec![rate], number);
    charts.push(Chart {
        line: load.rate.map(|rate| (rate, format!("requested: {} {}", number(rate), unit(load)))),
        ..rate
    });
    let about = "response time, at the time of the answer";
    charts.push(steps("Latency over time", about, TALL, y, over_time, three_digits));
    if outcome.tally.errors(load) > 0 {
        let counts = values_of(timeline, |step| Some(step.failures as f64));
        let y = Axis::linear(self::most(&counts), true, number);
        let errors = Curve { name: "errors", values: counts };
        charts.push(steps("Errors over time", "since the point before", LOW, y, vec![errors], number));
    }
    charts.extend(server(load, timeline, &clock));
    charts
}

/// Returns the processor time and the memory of the server over time, if they are known.
fn server<'a>(load: &Load, timeline: &Timeline, clock: &Clock) -> Vec<Chart<'a>> {
    if timeline.server.is_empty() {
        return Vec::new();
    }
    let quantity = |title, about, name, values: Vec<f64>, format: fn(f64) -> String| {
        let values: Vec<_> = values.into_iter().map(Some).collect();
        Chart {
            title,
            about,
            rows: "time",
            group: "time",
            height: LOW,
            x: clock.axis(load),
            y: Axis::linear(most(&values), true, format),
            at: timeline.server.iter().map(|(at, _)| clock.place(*at)).collect(),
            curves: vec![Curve { name, values }],
            line: None,
            warmup: clock.time(load.warmup),
            format,
        }
    };
    let readings = timeline.server.iter().map(|(_, reading)| reading);
    let (percent, mebibytes) = (|value| format!("{} %", number(value)), |value| format!("{} MiB", number(value)));
    vec![
        quantity(
            "Processor time of the server",
            "100 % is one core",
            "processor",
            readings.clone().map(|reading| 100.0 * reading.cores).collect(),
            percent,
        ),
        quantity(
            "Memory of the server",
            "resident",
            "memory",
            readings.map(|reading| reading.resident as f64 / MIB).collect(),
            mebibytes,
        ),
    ]
}

/// Returns for each kind of time its values by rarity.
fn by_percentile(load: &Load, outcome: &Outcome) -> Vec<(&'static str, Vec<(f64, f64)>)> {
    let times = times(load, &outcome.tally);
    let most = times.iter().map(|(_, histogram, _)| histogram.len()).max().unwrap_or(0);
    let rarest = (most as f64).clamp(10.0, RAREST);
    let tails = (0..).flat_map(|power| PARTS.map(|part| part / 10f64.powi(power)));
    let tails: Vec<f64> = tails.take_while(|tail| 1.0 / tail <= rarest * 1.001).collect();
    let curve = |(name, histogram, _): (&'static str, _, _)| {
        (name, tails.iter().map(|tail| (1.0 / tail, microseconds(histogram, 1.0 - tail))).collect())
    };
    times.into_iter().map(curve).collect()
}

/// Returns the chart by percentile. Its x axis counts nines, so that the slowest hundredth gets more than half of it.
fn percentiles<'a>(times: &[(&'static str, Vec<(f64, f64)>)], y: Axis) -> Chart<'a> {
    let percentile = |rarity: f64| format!("p{}", (1e8 * (1.0 - 1.0 / rarity)).round() / 1e6);
    let rarities = times.first().map_or(&[][..], |(_, values)| values);
    let most = rarities.last().map_or(10.0, |(rarity, _)| *rarity);
    let ticks =
        [2.0].into_iter().chain((1..).map(|power| 10f64.powi(power))).take_while(|rarity| *rarity <= most * 1.001);
    Chart {
        title: "Latency by percentile",
        about: "p99: one message in a hundred took longer",
        rows: "percentile",
        group: "percentile",
        height: TALL,
        x: Axis::with_ticks(most, ticks.map(|rarity| (rarity, percentile(rarity))).collect()),
        y,
        at: rarities.iter().map(|(rarity, _)| (*rarity, percentile(*rarity))).collect(),
        curves: times
            .iter()
            .map(|(name, values)| Curve { name, values: values.iter().map(|(_, us)| Some(*us)).collect() })
            .collect(),
        line: None,
        warmup: 0.0,
        format: three_digits,
    }
}

fn latency_over_time(timeline: &Timeline) -> Vec<Curve<'static>> {
    let values = |figure: Percentile| values_of(timeline, |step| step.times.as_ref().map(figure));
    DRAWN.map(|(name, figure)| Curve { name, values: values(figure) }).into()
}

fn values_of(timeline: &Timeline, figure: impl Fn(&Step) -> Option<f64>) -> Vec<Option<f64>> {
    timeline.steps.iter().map(figure).collect()
}

fn most(values: &[Option<f64>]) -> f64 {
    values.iter().flatten().copied().fold(0.0, f64::max)
}

fn three_digits(us: f64) -> String {
    time(us, 3)
}

/// Formats a number: a large one without decimals.
fn number(value: f64) -> String {
    let rounded = (value * 100.0).round() / 100.0;
    if value >= 100.0 || rounded.fract() == 0.0 { thousands(value) } else { rounded.to_string() }
}

/// The unit of the time axis.
struct Clock {
    seconds: f64,
    label: fn(f64) -> String,
}

impl Clock {
    fn of(load: &Load) -> Self {
        let (seconds, label): (f64, fn(f64) -> String) = match (load.warmup + load.duration).as_secs() {
            ..=180 => (1.0, |value| format!("{} s", number(value))),
            181..=10_800 => (60.0, |value| format!("{} min", number(value))),
            _ => (3600.0, |value| format!("{} h", number(value))),
        };
        Self { seconds, label }
    }

    fn axis(&self, load: &Load) -> Axis {
        Axis::linear(self.time(load.warmup + load.duration), false, self.label)
    }

    fn time(&self, at: Duration) -> f64 {
        at.as_secs_f64() / self.seconds
    }

    /// Returns the place of a moment on the axis, and its label.
    fn place(&self, at: Duration) -> (f64, String) {
        let time = self.time(at);
        (time, (self.label)(time))
    }
}
