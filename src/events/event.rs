//! The events of the TCP server and the words in which they are logged.

use std::net::SocketAddr;
use std::time::Duration;
use std::{fmt, io};

use log::Level;

use super::{CloseReason, Excerpt, Loggable, Stats};
use crate::client::{Client, ListenAddress};
use crate::text::Escaped;

/// Something that happened in a running server.
///
/// [`Display`](fmt::Display) gives the line that is logged.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event {
    /// A worker began to serve a client.
    Connected {
        /// The client.
        client: Client,
        /// How long it waited for a worker.
        waited: Duration,
    },
    /// A message arrived. These are sampled: see [`LogMessages`](crate::LogMessages).
    Message {
        /// The client that sent it.
        client: Client,
        /// How it begins.
        excerpt: Excerpt,
    },
    /// A session ended. If its client sent nothing and left at once, as health probes do, this and its
    /// [`Event::Connected`] are logged at level debug.
    Disconnected {
        /// The client.
        client: Client,
        /// The reason.
        reason: CloseReason,
        /// Messages handed to the handler.
        messages: u64,
        /// Bytes received.
        bytes_in: u64,
        /// Bytes sent.
        bytes_out: u64,
        /// From the start of the session on a worker to its end.
        duration: Duration,
        /// Faults on purpose: the sum of those that [`Stats::faults_by_kind`] counts.
        faults: u64,
    },
    /// A client was refused: it got no session.
    Refused {
        /// The client.
        client: Client,
        /// The reason.
        reason: RefuseReason,
    },
    /// A handler returned an error of its own. Its session ends; an [`Event::Disconnected`] follows.
    HandlerFailed {
        /// The client of the handler.
        client: Client,
        /// The text of the error, as the handler gave it: nothing is escaped, and up to a kilobyte is kept.
        error: String,
    },
    /// A handler panicked. Its session ends; an [`Event::Disconnected`] follows.
    Panicked {
        /// The client of the handler.
        client: Client,
        /// How the panic's message begins.
        message: Excerpt,
    },
    /// The configuration can need more than the system allows.
    LimitTooLow {
        /// The fields of the configuration that need it.
        what: &'static str,
        /// What they can need.
        needs: u64,
        /// What the system allows.
        limit: u64,
        /// The name of the system's limit.
        name: &'static str,
    },
    /// An address of a name to listen on does not exist on this machine; the name's other addresses do.
    AddressSkipped {
        /// The address.
        address: SocketAddr,
        /// The cause.
        cause: io::ErrorKind,
    },
    /// Accepting fails and is retried with growing pauses. Reported once until it works again.
    AcceptFailing {
        /// The listener.
        address: ListenAddress,
        /// The cause, in the system's words.
        cause: String,
    },
    /// Accepting works again.
    AcceptRecovered {
        /// The listener.
        address: ListenAddress,
        /// How many attempts had failed.
        failures: u64,
    },
    /// Messages were not reported as [`Event::Message`] since this was last reported.
    MessagesNotLogged {
        /// How many.
        messages: u64,
    },
    /// Clients that connected, disconnected or were refused were not logged since this was last reported, because of
    /// [`log_sessions`](crate::ServerConfig::log_sessions).
    SessionsNotLogged {
        /// How many lines.
        lines: u64,
    },
    /// Other events were lost since this was last reported, because the log is too slow.
    EventsDropped {
        /// How many.
        events: u64,
    },
    /// The totals so far: every [`stats_interval`](crate::ServerConfig::stats_interval), and at the end.
    Totals {
        /// The totals, boxed because they are larger than any other event.
        stats: Box<Stats>,
    },
    /// The server stops: no client is accepted any more.
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
    /// Returns the name of what happened, in snake case: the field `event` of a structured log.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Connected { .. } => "connected",
            Self::Message { .. } => "message",
            Self::Disconnected { .. } => "disconnected",
            Self::Refused { .. } => "refused",
            Self::HandlerFailed { .. } => "handler_failed",
            Self::Panicked { .. } => "panicked",
            Self::LimitTooLow { .. } => "limit_too_low",
            Self::AddressSkipped { .. } => "address_skipped",
            Self::AcceptFailing { .. } => "accept_failing",
            Self::AcceptRecovered { .. } => "accept_recovered",
            Self::MessagesNotLogged { .. } => "messages_not_logged",
            Self::SessionsNotLogged { .. } => "sessions_not_logged",
            Self::EventsDropped { .. } => "events_dropped",
            Self::Totals { .. } => "totals",
            Self::Draining { .. } => "draining",
            Self::CutOff { .. } => "cut_off",
        }
    }
}

impl Loggable for Event {
    type Totals = Stats;

    fn level(&self) -> Level {
        match self {
            Self::Connected { client, .. }
            | Self::Message { client, .. }
            | Self::Disconnected { client, .. }
            | Self::Refused { client, .. }
                if client.is_probe =>
            {
                Level::Debug
            }
            Self::Connected { .. }
            | Self::Message { .. }
            | Self::Disconnected { .. }
            | Self::Refused { .. }
            | Self::MessagesNotLogged { .. }
            | Self::SessionsNotLogged { .. }
            | Self::Totals { .. }
            | Self::Draining { .. } => Level::Info,
            Self::LimitTooLow { .. }
            | Self::AddressSkipped { .. }
            | Self::AcceptRecovered { .. }
            | Self::HandlerFailed { .. }
            | Self::EventsDropped { .. }
            | Self::CutOff { .. } => Level::Warn,
            Self::Panicked { .. } | Self::AcceptFailing { .. } => Level::Error,
        }
    }

