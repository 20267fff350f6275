//! What the operator is shown.

use std::fmt;

use hebra::{Client, CloseReason};

use super::rows;

/// What happened in the room. [`Display`](fmt::Display) gives the line to show: `<2> hello` if client 2 said hello. All
/// other lines begin with an asterisk, so that nothing a client says looks like one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::cli) enum Notice {
    /// A client joined.
    Joined(Client),
    /// A client said something.
    Said {
        /// The client.
        client: Client,
        /// What it said: one line, safe to print, and cut to a kilobyte.
        text: String,
    },
    /// A client left.
    Left {
        /// The client.
        client: Client,
        /// Why; `None` if its session panicked.
        reason: Option<CloseReason>,
    },
    /// A client was turned away.
    TurnedAway {
        /// The client.
        client: Client,
        /// Why.
        why: &'static str,
    },
    /// So many notices were lost, because the operator's screen did not take them in time.
    Missed(u64),
}

impl Notice {
    /// Returns what is printed on a screen of so many columns; `None` if it is printed to a file or a pipe.
    ///
    /// A terminal breaks a line where its row ends, and a client could choose what the next row begins with. So a line
    /// of a client is broken before that, and its further rows are indented.
    pub(super) fn rows(&self, columns: Option<usize>) -> String {
        let line = self.to_string();
        match (self, columns) {
            (Self::Said { .. }, Some(columns)) => rows::break_line(&line, columns),
            _ => line,
        }
    }
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Joined(client) => write!(f, "* <{}> joined from {}", client.id, client.peer),
            Self::Said { client, text } => write!(f, "<{}> {text}", client.id),
            Self::Left { client, reason: Some(reason) } => write!(f, "* <{}> left: {reason}", client.id),
            Self::Left { client, reason: None } => write!(f, "* <{}> left", client.id),
            Self::TurnedAway { client, why } => write!(f, "* <{}> turned away: {why}", client.id),
            Self::Missed(notices) => write!(f, "* lines not shown: {notices}"),
        }
    }
}
