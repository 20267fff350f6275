//! Why a session ends, and the table of what each reason implies.

use std::borrow::Cow;
use std::{fmt, io};

/// Why a session ended. None of these is an error of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CloseReason {
    /// The client said `bye`.
    Bye,
    /// The client closed its side of the connection, and everything it had sent was answered.
    EndOfStream,
    /// The handler or its [`ClientHandle`](crate::ClientHandle) ended the session.
    ServiceClosed,
    /// Nothing was received for longer than [`idle_timeout`](crate::ServerConfig::idle_timeout).
    IdleTimeout,
    /// Nothing was received for longer than [`yield_after`](crate::ServerConfig::yield_after), and another client
    /// waited for a worker.
    Yielded,
    /// The session was older than [`max_lifetime`](crate::ServerConfig::max_lifetime).
    Expired,
    /// [`RunningServer::disconnect`](crate::RunningServer::disconnect) ended the session.
    Disconnected,
    /// The client did not take a reply within [`write_timeout`](crate::ServerConfig::write_timeout).
    WriteTimeout,
    /// The client did not read what was pushed to it, and more than
    /// [`max_outgoing`](crate::ServerConfig::max_outgoing) bytes would have waited.
    TooSlow,
    /// A line was longer than [`max_line`](crate::ServerConfig::max_line).
    LineTooLong,
    /// The server stopped, and everything it had received was answered.
    Shutdown,
    /// The server stopped, and the session had not ended by the drain deadline.
    CutOff,
    /// The connection failed. Most often the client reset it.
    Failed(io::ErrorKind),
    /// The handler returned an error of its own; [`Event::HandlerFailed`](crate::Event::HandlerFailed) has its text.
    ServiceFailed(io::ErrorKind),
    /// The handler panicked.
    Panicked,
    /// The session was closed on purpose: [`Next::FaultClose`](crate::Next::FaultClose).
    FaultClose,
    /// The connection was reset on purpose: [`Next::FaultReset`](crate::Next::FaultReset).
    FaultReset,
}

/// How the connection of an ended session is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Closing {
    /// At once: the client has closed its side or is gone, or the drain deadline has passed.
    AtOnce,
    /// The client is given the time to receive what was sent to it, and what it still sends is discarded.
    Lingering,
    /// With a reset: the client takes nothing, and the kernel would keep its replies for minutes.
    Reset,
    /// With a reset that was asked for, so nothing that it destroys counts as missing.
    ResetOnPurpose,
}

/// How long a client that is pushed to may take for what is still queued when its session ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Patience {
    /// Not at all.
    None,
    /// Half a second.
    Short,
    /// As long as each write may take.
    WriteTimeout,
}

impl CloseReason {
    /// The table: the line that the client reads, how long it may take for what is queued, and how its connection is
    /// closed.
    const fn implies(self) -> (Option<&'static str>, Patience, Closing) {
        use Closing::{AtOnce, Lingering, Reset, ResetOnPurpose};
        use Patience::{None as NoPatience, Short, WriteTimeout};
        match self {
            Self::Bye | Self::ServiceClosed | Self::Shutdown => (None, WriteTimeout, Lingering),
            Self::ServiceFailed(_) | Self::Panicked => (None, WriteTimeout, Lingering),
            Self::LineTooLong => (Some("error: the line is too long"), WriteTimeout, Lingering),
            Self::IdleTimeout => (Some("idle: nothing was received for too long"), WriteTimeout, Lingering),
            Self::Expired => (Some("error: the session has lasted too long"), WriteTimeout, Lingering),
            Self::Disconnected => (Some("error: disconnected by the operator"), WriteTimeout, Lingering),
            // Another client waits for the worker.
            Self::Yielded => (Some("idle: the worker is needed for another client"), Short, Lingering),
            Self::EndOfStream => (None, WriteTimeout, AtOnce),
            Self::CutOff | Self::Failed(_) => (None, NoPatience, AtOnce),
            Self::WriteTimeout | Self::TooSlow => (None, NoPatience, Reset),
            Self::FaultClose => (None, WriteTimeout, Lingering),
            Self::FaultReset => (None, WriteTimeout, ResetOnPurpose),
        }
    }

