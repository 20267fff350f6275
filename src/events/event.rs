//! The events and the reasons in them, with the words they are logged in.

use std::net::SocketAddr;
use std::time::Duration;
use std::{fmt, io};

use super::{Excerpt, Payload, Stats, UdpStats};
use crate::Client;

/// Something that happened in a running server.
///
/// [`Display`](fmt::Display) gives the line that is logged.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event {
    /// A worker took the client up.
    Connected {
        /// Who.
        client: Client,
    },
    /// A message arrived. These are sampled: see [`LogMessages`](crate::LogMessages).
    Message {
        /// Who sent it.
        client: Client,
        /// How it begins.
        excerpt: Excerpt,
    },
    /// A datagram arrived. These are sampled as messages are. Events hold 4 MiB of datagrams in all: while
    /// whoever keeps them keeps that much, no more are told.
    Datagram {
        /// Who sent it, in canonical form.
        peer: SocketAddr,
        /// What it carried.
        payload: Payload,
    },
    /// A session ended. If its client sent nothing and left at once, as health probes do, this and its
    /// [`Event::Connected`] are logged at level debug.
    Disconnected {
        /// Who.
        client: Client,
        /// Why.
        reason: CloseReason,
        /// Messages handed to the handler.
        messages: u64,
        /// Bytes received.
        bytes_in: u64,
        /// Bytes sent.
        bytes_out: u64,
        /// From the start of the session on a worker to its end.
        duration: Duration,
    },
    /// A client was turned away without a session.
    Refused {
        /// Who.
        client: Client,
        /// Why.
        reason: RefuseReason,
    },
    /// A handler panicked. Its session ends; a [`Event::Disconnected`] follows.
    Panicked {
        /// Whose handler.
        client: Client,
        /// How the panic's message begins.
        message: Excerpt,
    },
    /// The configuration can need more than the system allows.
    LimitTooLow {
        /// The setting, or settings.
        what: &'static str,
        /// What they can need.
        needs: u64,
        /// What there is.
        limit: u64,
        /// Of what.
        name: &'static str,
    },
    /// An address of a name to listen on does not exist on this machine; the name's other addresses do.
    AddressSkipped {
        /// The address.
        address: SocketAddr,
        /// The cause.
        cause: io::ErrorKind,
    },
    /// Accepting fails and is retried with growing pauses. Told once until it works again.
    AcceptFailing {
        /// The listener.
        address: SocketAddr,
        /// The cause, in the system's words.
        cause: String,
    },
    /// Accepting works again.
    AcceptRecovered {
        /// The listener.
        address: SocketAddr,
        /// How many attempts had failed.
        failures: u64,
    },
    /// Receiving datagrams fails and is retried with growing pauses. Told once until it works again.
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
    /// So many messages were not sent as [`Event::Message`] or [`Event::Datagram`] since this was last told.
    MessagesNotLogged {
        /// How many.
        messages: u64,
    },
    /// So many other events were lost since this was last told, because nobody took them up in time.
    EventsDropped {
        /// How many.
        events: u64,
    },
    /// The totals so far: every [`stats_interval`](crate::ServerConfig::stats_interval), and at the end.
    Totals {
        /// The totals.
        stats: Stats,
    },
    /// The totals of a [`UdpServer`](crate::UdpServer), told like the others.
    UdpTotals {
        /// The totals.
        stats: UdpStats,
    },
    /// The server stops: nobody is accepted any more.
    Draining {
        /// Sessions that are being ended.
        sessions: usize,
    },
    /// The drain deadline passed.
    CutOff {
        /// Sessions that had not ended and were closed.
        sessions: usize,
    },
}

impl Event {
    /// The client this is about, if it is about one.
    pub(crate) fn client(&self) -> Option<&Client> {
        match self {
            Self::Connected { client }
            | Self::Message { client, .. }
            | Self::Disconnected { client, .. }
            | Self::Refused { client, .. }
            | Self::Panicked { client, .. } => Some(client),
            _ => None,
        }
    }

