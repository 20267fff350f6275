//! Counters: exact, whatever the log leaves out.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering::Acquire, Ordering::Relaxed, Ordering::Release};
use std::time::Duration;

use super::{CloseReason, FaultKind, RefuseReason};

/// The counters of one session. Each has one thread that writes it: the worker, or for sent bytes the writer if there
/// is one. So an increment is a load and a store and not a locked instruction. Any thread may read.
#[derive(Debug, Default)]
pub(crate) struct SessionCounters {
    messages: AtomicU64,
    bytes_in: AtomicU64,
    bytes_out: AtomicU64,
}

impl SessionCounters {
    /// Counts a message. A thread that sees it in [`add_to`](Self::add_to) also sees what the worker did before.
    pub(crate) fn add_message(&self) {
        self.messages.store(self.messages.load(Relaxed) + 1, Release);
    }

    pub(crate) fn add_in(&self, bytes: usize) {
        Self::add(&self.bytes_in, bytes);
    }

    pub(crate) fn add_out(&self, bytes: usize) {
        Self::add(&self.bytes_out, bytes);
    }

    fn add(counter: &AtomicU64, count: usize) {
        counter.store(counter.load(Relaxed) + count as u64, Relaxed);
    }

    /// Adds them to the totals.
    pub(crate) fn add_to(&self, stats: &mut Stats) {
        stats.messages += self.messages.load(Acquire);
        stats.bytes_in += self.bytes_in.load(Relaxed);
        stats.bytes_out += self.bytes_out.load(Relaxed);
    }

    /// Returns them as the totals of one session.
    pub(crate) fn totals(&self) -> Stats {
        let mut stats = Stats::default();
        self.add_to(&mut stats);
        stats
    }
}

/// A server's totals at one moment. [`Display`](fmt::Display) gives the line that
/// [`stats_interval`](crate::ServerConfig::stats_interval) logs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Connections accepted since the start: refused, waiting, live and finished ones.
    pub accepted: u64,
    /// Clients refused.
    pub refused: u64,
    /// Clients waiting for a worker, and connections whose PROXY header is awaited.
    pub waiting: usize,
    /// Sessions on a worker.
    pub live: usize,
    /// Sessions that ended.
    pub finished: u64,
    /// Sessions that ended without a byte from their client.
    pub silent: u64,
    /// Sessions that ended because their handler panicked.
    pub panicked: u64,
    /// Messages handed to handlers.
    pub messages: u64,
    /// Bytes received.
    pub bytes_in: u64,
    /// Bytes sent.
    pub bytes_out: u64,
    /// Events lost because the log was too slow, not counting sampled messages.
    pub events_dropped: u64,
    /// How long the clients of all sessions waited for their worker, and behind a proxy for its header.
    pub queue_wait: QueueWait,
    pub(crate) refused_by: [u64; RefuseReason::COUNT],
    pub(crate) finished_by: [u64; CloseReason::COUNT],
    pub(crate) faults_by: [u64; FaultKind::COUNT],
}

impl Stats {
    /// Returns how many clients were refused for each reason, named by [`RefuseReason::label`]. The sum is
    /// [`refused`](Self::refused).
    pub fn refused_by_reason(&self) -> impl Iterator<Item = (&'static str, u64)> {
        RefuseReason::LABELS.into_iter().zip(self.refused_by)
    }

    /// Returns how many sessions ended for each reason, named by [`CloseReason::label`]. The sum is
    /// [`finished`](Self::finished).
    pub fn finished_by_reason(&self) -> impl Iterator<Item = (&'static str, u64)> {
        CloseReason::labels().iter().copied().zip(self.finished_by)
    }

    /// Returns how many faults there were on purpose ([`Faults`](crate::Faults)), of each kind: `delayed` and `paced`
    /// count answers, `corrupted` and `dropped` bytes, `closed` and `reset` sessions.
    pub fn faults_by_kind(&self) -> impl Iterator<Item = (&'static str, u64)> {
        FaultKind::LABELS.into_iter().zip(self.faults_by)
    }
}

/// How long clients waited for a worker: a histogram.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct QueueWait {
    /// The sum of all waits.
    pub sum: Duration,
    /// How many clients waited for at most the bound at the same position in [`BOUNDS`](Self::BOUNDS), and longer than the
    /// bound before it. The last number counts those that waited longer than every bound.
    pub counts: [u64; Self::BOUNDS.len() + 1],
}

impl QueueWait {
    /// The bounds, in milliseconds.
    pub const BOUNDS: [u64; 9] = [1, 5, 10, 50, 100, 500, 1000, 5000, 10_000];

    pub(crate) fn add(&mut self, wait: Duration) {
        self.sum += wait;
        let position = Self::BOUNDS.iter().position(|bound| wait <= Duration::from_millis(*bound));
        self.counts[position.unwrap_or(Self::BOUNDS.len())] += 1;
    }
}

impl Stats {
    /// Returns the names and numbers of the line of totals. Those by reason and kind are left out where they are 0.
    pub(super) fn totals(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let refused = RefuseReason::FIELDS.into_iter().zip(self.refused_by);
        let finished = CloseReason::FIELDS.into_iter().zip(self.finished_by);
        let faults = FaultKind::FIELDS.into_iter().zip(self.faults_by);
        [
            ("accepted", self.accepted),
            ("refused", self.refused),
            ("waiting", self.waiting as u64),
            ("live", self.live as u64),
            ("finished", self.finished),
            ("silent", self.silent),
            ("panicked", self.panicked),
            ("messages", self.messages),
            ("bytes_in", self.bytes_in),
            ("bytes_out", self.bytes_out),
            ("events_dropped", self.events_dropped),
        ]
        .into_iter()
        .chain(refused.chain(finished).chain(faults).filter(|(_, count)| *count > 0))
    }
}

impl fmt::Display for Stats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_totals(f, self.totals())
    }
}

/// Writes names and numbers as a line of totals shows them.
pub(crate) fn write_totals(
    f: &mut fmt::Formatter<'_>,
    totals: impl Iterator<Item = (&'static str, u64)>,
) -> fmt::Result {
    totals
        .enumerate()
        .try_for_each(|(index, (name, total))| write!(f, "{}{name}={total}", if index == 0 { "" } else { " " }))
}
