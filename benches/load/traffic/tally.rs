//! The counts of a run: answers, bytes, latencies and failures. Each event loop counts for itself; the counts are
//! merged at the end.

use std::io::{self, ErrorKind};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use super::datagrams::Datagrams;
use super::faults::{Faults, Sessions};
use super::load::Load;

/// The longest latency that a histogram records; longer ones count as this.
const LONGEST: Duration = Duration::from_secs(120);

/// What can go wrong with a connection. Each failure makes the run fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The connect was refused.
    Refused,
    /// A connect or an answer took too long.
    TimedOut,
    /// The connection was reset or broken.
    Reset,
    /// The stream ended before the last answer.
    Eof,
    /// The server sent a line that begins with `busy`.
    Busy,
    /// A byte was wrong, missing, out of order or surplus.
    Mismatch,
    /// Another error of the operating system, such as a lack of descriptors or ports.
    Other,
}

impl Failure {
    /// All kinds, in the order of the result table.
    pub(crate) const ALL: [Self; 7] =
        [Self::Refused, Self::TimedOut, Self::Reset, Self::Eof, Self::Busy, Self::Mismatch, Self::Other];

    /// Returns its name in the result table and in JSON.
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

/// Number of the kinds of errors: those of failures, and those of the faults of datagrams. A datagram without an answer
/// counts as one of them while a run lasts; at its end it is known whether it was lost or only late.
const KINDS: usize = Failure::ALL.len() + DATAGRAMS.len();

const DATAGRAMS: [&str; 5] = ["unanswered", "duplicate", "reordered", "corrupt", "unexpected"];

/// A count for each kind of error.
pub(crate) type Counts = [u64; KINDS];

/// Returns the name of each kind of error.
pub(crate) fn kinds() -> [&'static str; KINDS] {
    let failures = Failure::ALL.map(Failure::name).into_iter();
    let mut names = failures.chain(DATAGRAMS);
    std::array::from_fn(|_| names.next().unwrap_or_default())
}

/// Lists the kinds of errors that there were, such as `2 reset, 1 eof`.
pub(crate) fn list(counts: &Counts) -> String {
    let there_were = kinds().into_iter().zip(counts).filter(|(_, count)| **count > 0);
    there_were.map(|(kind, count)| format!("{count} {kind}")).collect::<Vec<_>>().join(", ")
}

/// How often each kind of failure happened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Failures {
    counts: [u64; Failure::ALL.len()],
    /// Description of the first failure.
    pub(crate) first: Option<String>,
}

impl Failures {
    pub(crate) fn add(&mut self, failure: Failure, what: impl FnOnce() -> String) {
        self.add_many(failure, 1);
        self.first.get_or_insert_with(what);
    }

