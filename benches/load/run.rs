//! One run: the event loops, the adversaries and the looks at the server around one window of time.

use std::io;
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use super::adversary::Crowd;
use super::engine::{Engine, News};
use super::load::Load;
use super::payload::Payloads;
use super::sample::Sample;
use super::server_side::{Look, ServerSide};
use super::tally::{Tally, histogram};

/// Descriptors that are not connections.
const OTHER_DESCRIPTORS: usize = 64;

/// An achieved rate that is so much of the asked one is that rate.
const REACHED: f64 = 0.99;

/// What came of a run.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    pub(crate) tally: Tally,
    /// The rate and the latency over time, warm-up included.
    pub(crate) points: Vec<Point>,
    /// Known if the server's process is.
    pub(crate) server: Option<ServerSide>,
}

/// A moment of a run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Point {
    /// Since the load began.
    pub(crate) at: Duration,
    /// Answers a second since the last point.
    pub(crate) rate: f64,
    /// The 99th percentile of the response time, in µs.
    pub(crate) p99_us: f64,
    /// Failures so far.
    pub(crate) failures: u64,
    /// Connections that are open.
    pub(crate) open: usize,
}

impl Outcome {
    /// Answers a second, within the window.
    pub(crate) fn rate(&self) -> f64 {
        let elapsed = self.tally.elapsed.as_secs_f64();
        if elapsed > 0.0 { self.tally.answers as f64 / elapsed } else { 0.0 }
    }

    /// Whether the server, or this client, did not keep up with the rate that was asked for.
    pub(crate) fn saturated(&self, load: &Load) -> bool {
        load.rate.is_some_and(|rate| self.rate() < REACHED * rate)
    }

    /// How much the rate varied: half of the range that the middle half of the tenths of a second was in, in
    /// percent of the median.
    pub(crate) fn noise(&self, load: &Load) -> f64 {
        let measured = self.points.iter().filter(|point| point.at > load.warmup);
        let mut rates: Vec<f64> = measured.map(|point| point.rate).collect();
        rates.sort_by(f64::total_cmp);
        let quartile = |number: usize| rates.get(rates.len() * number / 4).copied().unwrap_or(0.0);
        if quartile(2) > 0.0 { 50.0 * (quartile(3) - quartile(1)) / quartile(2) } else { 0.0 }
    }

    /// How much of the time the event loops were busy. From 1 on, the client is the limit.
    pub(crate) fn client_busy(&self) -> f64 {
        let (busy, elapsed) = self.tally.busy;
        if elapsed.is_zero() { 0.0 } else { busy.as_secs_f64() / elapsed.as_secs_f64() }
    }
}

/// Runs `load` against its server, whose process id may be known; `watch` sees each tenth of a second.
///
/// # Errors
///
/// If this machine refuses what the client itself needs. What the server does wrong is in the outcome.
pub(crate) fn run(load: &Load, server: Option<u32>, watch: &mut dyn FnMut(Point)) -> io::Result<Outcome> {
    allow_descriptors(load.connections + load.adversaries.count() + OTHER_DESCRIPTORS)?;
    let payloads = &Payloads::new(load.seed, load.size);
    let _crowd = Crowd::start(load.address, load.adversaries);
    thread::scope(|scope| {
        let (sender, news) = mpsc::channel();
        let mut engines = Vec::new();
        for number in 0..load.threads {
            let engine = Engine::new(load, payloads, number, sender.clone())?;
            let (go, gone) = mpsc::channel();
            engines.push((go, scope.spawn(move || engine.run(&gone))));
        }
        drop(sender);
        let connected = news.iter().filter(|news| matches!(news, News::Connected));
        let _all = connected.take(load.threads).count();
        // A look at thousands of threads takes a while on a core, so it is over before the load begins: within
        // the warm-up it would cost just those servers that have many.
        let before = server.and_then(|id| Look::take(id).ok());
        let start = Instant::now();
        for (go, _) in &engines {
            // One that has failed does not listen, and says why at its end.
            let _ = go.send(start);
        }
        let points = follow(&news, start, load, watch);
        let after = server.and_then(|id| Look::take(id).ok());
        let server = before.zip(after).map(|(before, after)| after.since(before));
        let mut tally = Tally::new();
        for (_, engine) in engines {
            tally.merge(engine.join().map_err(|_| io::Error::other("an event loop panicked"))??);
        }
        Ok(Outcome { tally, points, server })
    })
}

/// Takes the samples until the event loops have passed the window. A point has one of each event loop: what a
/// loop tells before the others is part of the next point, and one that has nobody left is not waited for.
fn follow(news: &Receiver<News>, start: Instant, load: &Load, watch: &mut dyn FnMut(Point)) -> Vec<Point> {
    let mut points = Vec::new();
    let mut samples: Vec<Option<Sample>> = (0..load.threads).map(|_| None).collect();
    let mut ended = vec![false; load.threads];
    for news in news {
        let News::Sample { engine, sample, is_last } = news else { continue };
        ended[engine] |= is_last;
        match &mut samples[engine] {
            Some(before) => before.extend(&sample),
            none => *none = Some(sample),
        }
        if samples.iter().all(Option::is_some) {
            let point = Point::of(samples.iter().flatten(), start);
            watch(point);
            points.push(point);
            for (sample, ended) in samples.iter_mut().zip(&ended) {
                *sample = sample.take().filter(|_| *ended).map(|last| last.afterwards());
            }
        }
    }
    points
}

impl Point {
    /// Of a sample of each event loop.
    fn of<'a>(samples: impl Iterator<Item = &'a Sample>, start: Instant) -> Self {
        let mut point = Self { at: Duration::ZERO, rate: 0.0, p99_us: 0.0, failures: 0, open: 0 };
        let mut latencies = histogram(2);
        for sample in samples {
            point.at = point.at.max(sample.at.saturating_duration_since(start));
            point.rate += sample.answers as f64 / sample.span.as_secs_f64().max(1e-9);
            latencies.add(&sample.latencies).expect("both have the same bounds");
            point.failures += sample.failures;
            point.open += sample.open;
        }
        Self { p99_us: latencies.value_at_quantile(0.99) as f64 / 1000.0, ..point }
    }
}

fn allow_descriptors(count: usize) -> io::Result<()> {
    let count = count as u64;
    let limit = rlimit::increase_nofile_limit(count)?;
    if limit < count {
        return Err(io::Error::other(format!("{count} descriptors are needed, and the limit is {limit}")));
    }
    Ok(())
}
