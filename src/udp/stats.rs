//! Counters of datagrams and answers.

use std::fmt;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering::Acquire, Ordering::Relaxed};

use log::kv::{Error, Source, VisitSource};

use crate::events::{Fields, write_totals};
use crate::net::kernel_drops::kernel_drops;

/// The counters of the receivers.
#[derive(Debug, Default)]
pub(crate) struct UdpCounters {
    pub(crate) datagrams: AtomicU64,
    pub(crate) bytes_in: AtomicU64,
    pub(crate) answers: AtomicU64,
    pub(crate) bytes_out: AtomicU64,
    pub(crate) withheld: AtomicU64,
    pub(crate) not_allowed: AtomicU64,
    pub(crate) too_long: AtomicU64,
    pub(crate) declined: AtomicU64,
    pub(crate) panicked: AtomicU64,
    pub(crate) rate_limited: AtomicU64,
    pub(crate) unsent: AtomicU64,
    pub(crate) overflowed: AtomicU64,
    pub(crate) discarded: AtomicU64,
    pub(crate) faults_by: [AtomicU64; FaultKind::COUNT],
}

/// The kinds of faults on purpose that are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FaultKind {
    /// Answers that waited for their delay.
    Delayed,
    /// Bytes that were changed.
    Corrupted,
    /// Answers that were not sent.
    Lost,
    /// Answers that were sent twice.
    Duplicated,
    /// Answers that were held back.
    Reordered,
}

impl FaultKind {
    /// How many kinds there are.
    pub(crate) const COUNT: usize = 5;

    /// The names of all kinds: see [`UdpStats::faults_by_kind`].
    const LABELS: [&str; Self::COUNT] = ["delayed", "corrupted", "lost", "duplicated", "reordered"];

    /// The names of numbers by kind in the line of totals.
    const FIELDS: [&str; Self::COUNT] =
        ["faults_delayed", "faults_corrupted", "faults_lost", "faults_duplicated", "faults_reordered"];
}

impl UdpCounters {
    /// Counts an answer that was sent, or that the system did not take.
    pub(crate) fn add_answer(&self, bytes: usize, is_sent: bool) {
        if is_sent {
            self.answers.fetch_add(1, Relaxed);
            self.bytes_out.fetch_add(bytes as u64, Relaxed);
        } else {
            self.unsent.fetch_add(1, Relaxed);
        }
    }

    pub(crate) fn add_faults(&self, kind: FaultKind, count: u64) {
        self.faults_by[kind as usize].fetch_add(count, Relaxed);
    }

    /// Returns the totals of the server that listens on `addresses`.
    pub(crate) fn totals(&self, events_dropped: u64, addresses: &[SocketAddr]) -> UdpStats {
        UdpStats {
            datagrams: self.datagrams.load(Acquire),
            bytes_in: self.bytes_in.load(Relaxed),
            answers: self.answers.load(Relaxed),
            bytes_out: self.bytes_out.load(Relaxed),
            withheld: self.withheld.load(Relaxed),
            not_allowed: self.not_allowed.load(Relaxed),
            too_long: self.too_long.load(Relaxed),
            declined: self.declined.load(Relaxed),
            panicked: self.panicked.load(Relaxed),
            rate_limited: self.rate_limited.load(Relaxed),
            unsent: self.unsent.load(Relaxed),
            overflowed: self.overflowed.load(Relaxed),
            discarded: self.discarded.load(Relaxed),
            faults_by: self.faults_by.each_ref().map(|count| count.load(Relaxed)),
            events_dropped,
            kernel_drops: kernel_drops(addresses),
        }
    }
}

/// A UDP server's totals at one moment. [`Display`](fmt::Display) gives the line that is logged at the end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct UdpStats {
    /// Datagrams received.
    pub datagrams: u64,
    /// Bytes they carried.
    pub bytes_in: u64,
    /// Answers sent, the copies that faults on purpose add included.
    pub answers: u64,
    /// Bytes they carried.
    pub bytes_out: u64,
    /// Datagrams not answered because of the address or port that they came from, or because the answer would have been
    /// too long.
    pub withheld: u64,
    /// Datagrams among [`withheld`](Self::withheld) that [`allow`](crate::UdpConfig::allow) or
    /// [`deny`](crate::UdpConfig::deny) kept out. They are not logged.
    pub not_allowed: u64,
    /// Datagrams among [`withheld`](Self::withheld) whose answer would have been longer than
    /// [`amplification`](crate::UdpConfig::amplification) allows, or than a datagram.
    pub too_long: u64,
    /// Datagrams not answered because the service declined
    /// ([`UdpServer::answer_with`](crate::UdpServer::answer_with)).
    pub declined: u64,
    /// Datagrams not answered because the service panicked.
    pub panicked: u64,
    /// Datagrams not answered because their sender had used up its rate.
    pub rate_limited: u64,
    /// Answers that the system did not take. They are not sent again.
    pub unsent: u64,
    /// Answers lost because too many waited for faults on purpose: 4,096, or 4 MiB, for each socket.
    pub overflowed: u64,
    /// Answers that waited for faults on purpose when the server stopped. They are not sent.
    pub discarded: u64,
    /// Faults on purpose: see [`faults_by_kind`](Self::faults_by_kind).
    pub(crate) faults_by: [u64; FaultKind::COUNT],
    /// Events lost because the log was too slow, not counting sampled datagrams.
    pub events_dropped: u64,
    /// Datagrams that the kernel dropped because they arrived faster than they were received. Only Linux tells.
    pub kernel_drops: u64,
}

impl UdpStats {
    /// Returns how many faults there were on purpose ([`DatagramFaults`](crate::DatagramFaults)), of each kind: `delayed`,
    /// `lost`, `duplicated` and `reordered` count answers, and `corrupted` counts bytes. A lost answer has no other fault.
    pub fn faults_by_kind(&self) -> impl Iterator<Item = (&'static str, u64)> {
        FaultKind::LABELS.into_iter().zip(self.faults_by)
    }

    /// Returns the names and numbers of the line of totals.
    fn totals(&self) -> impl Iterator<Item = (&'static str, u64)> {
        [
            ("datagrams", self.datagrams),
            ("bytes_in", self.bytes_in),
            ("answers", self.answers),
            ("bytes_out", self.bytes_out),
            ("withheld", self.withheld),
            ("rate_limited", self.rate_limited),
            ("unsent", self.unsent),
            ("events_dropped", self.events_dropped),
            ("kernel_drops", self.kernel_drops),
        ]
        .into_iter()
        .chain(
            [
                ("withheld_not_allowed", self.not_allowed),
                ("withheld_too_long", self.too_long),
                ("declined", self.declined),
                ("panicked", self.panicked),
                ("overflowed", self.overflowed),
                ("discarded", self.discarded),
            ]
            .into_iter()
            .chain(FaultKind::FIELDS.into_iter().zip(self.faults_by))
            .filter(|(_, total)| *total > 0),
        )
    }
}

/// The key-values are `event`, which is `udp_totals`, and the totals by the names that [`Display`](fmt::Display) shows.
impl Source for UdpStats {
    fn visit<'kvs>(&'kvs self, visitor: &mut dyn VisitSource<'kvs>) -> Result<(), Error> {
        let mut fields = Fields(visitor);
        fields.add("event", "udp_totals")?;
        self.totals().try_for_each(|(name, total)| fields.add(name, total))
    }
}

impl fmt::Display for UdpStats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_totals(f, self.totals())
    }
}
