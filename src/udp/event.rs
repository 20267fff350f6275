//! The events of the UDP server and the words in which they are logged.

use std::net::SocketAddr;
use std::{fmt, io};

use log::Level;

use super::{Payload, UdpStats};
use crate::events::Loggable;

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

impl Loggable for UdpEvent {
    type Totals = UdpStats;

    fn level(&self) -> Level {
        match self {
            Self::Datagram { .. } | Self::DatagramsNotLogged { .. } | Self::Totals { .. } => Level::Info,
            Self::AddressSkipped { .. } | Self::ReceiveRecovered { .. } | Self::EventsDropped { .. } => Level::Warn,
            Self::ReceiveFailing { .. } => Level::Error,
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
            Self::DatagramsNotLogged { datagrams } => write!(f, "messages not logged: {datagrams}"),
            Self::EventsDropped { events } => write!(f, "events lost because the log is too slow: {events}"),
            Self::Totals { stats } => write!(f, "totals: {stats}"),
        }
    }
}
