//! A run over time: a point for each tenth of a second, and a few hundred steps of equal length with their percentiles.
//! The main thread makes both out of the samples of the event loops.

use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use super::super::server::usage::{Meter, Reading};
use super::load::Load;
use super::sample::Sample;
use super::tally::{Counts, histogram};

/// The most steps of a timeline: a curve of more cannot be told apart from it.
const MOST_STEPS: u128 = 300;

/// The shortest step, which is also the length of a sample.
const SHORTEST: Duration = Duration::from_millis(100);

/// The shortest time between two readings of the server. Processor time is counted in hundredths of a second, and a
/// reading costs the more the more threads a server has.
const READING: Duration = Duration::from_secs(1);

/// The state of a run at one moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Point {
    /// Time since the load began.
    pub(crate) at: Duration,
    /// Answers per second since the last point.
    pub(crate) rate: f64,
    /// The 99th percentile of the response time in microseconds.
    pub(crate) p99_us: f64,
    /// Failures so far.
    pub(crate) failures: u64,
    /// Open connections.
    pub(crate) open: usize,
}

/// What is known at a point, for those who watch a run.
#[derive(Debug)]
pub(crate) struct Update<'a> {
    pub(crate) point: Point,
    /// Response times since the last point, in nanoseconds.
    pub(crate) latencies: &'a Histogram<u64>,
    /// Failures so far, by kind.
    pub(crate) failures: Counts,
    /// What the server used lately, if it was read just now.
    pub(crate) server: Option<Reading>,
}

/// A run in steps of equal length.
#[derive(Clone, Debug, Default)]
pub(crate) struct Timeline {
    pub(crate) steps: Vec<Step>,
    /// What the server used since the reading before, with the time since the load began.
    pub(crate) server: Vec<(Duration, Reading)>,
}

/// What happened from the end of the step before to the end of this one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Step {
    /// Its end, as time since the load began.
    pub(crate) at: Duration,
    /// Answers per second.
    pub(crate) rate: f64,
    /// Response times. `None` if no answer came.
    pub(crate) times: Option<Times>,
    /// Failures within it.
    pub(crate) failures: u64,
    /// Connections that were open at its end.
    pub(crate) open: usize,
}

/// Percentiles of the response times of some messages, in microseconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Times {
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    pub(crate) p999: f64,
    pub(crate) max: f64,
}

/// One of the percentiles.
pub(crate) type Percentile = fn(&Times) -> f64;

/// The percentiles that are drawn over time, with their names.
pub(crate) const DRAWN: [(&str, Percentile); 3] =
    [("p50", |times| times.p50), ("p99", |times| times.p99), ("p99.9", |times| times.p999)];

/// Makes the points and the timeline of a run.
#[derive(Debug)]
pub(crate) struct Recorder {
    step: Duration,
    meter: Option<Meter>,
    next_reading: Duration,
    /// Response times of the present step.
    latencies: Histogram<u64>,
    /// Answers of the present step.
    answers: f64,
    /// When the last point was.
    last: Duration,
    /// Failures before the present step.
    failures: u64,
    points: Vec<Point>,
    timeline: Timeline,
}

impl Recorder {
    /// Records a run of `load` that begins now. The process id of its server may be known.
    pub(crate) fn new(load: &Load, server: Option<u32>) -> Self {
        let step = step(load.warmup + load.duration);
        Self {
            step,
            meter: server.map(Meter::new),
            next_reading: READING,
            latencies: histogram(2),
            answers: 0.0,
            last: Duration::ZERO,
            failures: 0,
            points: Vec::new(),
            timeline: Timeline::default(),
        }
    }

    /// Adds a point, which is made of one sample of each event loop, and shows it.
    pub(crate) fn add<'a>(
        &mut self,
        samples: impl Iterator<Item = &'a Sample>,
        start: Instant,
        watch: &mut dyn FnMut(&Update<'_>),
    ) {
        let mut point = Point { at: Duration::ZERO, rate: 0.0, p99_us: 0.0, failures: 0, open: 0 };
        let mut latencies = histogram(2);
        let mut failures = Counts::default();
        for sample in samples {
            point.at = point.at.max(sample.at.saturating_duration_since(start));
            point.rate += sample.answers as f64 / sample.span.as_secs_f64().max(1e-9);
            latencies.add(&sample.latencies).expect("both have the same bounds");
            failures.iter_mut().zip(sample.failures).for_each(|(count, more)| *count += more);
            point.open += sample.open;
        }
        point.p99_us = latencies.value_at_quantile(0.99) as f64 / 1000.0;
        point.failures = failures.iter().sum();
        let is_due = point.at >= self.next_reading;
        let server = self.meter.as_mut().filter(|_| is_due).and_then(Meter::read);
        if let Some(reading) = server {
            self.next_reading = point.at + READING.max(self.step) - SHORTEST / 2;
            self.timeline.server.push((point.at, reading));
        }
        watch(&Update { point, latencies: &latencies, failures, server });
        self.answers += point.rate * point.at.saturating_sub(self.last).as_secs_f64();
        self.latencies.add(&latencies).expect("both have the same bounds");
        self.last = point.at;
        self.points.push(point);
        // Samples are a little late now and then, so a step ends with the point that is next to its end.
        let from = self.timeline.steps.last().map_or(Duration::ZERO, |step| step.at);
        if point.at - from + SHORTEST / 2 >= self.step {
            self.end_step();
        }
    }

    /// Returns the points, and the timeline with what is left of the last step.
    pub(crate) fn finish(mut self) -> (Vec<Point>, Timeline) {
        self.end_step();
        (self.points, self.timeline)
    }

    fn end_step(&mut self) {
        let from = self.timeline.steps.last().map_or(Duration::ZERO, |step| step.at);
        let Some(point) = self.points.last().filter(|point| point.at > from) else { return };
        self.timeline.steps.push(Step {
            at: point.at,
            rate: self.answers / (point.at - from).as_secs_f64(),
            times: Times::of(&self.latencies),
            failures: point.failures - self.failures,
            open: point.open,
        });
        (self.answers, self.failures) = (0.0, point.failures);
        self.latencies.reset();
    }
}

impl Times {
    /// Returns the percentiles of response times in nanoseconds, or `None` if there are none.
    pub(crate) fn of(latencies: &Histogram<u64>) -> Option<Self> {
        let [p50, p99, p999, max] =
            [0.5, 0.99, 0.999, 1.0].map(|quantile| latencies.value_at_quantile(quantile) as f64 / 1000.0);
        (!latencies.is_empty()).then_some(Self { p50, p99, p999, max })
    }
}

/// Returns the length of a step: 1, 2 or 5 times a power of ten of the shortest.
fn step(total: Duration) -> Duration {
    let fits = |factor: &u32| total.as_millis() <= MOST_STEPS * (SHORTEST * *factor).as_millis();
    let factors = (0..).flat_map(|power| [1, 2, 5].map(|factor| factor * 10u32.pow(power)));
    SHORTEST * factors.take(24).find(fits).unwrap_or(1_000_000)
}