    /// Returns the line, without its end, that tells the client why its session ends, if the client cannot know.
    /// `max_line` is the limit that the line of [`LineTooLong`](Self::LineTooLong) names.
    #[must_use]
    pub(crate) fn farewell(self, max_line: usize) -> Option<Cow<'static, str>> {
        match self {
            Self::LineTooLong => Some(format!("error: a line may have {max_line} bytes").into()),
            _ => self.implies().0.map(Cow::Borrowed),
        }
    }

    pub(crate) fn patience(self) -> Patience {
        self.implies().1
    }

    pub(crate) fn closing(self) -> Closing {
        self.implies().2
    }
}

/// The names of all reasons in numbers by reason: see [`Stats::finished_by_reason`](crate::Stats::finished_by_reason).
const LABELS: [&str; CloseReason::COUNT] = [
    "bye",
    "end_of_stream",
    "service_closed",
    "idle_timeout",
    "yielded",
    "lifetime",
    "disconnected",
    "write_timeout",
    "too_slow",
    "line_too_long",
    "shutdown",
    "cut_off",
    "connection_failed",
    "service_failed",
    "panicked",
    "fault_close",
    "fault_reset",
];

impl CloseReason {
    /// How many reasons there are, whatever errors they carry.
    pub(crate) const COUNT: usize = 17;

    /// The names of numbers by reason among the fields of [`Stats`](crate::Stats).
    pub(crate) const FIELDS: [&str; Self::COUNT] = [
        "finished_bye",
        "finished_end_of_stream",
        "finished_service_closed",
        "finished_idle_timeout",
        "finished_yielded",
        "finished_lifetime",
        "finished_disconnected",
        "finished_write_timeout",
        "finished_too_slow",
        "finished_line_too_long",
        "finished_shutdown",
        "finished_cut_off",
        "finished_connection_failed",
        "finished_service_failed",
        "finished_panicked",
        "finished_fault_close",
        "finished_fault_reset",
    ];

