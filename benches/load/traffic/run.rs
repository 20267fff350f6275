//! One run: starts the event loops and the adversaries, reads the server's counters before and after the load, and
//! merges the results.

use std::io;
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Instant, SystemTime};

use super::super::server::usage::{ServerSide, Snapshot};
use super::adversary::Crowd;
use super::client::Client;
use super::connection::Connection;
use super::engine::{Engine, Notice};
use super::load::{Load, Mode};
use super::payload::Payloads;
use super::sample::Sample;
use super::tally::Tally;
use super::timeline::{Point, Recorder, Timeline, Update};
use super::udp::{self, UdpClient};

/// Descriptors that this process needs in addition to its connections.
const OTHER_DESCRIPTORS: usize = 64;

/// Share of the requests that may be late before the requested rate counts as missed.
const LATE: f64 = 0.01;

/// The result of a run.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    pub(crate) tally: Tally,
    /// Rate and latency of each tenth of a second, including the warm-up.
    pub(crate) points: Vec<Point>,
    /// The same in fewer steps, and the server over time.
    pub(crate) timeline: Timeline,
    /// What the server used. `None` if its process is not known.
    pub(crate) server: Option<ServerSide>,
    /// When the load began, by the clock of this machine.
    pub(crate) begun: SystemTime,
}

impl Outcome {
    /// Returns the answers per second within the window.
    pub(crate) fn rate(&self) -> f64 {
        let elapsed = self.tally.elapsed.as_secs_f64();
        if elapsed > 0.0 { self.tally.answers as f64 / elapsed } else { 0.0 }
    }

    /// Returns `true` if the server, or this client, did not keep up with the requested rate: of the requests that were
    /// due within the window, more than a hundredth were not sent or were overdue at its end.
    pub(crate) fn saturated(&self) -> bool {
        (self.tally.unsent + self.overdue()) as f64 > LATE * self.tally.due as f64
    }

    /// Returns how many requests had been sent and were overdue at the end of the window. Each run ends with requests
    /// in flight. One of them is overdue if it has waited for longer than the median response time of those that have been
    /// answered: a server that keeps up has few of these, and one that falls behind has half of its backlog.
    pub(crate) fn overdue(&self) -> u64 {
        let Tally { answered, response, unanswered, .. } = &self.tally;
        let usual = if answered.is_empty() { response } else { answered };
        let longer = unanswered.next_non_equivalent(usual.value_at_quantile(0.5));
        unanswered.count_between(longer, unanswered.high())
    }

    /// Explains why the run has no result, if it has none.
    pub(crate) fn nothing_measured(&self, load: &Load) -> Option<String> {
        let window = load.duration;
        (self.tally.answers == 0)
            .then(|| format!("nothing was measured: no answer came in the window of {window:?}"))
    }

    /// Returns how much the rate varied: half of the interquartile range of the rates of all tenths of a second, in
    /// percent of their median.
    pub(crate) fn noise(&self, load: &Load) -> f64 {
        let measured = self.points.iter().filter(|point| point.at > load.warmup);
        let mut rates: Vec<f64> = measured.map(|point| point.rate).collect();
        rates.sort_by(f64::total_cmp);
        let quartile = |number: usize| rates.get(rates.len() * number / 4).copied().unwrap_or(0.0);
        if quartile(2) > 0.0 { 50.0 * (quartile(3) - quartile(1)) / quartile(2) } else { 0.0 }
    }

    /// Returns the share of time that the event loops were busy. Close to 1, the client is the limit.
    pub(crate) fn client_busy(&self) -> f64 {
        let (busy, elapsed) = self.tally.busy;
        if elapsed.is_zero() { 0.0 } else { busy.as_secs_f64() / elapsed.as_secs_f64() }
    }
}