    /// The level this is logged at.
    pub(crate) fn level(&self) -> log::Level {
        match self {
            Self::Connected { .. }
            | Self::Message { .. }
            | Self::Datagram { .. }
            | Self::Disconnected { .. }
            | Self::Refused { .. }
            | Self::MessagesNotLogged { .. }
            | Self::Totals { .. }
            | Self::UdpTotals { .. }
            | Self::Draining { .. } => log::Level::Info,
            Self::LimitTooLow { .. }
            | Self::AddressSkipped { .. }
            | Self::AcceptRecovered { .. }
            | Self::ReceiveRecovered { .. }
            | Self::EventsDropped { .. }
            | Self::CutOff { .. } => log::Level::Warn,
            Self::Panicked { .. } | Self::AcceptFailing { .. } | Self::ReceiveFailing { .. } => log::Level::Error,
        }
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connected { client } => write!(f, "{client} connected"),
            Self::Message { client, excerpt } => write!(f, "{client} says {excerpt}"),
            Self::Datagram { peer, payload } => write!(f, "datagram from {peer}: {payload}"),
            Self::Disconnected { client, reason, messages, bytes_in, bytes_out, duration } => write!(
                f,
                "{client} disconnected: {reason}; messages={messages} bytes_in={bytes_in} \
                 bytes_out={bytes_out} duration={duration:.1?}"
            ),
            Self::Refused { client, reason } => write!(f, "{client} refused: {reason}"),
            Self::Panicked { client, message } => write!(f, "{client}: the handler panicked: {message}"),
            Self::LimitTooLow { what, needs, limit, name } => {
                write!(f, "{what} can need {needs}, and the limit is {limit} ({name})")
            }
            Self::AddressSkipped { address, cause } => write!(f, "not listening on {address}: {cause}"),
            Self::AcceptFailing { address, cause } => {
                write!(f, "cannot accept on {address}, retrying with pauses: {cause}")
            }
            Self::AcceptRecovered { address, failures } => {
                write!(f, "accepting on {address} again; failed attempts: {failures}")
            }
            Self::ReceiveFailing { address, cause } => {
                write!(f, "cannot receive on {address}, retrying with pauses: {cause}")
            }
            Self::ReceiveRecovered { address, failures } => {
                write!(f, "receiving on {address} again; failed attempts: {failures}")
            }
            Self::MessagesNotLogged { messages } => write!(f, "messages not logged: {messages}"),
            Self::EventsDropped { events } => write!(f, "events lost because the log is too slow: {events}"),
            Self::Totals { stats } => write!(f, "totals: {stats}"),
            Self::UdpTotals { stats } => write!(f, "totals: {stats}"),
            Self::Draining { sessions } => write!(f, "stopping; sessions to end: {sessions}"),
            Self::CutOff { sessions } => write!(f, "drain deadline passed; sessions cut off: {sessions}"),
        }
    }
}

impl fmt::Display for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "client {} ({})", self.id, self.peer)
    }
}

/// Why a session ended. None of these is an error of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CloseReason {
    /// The client said `bye`.
    Bye,
    /// The client closed its side of the connection, and all it had sent was answered.
    EndOfStream,
    /// The handler asked for it.
    ServiceClosed,
    /// The client was silent for longer than [`idle_timeout`](crate::ServerConfig::idle_timeout).
    IdleTimeout,
    /// The client was silent for longer than [`yield_after`](crate::ServerConfig::yield_after), and another
    /// waited for a worker.
    Yielded,
    /// The session was older than [`max_lifetime`](crate::ServerConfig::max_lifetime).
    Expired,
    /// The client did not take a reply within [`write_timeout`](crate::ServerConfig::write_timeout).
    WriteTimeout,
    /// The client did not read what was pushed to it, and
    /// [`max_outgoing`](crate::ServerConfig::max_outgoing) bytes waited.
    TooSlow,
    /// A line was longer than [`max_line`](crate::ServerConfig::max_line).
    LineTooLong,
    /// The server stopped, and all it had received was answered.
    Shutdown,
    /// The server stopped, and the session had not ended by the drain deadline.
    CutOff,
    /// The connection failed: reset, most often.
    Failed(io::ErrorKind),
    /// The handler returned an error of its own.
    ServiceFailed(io::ErrorKind),
    /// The handler panicked.
    Panicked,
}

impl fmt::Display for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bye => f.write_str("bye"),
            Self::EndOfStream => f.write_str("end of stream"),
            Self::ServiceClosed => f.write_str("closed by the service"),
            Self::IdleTimeout => f.write_str("idle timeout"),
            Self::Yielded => f.write_str("silent, and its worker was needed"),
            Self::Expired => f.write_str("lifetime over"),
            Self::WriteTimeout => f.write_str("write timeout"),
            Self::TooSlow => f.write_str("reads too slowly"),
            Self::LineTooLong => f.write_str("line too long"),
            Self::Shutdown => f.write_str("server shutdown"),
            Self::CutOff => f.write_str("cut off at the drain deadline"),
            Self::Failed(kind) => write!(f, "{kind}"),
            Self::ServiceFailed(kind) => write!(f, "the service failed: {kind}"),
            Self::Panicked => f.write_str("the handler panicked"),
        }
    }
}

/// Why a client was turned away. [`Display`](fmt::Display) gives what the client is told after `busy: `.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RefuseReason {
    /// All workers were taken and the queue was full.
    Full,
    /// No worker came free within [`queue_timeout`](crate::ServerConfig::queue_timeout).
    QueueTimeout,
    /// The peer had [`max_per_ip`](crate::ServerConfig::max_per_ip) connections.
    TooManyFromPeer,
    /// The server was stopping.
    Shutdown,
}

impl fmt::Display for RefuseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full => "all workers are taken and the queue is full",
            Self::QueueTimeout => "no worker came free in time",
            Self::TooManyFromPeer => "too many connections from your address",
            Self::Shutdown => "the server is shutting down",
        })
    }
}
