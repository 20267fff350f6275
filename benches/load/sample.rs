//! What happened in one tenth of a second: for the progress bar, and for the plot of the rate over time.

use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use super::tally::{histogram, record};

/// One event loop's recent past.
#[derive(Debug)]
pub(crate) struct Sample {
    /// The moment that it was taken.
    pub(crate) at: Instant,
    /// How long it covers, measured.
    pub(crate) span: Duration,
    pub(crate) answers: u64,
    /// Response times in ns.
    pub(crate) latencies: Histogram<u64>,
    /// Failures since the beginning.
    pub(crate) failures: u64,
    /// Connections that are open.
    pub(crate) open: usize,
}

impl Sample {
    /// Goes on with the one that followed it.
    pub(crate) fn extend(&mut self, next: &Self) {
        let Self { at, span, answers, latencies, failures, open } = next;
        (self.at, self.failures, self.open) = (*at, *failures, *open);
        self.span += *span;
        self.answers += answers;
        self.latencies.add(latencies).expect("both have the same bounds");
    }

    /// What is left of the last one of an event loop once it is counted.
    pub(crate) fn afterwards(self) -> Self {
        Self { answers: 0, latencies: histogram(2), ..self }
    }
}

/// The sample that is being taken.
#[derive(Debug)]
pub(crate) struct Sampler {
    since: Instant,
    answers: u64,
    latencies: Histogram<u64>,
}

impl Sampler {
    pub(crate) fn new(since: Instant) -> Self {
        Self { since, answers: 0, latencies: histogram(2) }
    }

    pub(crate) fn add(&mut self, response: Duration) {
        self.answers += 1;
        record(&mut self.latencies, response);
    }

    /// Ends it now and begins the next.
    pub(crate) fn take(&mut self, now: Instant, failures: u64, open: usize) -> Sample {
        let Self { since, answers, latencies } = std::mem::replace(self, Self::new(now));
        Sample { at: now, span: now - since, answers, latencies, failures, open }
    }
}
