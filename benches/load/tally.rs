//! What is counted: answers, bytes, latencies, errors. Each event loop has its own; they are added at the end.

use std::io::{self, ErrorKind};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

/// The longest latency that is told apart from longer ones.
const LONGEST: Duration = Duration::from_secs(120);

/// What can go wrong with a connection. Any of it makes the run fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// Nobody listens.
    Refused,
    /// A connect or an answer took too long.
    TimedOut,
    /// The connection was reset or broken.
    Reset,
    /// The stream ended before the last answer.
    Eof,
    /// The server said `busy`.
    Busy,
    /// A byte was wrong, missing, out of order or too much.
    Mismatch,
    /// What the system refused, such as a descriptor or a port.
    Other,
}

impl Failure {
    /// Every kind, in the order of the table.
    pub(crate) const ALL: [Self; 7] =
        [Self::Refused, Self::TimedOut, Self::Reset, Self::Eof, Self::Busy, Self::Mismatch, Self::Other];

    /// Its name in the table and in JSON.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::TimedOut => "timed_out",
            Self::Reset => "reset",
            Self::Eof => "eof",
            Self::Busy => "busy",
            Self::Mismatch => "mismatch",
            Self::Other => "other",
        }
    }
}

impl From<&io::Error> for Failure {
    fn from(error: &io::Error) -> Self {
        match error.kind() {
            ErrorKind::ConnectionRefused => Self::Refused,
            ErrorKind::TimedOut => Self::TimedOut,
            ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted | ErrorKind::BrokenPipe => Self::Reset,
            _ => Self::Other,
        }
    }
}

/// How often each kind of failure happened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Failures {
    counts: [u64; Failure::ALL.len()],
    /// What the first one was, in words.
    pub(crate) first: Option<String>,
}

impl Failures {
    pub(crate) fn add(&mut self, failure: Failure, what: impl FnOnce() -> String) {
        self.counts[failure as usize] += 1;
        self.first.get_or_insert_with(what);
    }

    pub(crate) fn count(&self, failure: Failure) -> u64 {
        self.counts[failure as usize]
    }

    pub(crate) fn total(&self) -> u64 {
        self.counts.iter().sum()
    }

    fn merge(&mut self, other: Self) {
        for (count, more) in self.counts.iter_mut().zip(other.counts) {
            *count += more;
        }
        self.first = self.first.take().or(other.first);
    }
}

/// The window that is measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window {
    /// Warm-up ends.
    pub(crate) from: Instant,
    /// Nothing is begun any more.
    pub(crate) to: Instant,
}

impl Window {
    pub(crate) fn contains(&self, moment: Instant) -> bool {
        self.from <= moment && moment < self.to
    }
}

/// The counts of a run.
///
/// The rate is that of the answers that came within the window. Service times are those of the requests that
/// began within it, and response times of those that were to begin within it, whenever their answers came: a
/// server that stops answering is not let off.
#[derive(Clone, Debug)]
pub(crate) struct Tally {
    /// Answers within the window.
    pub(crate) answers: u64,
    /// How long the window was: shorter than asked for if no connection was left.
    pub(crate) elapsed: Duration,
    /// Answers in all, warm-up and cool-down included.
    pub(crate) total_answers: u64,
    /// Bytes that were compared and equal, in all.
    pub(crate) verified_bytes: u64,
    /// Requests that were due within the window and had not been sent at its end.
    pub(crate) unsent: u64,
    /// From when a message was sent to when its last byte was back, in ns.
    pub(crate) service: Histogram<u64>,
    /// From when it was to be sent, in ns. What was never sent counts with the time until the window's end.
    pub(crate) response: Histogram<u64>,
    /// From the beginning of a connect to its success, in ns.
    pub(crate) connect: Histogram<u64>,
    /// What went wrong.
    pub(crate) failures: Failures,
    /// Processor time of the event loops, and how long they ran.
    pub(crate) busy: (Duration, Duration),
}

impl Tally {
    pub(crate) fn new() -> Self {
        Self {
            answers: 0,
            elapsed: Duration::ZERO,
            total_answers: 0,
            verified_bytes: 0,
            unsent: 0,
            service: histogram(3),
            response: histogram(3),
            connect: histogram(3),
            failures: Failures::default(),
            busy: (Duration::ZERO, Duration::ZERO),
        }
    }

    /// Adds another event loop's counts.
    pub(crate) fn merge(&mut self, other: Self) {
        self.answers += other.answers;
        self.elapsed = self.elapsed.max(other.elapsed);
        self.total_answers += other.total_answers;
        self.verified_bytes += other.verified_bytes;
        self.unsent += other.unsent;
        let histograms = [
            (&mut self.service, other.service),
            (&mut self.response, other.response),
            (&mut self.connect, other.connect),
        ];
        for (histogram, more) in histograms {
            histogram.add(more).expect("all have the same bounds");
        }
        self.failures.merge(other.failures);
        self.busy = (self.busy.0 + other.busy.0, self.busy.1 + other.busy.1);
    }
}

/// A histogram of nanoseconds, exact to `digits`.
pub(crate) fn histogram(digits: u8) -> Histogram<u64> {
    Histogram::new_with_bounds(1, LONGEST.as_nanos() as u64, digits).expect("constant bounds are valid")
}

/// Records how long something took.
pub(crate) fn record(histogram: &mut Histogram<u64>, latency: Duration) {
    histogram.saturating_record(latency.as_nanos() as u64);
}
