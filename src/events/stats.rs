//! Counters: exact, whatever the log leaves out.

use std::fmt;
use std::ops::AddAssign;
use std::sync::atomic::{AtomicU64, Ordering::Acquire, Ordering::Relaxed, Ordering::Release};

use super::Event;

/// What the logging thread asks of a server's totals.
pub(crate) trait Reckoning {
    /// Messages so far, whether they were logged or not. Those that are to be logged are in the channel, or were, when
    /// they count.
    fn messages(&self) -> u64;

    /// The event that tells the totals.
    fn told(self) -> Event;
}

/// One session's counters. Only its worker writes them, or for what is sent its writer if it has one, so an
/// increment is a load and a store, not a locked instruction; anyone may read.
#[derive(Debug, Default)]
pub(crate) struct SessionCounters {
    messages: AtomicU64,
    bytes_in: AtomicU64,
    bytes_out: AtomicU64,
}

impl SessionCounters {
    /// Counts a message. Who sees that, in [`totals`](Self::totals), sees what its worker did before.
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

    pub(crate) fn totals(&self) -> Totals {
        Totals {
            messages: self.messages.load(Acquire),
            bytes_in: self.bytes_in.load(Relaxed),
            bytes_out: self.bytes_out.load(Relaxed),
        }
    }
}

/// Sums over sessions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    pub(crate) messages: u64,
    pub(crate) bytes_in: u64,
    pub(crate) bytes_out: u64,
}

impl AddAssign for Totals {
    fn add_assign(&mut self, other: Self) {
        self.messages += other.messages;
        self.bytes_in += other.bytes_in;
        self.bytes_out += other.bytes_out;
    }
}

/// A server's totals at one moment. [`Display`](fmt::Display) gives the line that
/// [`stats_interval`](crate::ServerConfig::stats_interval) logs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Connections accepted since the start: refused, waiting, live and finished ones.
    pub accepted: u64,
    /// Clients turned away.
    pub refused: u64,
    /// Clients waiting for a worker.
    pub waiting: usize,
    /// Sessions on a worker.
    pub live: usize,
    /// Sessions that ended.
    pub finished: u64,
    /// Sessions that ended and whose client had sent nothing.
    pub silent: u64,
    /// Sessions that ended because their handler panicked.
    pub panicked: u64,
    /// Messages handed to handlers.
    pub messages: u64,
    /// Bytes received.
    pub bytes_in: u64,
    /// Bytes sent.
    pub bytes_out: u64,
    /// Events lost because the log was too slow, sampled messages not counted.
    pub events_dropped: u64,
}

impl Reckoning for Stats {
    fn messages(&self) -> u64 {
        self.messages
    }

    fn told(self) -> Event {
        Event::Totals { stats: self }
    }
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
