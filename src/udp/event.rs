//! The events of the UDP server and the words in which they are logged.

use std::net::SocketAddr;
use std::{fmt, io};

use log::Level;
use log::kv::{Error, Source, VisitSource};

use super::{Payload, UdpStats};
use crate::events::{Excerpt, Fields, Loggable};

/// Something that happened in a running UDP server.
///
/// [`Display`](fmt::Display) gives the line that is logged.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum UdpEvent {
    /// A datagram arrived. These are sampled: see [`LogMessages`](crate::LogMessages). Events hold 4 MiB of datagrams in
    /// all: while subscribers keep that much, no more are reported.
    Datagram {
        /// The sender, in canonical form.
        peer: SocketAddr,
        /// What the datagram carried.
        payload: Payload,
    },
    /// An address of a name to listen on does not exist on this machine; the name's other addresses do.
    AddressSkipped {
        /// The address.
        address: SocketAddr,
        /// The cause.
        cause: io::ErrorKind,
    },
    /// Receiving fails and is retried with growing pauses. Reported once until it works again.
    ReceiveFailing {
        /// The socket.
        address: SocketAddr,
        /// The cause, in the system's words.
        cause: String,
    },
    /// Receiving works again.
    ReceiveRecovered {
        /// The socket.
        address: SocketAddr,
        /// How many attempts had failed.
        failures: u64,
    },
    /// An answer was not sent, because it would have been longer than
    /// [`amplification`](crate::UdpConfig::amplification) allows, or than a datagram. Reported for each socket at
    /// most once a second; [`UdpStats::too_long`] counts all.
    AnswerTooLong {
        /// The sender, in canonical form.
        peer: SocketAddr,
        /// The bytes that the datagram carried.
        question: usize,
        /// The bytes of the answer.
        answer: usize,
        /// The bytes that it may have had.
        longest: usize,
    },
    /// The service panicked. The datagram is not answered.
    Panicked {
        /// The sender, in canonical form.
        peer: SocketAddr,
        /// How the panic's message begins.
        message: Excerpt,
    },
    /// Datagrams were not reported as [`UdpEvent::Datagram`] since this was last reported.
    DatagramsNotLogged {
        /// How many.
        datagrams: u64,
    },
    /// Other events were lost since this was last reported, because the log is too slow.
    EventsDropped {
        /// How many.
        events: u64,
    },
    /// The totals so far: every [`stats_interval`](crate::UdpConfig::stats_interval), and at the end.
    Totals {
        /// The totals.
        stats: UdpStats,
    },
}

impl UdpEvent {
    /// Returns the name of what happened, in snake case: the field `event` of a structured log.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Datagram { .. } => "datagram",
            Self::AddressSkipped { .. } => "address_skipped",
            Self::ReceiveFailing { .. } => "receive_failing",
            Self::ReceiveRecovered { .. } => "receive_recovered",
            Self::AnswerTooLong { .. } => "answer_too_long",
            Self::Panicked { .. } => "panicked",
            Self::DatagramsNotLogged { .. } => "messages_not_logged",
            Self::EventsDropped { .. } => "events_dropped",
            Self::Totals { .. } => "udp_totals",
        }
    }
}

/// The key-values are `event`, and what [`Display`](fmt::Display) shows: `peer`, `bytes` and `text` of a datagram, the
/// totals by their names, and else `text`.
impl Source for UdpEvent {
    fn visit<'kvs>(&'kvs self, visitor: &mut dyn VisitSource<'kvs>) -> Result<(), Error> {
        if let Self::Totals { stats } = self {
            return stats.visit(visitor);
        }
        let mut fields = Fields(visitor);
        fields.add("event", self.name())?;
        match self {
            Self::Datagram { peer, payload } => {
                fields.show("peer", peer)?;
                fields.add("bytes", payload.as_bytes().len() as u64)?;
                fields.show("text", payload.text())
            }
            Self::AnswerTooLong { peer, .. } | Self::Panicked { peer, .. } => {
                fields.show("peer", peer)?;
                fields.show("text", self)
            }
            _ => fields.show("text", self),
        }
    }
}

impl Loggable for UdpEvent {
    type Totals = UdpStats;

    fn level(&self) -> Level {
        match self {
            Self::Datagram { .. } | Self::DatagramsNotLogged { .. } | Self::Totals { .. } => Level::Info,
            Self::AddressSkipped { .. } | Self::ReceiveRecovered { .. } | Self::EventsDropped { .. } => Level::Warn,
            Self::ReceiveFailing { .. } | Self::Panicked { .. } => Level::Error,
            Self::AnswerTooLong { .. } => Level::Debug,
        }
    }

    fn is_sampled(&self) -> bool {
        matches!(self, Self::Datagram { .. })
    }

    fn messages(totals: &UdpStats) -> u64 {
        // They are read one after the other.
        totals.datagrams.saturating_sub(totals.not_allowed)
    }

    fn totals(stats: UdpStats) -> Self {
        Self::Totals { stats }
    }

    fn not_logged(datagrams: u64) -> Self {
        Self::DatagramsNotLogged { datagrams }
    }

    fn dropped(events: u64) -> Self {
        Self::EventsDropped { events }
    }
}

impl fmt::Display for UdpEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Datagram { peer, payload } => write!(f, "datagram from {peer}: {payload}"),
            Self::AddressSkipped { address, cause } => write!(f, "not listening on {address}: {cause}"),
            Self::ReceiveFailing { address, cause } => {
                write!(f, "cannot receive on {address}, retrying with pauses: {cause}")
            }
            Self::ReceiveRecovered { address, failures } => {
                write!(f, "receiving on {address} again; failed attempts: {failures}")
            }
            Self::AnswerTooLong { peer, question, answer, longest } => write!(
                f,
                "no answer to {peer}: it has {answer} bytes, and {longest} are allowed for a datagram of {question} \
                 bytes"
            ),
            Self::Panicked { peer, message } => write!(f, "datagram from {peer}: the service panicked: {message}"),
            Self::DatagramsNotLogged { datagrams } => write!(f, "messages not logged: {datagrams}"),
            Self::EventsDropped { events } => write!(f, "events lost because the log is too slow: {events}"),
            Self::Totals { stats } => write!(f, "totals: {stats}"),
        }
    }
}
