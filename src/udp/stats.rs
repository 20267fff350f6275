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
    pub(crate) panicked: AtomicU64,
    pub(crate) rate_limited: AtomicU64,
    pub(crate) unsent: AtomicU64,
}

impl UdpCounters {
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
            panicked: self.panicked.load(Relaxed),
            rate_limited: self.rate_limited.load(Relaxed),
            unsent: self.unsent.load(Relaxed),
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
    /// Answers sent.
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
    /// Datagrams not answered because the service panicked.
    pub panicked: u64,
    /// Datagrams not answered because their sender had used up its rate.
    pub rate_limited: u64,
    /// Answers that the system did not take. They are not sent again.
    pub unsent: u64,
    /// Events lost because the log was too slow, not counting sampled datagrams.
    pub events_dropped: u64,
    /// Datagrams that the kernel dropped because they arrived faster than they were received. Only Linux tells.
    pub kernel_drops: u64,
}

impl UdpStats {
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
                ("panicked", self.panicked),
            ]
            .into_iter()
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