    fn is_sampled(&self) -> bool {
        matches!(self, Self::Message { .. })
    }

    fn is_session(&self) -> bool {
        matches!(self, Self::Connected { .. } | Self::Disconnected { .. } | Self::Refused { .. })
    }

    fn sessions_not_logged(lines: u64) -> Option<Self> {
        Some(Self::SessionsNotLogged { lines })
    }

    fn client(&self) -> Option<u64> {
        match self {
            Self::Connected { client, .. }
            | Self::Message { client, .. }
            | Self::Disconnected { client, .. }
            | Self::Refused { client, .. }
            | Self::HandlerFailed { client, .. }
            | Self::Panicked { client, .. } => Some(client.id),
            _ => None,
        }
    }

    fn is_arrival(&self) -> bool {
        matches!(self, Self::Connected { .. })
    }

    fn is_silent_departure(&self) -> bool {
        // A session that was ended on purpose is no probe.
        matches!(self, Self::Disconnected { bytes_in: 0, faults: 0, .. })
    }

    fn messages(totals: &Stats) -> u64 {
        totals.messages
    }

    fn totals(stats: Stats) -> Self {
        Self::Totals { stats: Box::new(stats) }
    }

    fn not_logged(messages: u64) -> Self {
        Self::MessagesNotLogged { messages }
    }

    fn dropped(events: u64) -> Self {
        Self::EventsDropped { events }
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // A wait that a person would notice.
            Self::Connected { client, waited } if *waited >= Duration::from_millis(100) => {
                write!(f, "{client} connected; waited={waited:.1?}")
            }
            Self::Connected { client, .. } => write!(f, "{client} connected"),
            Self::Message { client, excerpt } => write!(f, "{client} says {excerpt}"),
            Self::Disconnected { client, reason, messages, bytes_in, bytes_out, duration, faults } => {
                write!(
                    f,
                    "{client} disconnected: {reason}; messages={messages} bytes_in={bytes_in} \
                     bytes_out={bytes_out} duration={duration:.1?}"
                )?;
                if *faults > 0 { write!(f, " faults={faults}") } else { Ok(()) }
            }
            Self::Refused { client, reason } => write!(f, "{client} refused: {reason}"),
            Self::HandlerFailed { client, error } => {
                write!(f, "{client}: the service failed: {}", Escaped(error.as_bytes()))
            }
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
            Self::MessagesNotLogged { messages } => write!(f, "messages not logged: {messages}"),
            Self::SessionsNotLogged { lines } => write!(f, "session lines not logged: {lines}"),
            Self::EventsDropped { events } => write!(f, "events lost because the log is too slow: {events}"),
            Self::Totals { stats } => write!(f, "totals: {stats}"),
            Self::Draining { sessions } => write!(f, "stopping; sessions to end: {sessions}"),
            Self::CutOff { sessions } => write!(f, "drain deadline passed; sessions cut off: {sessions}"),
        }
    }
}

/// Why a client was refused. [`Display`](fmt::Display) gives the reason in the log, which is also what a client that is
/// told reads after `busy: `.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RefuseReason {
    /// All workers were taken and the queue was full.
    Full,
    /// No worker came free within [`queue_timeout`](crate::ServerConfig::queue_timeout).
    QueueTimeout,
    /// The peer had [`max_per_ip`](crate::ServerConfig::max_per_ip) connections.
    TooManyFromPeer,
    /// [`allow`](crate::ServerConfig::allow) or [`deny`](crate::ServerConfig::deny) keeps its address out. It receives
    /// nothing.
    NotAllowed,
    /// It came from a proxy and did not begin with a header of the PROXY protocol. It receives nothing.
    NoProxyHeader,
    /// It came from a proxy and left without a byte, as health checks do. Logged at level debug.
    Probe,
    /// The server was stopping.
    Shutdown,
}

impl RefuseReason {
    /// How many reasons there are.
    pub(crate) const COUNT: usize = 7;

    /// The names of all reasons in numbers by reason: see [`Stats::refused_by_reason`](crate::Stats::refused_by_reason).
    pub(crate) const LABELS: [&str; Self::COUNT] =
        ["full", "queue_timeout", "too_many_from_peer", "not_allowed", "no_proxy_header", "probe", "shutdown"];

    /// The names of numbers by reason among the fields of [`Stats`](crate::Stats).
    pub(crate) const FIELDS: [&str; Self::COUNT] = [
        "refused_full",
        "refused_queue_timeout",
        "refused_too_many_from_peer",
        "refused_not_allowed",
        "refused_no_proxy_header",
        "refused_probe",
        "refused_shutdown",
    ];

    /// Returns its name in numbers by reason, in snake case.
    #[must_use]
    pub fn label(self) -> &'static str {
        Self::LABELS[self as usize]
    }

    /// Returns whether the client receives a line that says why. One that is not let in learns nothing, and a proxy would
    /// take the line for its client's.
    pub(crate) fn is_told(self) -> bool {
        !matches!(self, Self::NotAllowed | Self::NoProxyHeader | Self::Probe)
    }
}

impl fmt::Display for RefuseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full => "all workers are taken and the queue is full",
            Self::QueueTimeout => "no worker came free in time",
            Self::TooManyFromPeer => "too many connections from your address",
            Self::NotAllowed => "its address is not allowed",
            Self::NoProxyHeader => "no valid PROXY header came in time",
            Self::Probe => "a proxy checked whether the server is there",
            Self::Shutdown => "the server is shutting down",
        })
    }
}
