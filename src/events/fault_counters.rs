//! The counters of faults on purpose.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::{CloseReason, Stats};

/// The kinds of faults that are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FaultKind {
    /// Answers that waited for their delay.
    Delayed,
    /// Answers that waited for the byte rate.
    Paced,
    /// Bytes that were changed.
    Corrupted,
    /// Bytes that were left out.
    Dropped,
    /// Sessions that were closed.
    Closed,
    /// Sessions whose connection was reset.
    Reset,
}

impl FaultKind {
    /// Returns the fault that a session ends with, if its end is one.
    pub(crate) fn of(reason: CloseReason) -> Option<Self> {
        match reason {
            CloseReason::FaultClose => Some(Self::Closed),
            CloseReason::FaultReset => Some(Self::Reset),
            _ => None,
        }
    }

    /// How many kinds there are.
    pub(crate) const COUNT: usize = 6;

    /// The names of all kinds in numbers by kind: see [`Stats::faults_by_kind`].
    pub(crate) const LABELS: [&str; Self::COUNT] = ["delayed", "paced", "corrupted", "dropped", "closed", "reset"];

    /// The names of numbers by kind among the fields of [`Stats`].
    pub(crate) const FIELDS: [&str; Self::COUNT] =
        ["faults_delayed", "faults_paced", "faults_corrupted", "faults_dropped", "faults_closed", "faults_reset"];
}

/// The faults of one session, by kind. Its worker counts; any thread may read.
#[derive(Debug, Default)]
pub(crate) struct FaultCounters([AtomicU64; FaultKind::COUNT]);

impl FaultCounters {
    pub(crate) fn add(&self, kind: FaultKind, count: u64) {
        self.0[kind as usize].fetch_add(count, Relaxed);
    }

    /// Returns how many faults there were, of any kind.
    pub(crate) fn sum(&self) -> u64 {
        self.0.iter().map(|count| count.load(Relaxed)).sum()
    }

    /// Adds them to the totals.
    pub(crate) fn add_to(&self, stats: &mut Stats) {
        for (total, count) in stats.faults_by.iter_mut().zip(&self.0) {
            *total += count.load(Relaxed);
        }
    }
}