    /// Returns its name in numbers by reason, in snake case.
    #[must_use]
    pub fn label(self) -> &'static str {
        LABELS[self.index()]
    }

    /// Returns the names of all reasons in the order of [`index`](Self::index).
    pub(crate) fn labels() -> &'static [&'static str] {
        &LABELS
    }

    pub(crate) fn index(self) -> usize {
        match self {
            Self::Bye => 0,
            Self::EndOfStream => 1,
            Self::ServiceClosed => 2,
            Self::IdleTimeout => 3,
            Self::Yielded => 4,
            Self::Expired => 5,
            Self::Disconnected => 6,
            Self::WriteTimeout => 7,
            Self::TooSlow => 8,
            Self::LineTooLong => 9,
            Self::Shutdown => 10,
            Self::CutOff => 11,
            Self::Failed(_) => 12,
            Self::ServiceFailed(_) => 13,
            Self::Panicked => 14,
            Self::FaultClose => 15,
            Self::FaultReset => 16,
        }
    }
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
            Self::Disconnected => f.write_str("disconnected by the operator"),
            Self::WriteTimeout => f.write_str("write timeout"),
            Self::TooSlow => f.write_str("reads too slowly"),
            Self::LineTooLong => f.write_str("line too long"),
            Self::Shutdown => f.write_str("server shutdown"),
            Self::CutOff => f.write_str("cut off at the drain deadline"),
            Self::Failed(kind) => write!(f, "{kind}"),
            Self::ServiceFailed(kind) => write!(f, "the service failed: {kind}"),
            Self::Panicked => f.write_str("the handler panicked"),
            Self::FaultClose => f.write_str("closed on purpose"),
            Self::FaultReset => f.write_str("reset on purpose"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::RefuseReason;
    use super::*;

    #[test]
    fn each_reason_has_its_own_number_and_a_label_of_its_own() {
        let ended = [
            (CloseReason::Bye, "bye"),
            (CloseReason::EndOfStream, "end_of_stream"),
            (CloseReason::ServiceClosed, "service_closed"),
            (CloseReason::IdleTimeout, "idle_timeout"),
            (CloseReason::Yielded, "yielded"),
            (CloseReason::Expired, "lifetime"),
            (CloseReason::Disconnected, "disconnected"),
            (CloseReason::WriteTimeout, "write_timeout"),
            (CloseReason::TooSlow, "too_slow"),
            (CloseReason::LineTooLong, "line_too_long"),
            (CloseReason::Shutdown, "shutdown"),
            (CloseReason::CutOff, "cut_off"),
            (CloseReason::Failed(io::ErrorKind::ConnectionReset), "connection_failed"),
            (CloseReason::ServiceFailed(io::ErrorKind::Other), "service_failed"),
            (CloseReason::Panicked, "panicked"),
            (CloseReason::FaultClose, "fault_close"),
            (CloseReason::FaultReset, "fault_reset"),
        ];
        assert_eq!(ended.map(|(reason, _)| reason.index()).to_vec(), (0..CloseReason::COUNT).collect::<Vec<_>>());
        assert_eq!(ended.map(|(reason, _)| reason.label()), ended.map(|(_, label)| label));
        let refused = [
            (RefuseReason::Full, "full"),
            (RefuseReason::QueueTimeout, "queue_timeout"),
            (RefuseReason::TooManyFromPeer, "too_many_from_peer"),
            (RefuseReason::NotAllowed, "not_allowed"),
            (RefuseReason::NoProxyHeader, "no_proxy_header"),
            (RefuseReason::Probe, "probe"),
            (RefuseReason::Shutdown, "shutdown"),
        ];
        assert_eq!(refused.map(|(reason, _)| reason.label()), refused.map(|(_, label)| label));
    }

    #[test]
    fn a_client_that_cannot_know_why_its_session_ends_reads_a_line() {
        let farewell = |reason: CloseReason| reason.farewell(80).unwrap_or_default().into_owned();
        assert_eq!(farewell(CloseReason::LineTooLong), "error: a line may have 80 bytes");
        assert_eq!(farewell(CloseReason::IdleTimeout), "idle: nothing was received for too long");
        assert_eq!(farewell(CloseReason::Expired), "error: the session has lasted too long");
        assert_eq!(CloseReason::Bye.farewell(80), None);
        assert_eq!(CloseReason::WriteTimeout.farewell(80), None);
    }

    #[test]
    fn replies_are_given_up_only_if_the_client_cannot_take_them() {
        for reason in [CloseReason::Bye, CloseReason::Shutdown, CloseReason::Panicked, CloseReason::IdleTimeout] {
            assert_eq!(
                (reason.patience(), reason.closing()),
                (Patience::WriteTimeout, Closing::Lingering),
                "{reason}"
            );
        }
        assert_eq!(CloseReason::Yielded.patience(), Patience::Short);
        assert_eq!(CloseReason::EndOfStream.closing(), Closing::AtOnce);
        for reason in [CloseReason::WriteTimeout, CloseReason::TooSlow] {
            assert_eq!((reason.patience(), reason.closing()), (Patience::None, Closing::Reset), "{reason}");
        }
    }

    #[test]
    fn each_reason_has_its_words_in_the_log() {
        assert_eq!(CloseReason::EndOfStream.to_string(), "end of stream");
        assert_eq!(CloseReason::Failed(io::ErrorKind::ConnectionReset).to_string(), "connection reset");
        assert_eq!(
            CloseReason::ServiceFailed(io::ErrorKind::InvalidData).to_string(),
            "the service failed: invalid data"
        );
    }
}
