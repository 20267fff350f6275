//! Counters: exact, whatever the log leaves out.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering::Acquire, Ordering::Relaxed, Ordering::Release};

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
    /// Clients waiting for a worker.
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
}

impl fmt::Display for Stats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "accepted={} refused={} waiting={} live={} finished={} silent={} panicked={} messages={} bytes_in={} \
             bytes_out={} events_dropped={}",
            self.accepted,
            self.refused,
            self.waiting,
            self.live,
            self.finished,
            self.silent,
            self.panicked,
            self.messages,
            self.bytes_in,
            self.bytes_out,
            self.events_dropped
        )
    }
}