    pub(crate) fn add_many(&mut self, failure: Failure, count: u64) {
        self.counts[failure as usize] += count;
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

/// The measured window.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window {
    /// When the warm-up ends.
    pub(crate) from: Instant,
    /// From here on no request begins.
    pub(crate) to: Instant,
}

impl Window {
    pub(crate) fn contains(&self, moment: Instant) -> bool {
        self.from <= moment && moment < self.to
    }
}

/// The counts of a run.
///
/// The rate counts the answers that arrived within the window. Service times are those of requests that began within
/// it, response times those of requests that were due within it, whenever their answers arrived: a server that stops
/// answering gets no better numbers for that.
#[derive(Clone, Debug)]
pub(crate) struct Tally {
    /// Answers within the window.
    pub(crate) answers: u64,
    /// Measured length of the window: shorter than requested if no connection was left.
    pub(crate) elapsed: Duration,
    /// All answers, including those of the warm-up and of the cool-down.
    pub(crate) total_answers: u64,
    /// All bytes that were compared and equal.
    pub(crate) verified_bytes: u64,
    /// Requests that were due within the window. Zero in a closed loop.
    pub(crate) due: u64,
    /// Those of them that had not been sent at its end.
    pub(crate) unsent: u64,
    /// Those of them that had been sent and not answered at its end, with the time since each was due, in nanoseconds.
    pub(crate) unanswered: Histogram<u64>,
    /// The response times of those of them that had been answered at its end, in nanoseconds.
    pub(crate) answered: Histogram<u64>,
    /// Time from when a message was sent until its last byte was back, in nanoseconds.
    pub(crate) service: Histogram<u64>,
    /// Time from when a message was due until its last byte was back, in nanoseconds. A message that was never sent
    /// counts with the time until the end of the window.
    pub(crate) response: Histogram<u64>,
    /// Time from the beginning of a connect until its success, in nanoseconds.
    pub(crate) connect: Histogram<u64>,
    /// The failures of measured connections.
    pub(crate) failures: Failures,
    /// Sessions that the server ended, if clients connect again.
    pub(crate) sessions: Sessions,
    /// Wrong bytes that are not failures because they were expected.
    pub(crate) faults: Faults,
    /// What became of datagrams.
    pub(crate) datagrams: Datagrams,
    /// Processor time of the event loops, and the time that they ran.
    pub(crate) busy: (Duration, Duration),
}

impl Tally {
    pub(crate) fn new() -> Self {
        Self {
            answers: 0,
            elapsed: Duration::ZERO,
            total_answers: 0,
            verified_bytes: 0,
            due: 0,
            unsent: 0,
            unanswered: histogram(3),
            answered: histogram(3),
            service: histogram(3),
            response: histogram(3),
            connect: histogram(3),
            failures: Failures::default(),
            sessions: Sessions::default(),
            faults: Faults::default(),
            datagrams: Datagrams::default(),
            busy: (Duration::ZERO, Duration::ZERO),
        }
    }

    /// Returns the number of all failures, and of the faults of datagrams unless they are expected.
    pub(crate) fn errors(&self, load: &Load) -> u64 {
        let datagrams = if load.expect_faults { 0 } else { self.datagrams.faults().iter().sum() };
        self.failures.total() + datagrams
    }

    /// Returns the same by kind.
    pub(crate) fn counts(&self, load: &Load) -> Counts {
        let mut counts = Counts::default();
        counts[..Failure::ALL.len()].copy_from_slice(&self.failures.counts);
        if !load.expect_faults {
            counts[Failure::ALL.len()..].copy_from_slice(&self.datagrams.faults());
        }
        counts
    }

    /// Adds the counts of another event loop.
    pub(crate) fn merge(&mut self, other: Self) {
        self.answers += other.answers;
        self.elapsed = self.elapsed.max(other.elapsed);
        self.total_answers += other.total_answers;
        self.verified_bytes += other.verified_bytes;
        self.due += other.due;
        self.unsent += other.unsent;
        let histograms = [
            (&mut self.unanswered, other.unanswered),
            (&mut self.answered, other.answered),
            (&mut self.service, other.service),
            (&mut self.response, other.response),
            (&mut self.connect, other.connect),
        ];
        for (histogram, more) in histograms {
            histogram.add(more).expect("all have the same bounds");
        }
        self.failures.merge(other.failures);
        self.sessions.merge(other.sessions);
        self.faults.merge(other.faults);
        self.datagrams.merge(other.datagrams);
        self.busy = (self.busy.0 + other.busy.0, self.busy.1 + other.busy.1);
    }
}

/// Returns an empty histogram of nanoseconds with `digits` significant digits.
pub(crate) fn histogram(digits: u8) -> Histogram<u64> {
    Histogram::new_with_bounds(1, LONGEST.as_nanos() as u64, digits).expect("constant bounds are valid")
}

/// Records a latency.
pub(crate) fn record(histogram: &mut Histogram<u64>, latency: Duration) {
    record_many(histogram, latency, 1);
}

/// Records the same latency `count` times.
pub(crate) fn record_many(histogram: &mut Histogram<u64>, latency: Duration, count: u64) {
    histogram.saturating_record_n(latency.as_nanos() as u64, count);
}
