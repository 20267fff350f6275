//! Counts of a tenth of a second, for the live view and for what is drawn over time.

use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use super::tally::{Counts, histogram, record};

/// The counts of one event loop since its last sample.
#[derive(Debug)]
pub(crate) struct Sample {
    /// When it was taken.
    pub(crate) at: Instant,
    /// The measured time that it covers.
    pub(crate) span: Duration,
    pub(crate) answers: u64,
    /// Response times in nanoseconds.
    pub(crate) latencies: Histogram<u64>,
    /// Failures since the start of the run, by kind.
    pub(crate) failures: Counts,
    /// Open connections.
    pub(crate) open: usize,
}

impl Sample {
    /// Merges the next sample into this one.
    pub(crate) fn append(&mut self, next: &Self) {
        let Self { at, span, answers, latencies, failures, open } = next;
        (self.at, self.failures, self.open) = (*at, *failures, *open);
        self.span += *span;
        self.answers += answers;
        self.latencies.add(latencies).expect("both have the same bounds");
    }

    /// Returns the sample with its totals and without its answers, which have been counted.
    pub(crate) fn without_answers(self) -> Self {
        Self { answers: 0, latencies: histogram(2), ..self }
    }
}

/// Counts for the next sample.
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

    /// Returns the sample that ends now, and begins the next.
    pub(crate) fn take(&mut self, now: Instant, failures: Counts, open: usize) -> Sample {
        let Self { since, answers, latencies } = std::mem::replace(self, Self::new(now));
        Sample { at: now, span: now - since, answers, latencies, failures, open }
    }
}