/// Runs `load` against its server, whose process id may be known. Calls `watch` with each tenth of a second.
///
/// # Errors
///
/// Returns an error if this machine refuses what the client itself needs. Faults of the server are in the outcome.
pub(crate) fn run(load: &Load, server: Option<u32>, watch: &mut dyn FnMut(&Update<'_>)) -> io::Result<Outcome> {
    if load.mode != Mode::Udp {
        return run_clients::<Connection>(load, &Payloads::new(load.seed, load.size), server, watch);
    }
    let payloads = Payloads::new(load.seed, load.size - udp::HEADER);
    let drops = || udp::server_drops(load.address.network()?);
    let before = drops();
    let mut outcome = run_clients::<UdpClient>(load, &payloads, server, watch)?;
    let dropped = before.zip(drops()).map(|(before, after)| after.saturating_sub(before));
    outcome.tally.datagrams.dropped_by_server = dropped;
    Ok(outcome)
}

fn run_clients<C: Client + Send>(
    load: &Load,
    payloads: &Payloads,
    server: Option<u32>,
    watch: &mut dyn FnMut(&Update<'_>),
) -> io::Result<Outcome> {
    raise_descriptor_limit(load.connections + load.adversaries.count() + OTHER_DESCRIPTORS)?;
    let _crowd = Crowd::start(load)?;
    thread::scope(|scope| {
        let (sender, notices) = mpsc::channel();
        let mut engines = Vec::new();
        for number in 0..load.threads {
            let engine = Engine::<C>::new(load, payloads, number, sender.clone())?;
            let (go, gone) = mpsc::channel();
            engines.push((go, scope.spawn(move || engine.run(&gone))));
        }
        drop(sender);
        let connected = notices.iter().filter(|notice| matches!(notice, Notice::Connected));
        let _all = connected.take(load.threads).count();
        // Reading the counters of thousands of threads keeps a core busy for a while. It happens before the load
        // begins, because within the warm-up it would slow down just those servers that have many threads.
        let before = server.and_then(|id| Snapshot::take(id).ok());
        let start = load.start_at.map_or_else(|| Ok(Instant::now()), wait_until)?;
        let begun = SystemTime::now() - start.elapsed();
        for (go, _) in &engines {
            // An event loop that has failed no longer receives; its error is returned by the join below.
            let _ = go.send(start);
        }
        let (points, timeline) = collect(&notices, start, load, Recorder::new(load, server), watch);
        let after = server.and_then(|id| Snapshot::take(id).ok());
        let server = before.zip(after).map(|(before, after)| after.since(before));
        let mut tally = Tally::new();
        for (_, engine) in engines {
            tally.merge(engine.join().map_err(|_| io::Error::other("an event loop panicked"))??);
        }
        Ok(Outcome { tally, points, timeline, server, begun })
    })
}

/// Sleeps until a time, and returns it as an instant.
fn wait_until(time: SystemTime) -> io::Result<Instant> {
    let left = time.duration_since(SystemTime::now()).map_err(|late| {
        io::Error::other(format!("--start-at: the connections were open {:.1?} too late", late.duration()))
    })?;
    let start = Instant::now() + left;
    thread::sleep(left);
    Ok(start)
}

/// Collects the samples until the event loops have passed the window. A point combines one sample of each event loop.
/// If a loop sends a second sample before the others have sent one, the two are merged. A loop without open
/// connections is not waited for.
fn collect(
    notices: &Receiver<Notice>,
    start: Instant,
    load: &Load,
    mut recorder: Recorder,
    watch: &mut dyn FnMut(&Update<'_>),
) -> (Vec<Point>, Timeline) {
    let mut samples: Vec<Option<Sample>> = (0..load.threads).map(|_| None).collect();
    let mut ended = vec![false; load.threads];
    for notice in notices {
        let Notice::Sample { engine, sample, is_last } = notice else { continue };
        ended[engine] |= is_last;
        match &mut samples[engine] {
            Some(before) => before.append(&sample),
            none => *none = Some(*sample),
        }
        if samples.iter().all(Option::is_some) {
            recorder.add(samples.iter().flatten(), start, watch);
            for (sample, ended) in samples.iter_mut().zip(&ended) {
                *sample = sample.take().filter(|_| *ended).map(|last| last.without_answers());
            }
        }
    }
    recorder.finish()
}

fn raise_descriptor_limit(count: usize) -> io::Result<()> {
    let count = count as u64;
    let limit = rlimit::increase_nofile_limit(count)?;
    if limit < count {
        return Err(io::Error::other(format!("{count} descriptors are needed, but the limit is {limit}")));
    }
    Ok(())
}
