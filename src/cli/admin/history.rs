//! `/history`: the last five minutes, a sample each second, so that a page that is just opened shows them.

use std::collections::VecDeque;
use std::fmt::Write;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError};
use hebra::Stats;

use super::Source;

/// How often the totals are sampled.
const INTERVAL: Duration = Duration::from_secs(1);

/// Samples kept: five minutes and their first moment.
const KEPT: usize = 301;

/// The totals of the last five minutes.
#[derive(Debug)]
pub(super) struct History {
    source: Arc<Source>,
    start: Instant,
    samples: Mutex<VecDeque<(Duration, Stats)>>,
}

impl History {
    pub(super) fn new(source: Arc<Source>) -> Self {
        Self { source, start: Instant::now(), samples: Mutex::default() }
    }

    /// Samples once a second until the other end of the channel is dropped.
    pub(super) fn run(&self, end: &Receiver<()>) {
        let mut next = Instant::now();
        loop {
            self.sample();
            next = following(next, Instant::now());
            if end.recv_deadline(next) != Err(RecvTimeoutError::Timeout) {
                return;
            }
        }
    }

    fn sample(&self) {
        let stats = self.source.stats();
        let mut samples = self.samples();
        if samples.len() == KEPT {
            samples.pop_front();
        }
        samples.push_back((self.start.elapsed(), stats));
    }

    fn samples(&self) -> MutexGuard<'_, VecDeque<(Duration, Stats)>> {
        self.samples.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the samples, the oldest first. Each is an array; `fields` names its numbers, of which all but `live` and
    /// `waiting` only grow.
    pub(super) fn json(&self) -> String {
        let samples = self.samples().clone();
        let mut out = String::with_capacity(256 + 64 * samples.len());
        // Writing to a string cannot fail.
        let _ = write!(
            out,
            "{{\"version\":\"{}\",\"workers\":{},\"ready\":{},\"fields\":[\"time_s\",\"live\",\"waiting\",\"accepted\",\
             \"refused\",\"messages\",\"bytes_in\",\"bytes_out\"],\"samples\":[",
            env!("CARGO_PKG_VERSION"),
            self.source.workers,
            self.source.is_ready(),
        );
        for (position, (time, stats)) in samples.iter().enumerate() {
            let Stats { live, waiting, accepted, refused, messages, bytes_in, bytes_out, .. } = stats;
            let comma = if position == 0 { "" } else { "," };
            let _ = write!(
                out,
                "{comma}\n[{:.3},{live},{waiting},{accepted},{refused},{messages},{bytes_in},{bytes_out}]",
                time.as_secs_f64(),
            );
        }
        out.push_str("\n]}\n");
        out
    }
}

/// Returns when to sample after the sample that was due at `last`.
///
/// After a pause of the machine, the missed samples are left out. The next one is not at once either: two samples within
/// a moment make rates that mean nothing.
fn following(last: Instant, now: Instant) -> Instant {
    let next = last + INTERVAL;
    if next < now + INTERVAL / 2 { now + INTERVAL } else { next }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_keep_their_beat_and_never_follow_each_other_within_half_a_second() {
        let last = Instant::now();
        for (late, wait) in
            [(0, 1000), (1, 999), (500, 500), (501, 1000), (999, 1000), (1000, 1000), (60_000, 1000)]
        {
            let now = last + Duration::from_millis(late);
            assert_eq!(following(last, now) - now, Duration::from_millis(wait), "{late} ms late");
        }
    }
}
