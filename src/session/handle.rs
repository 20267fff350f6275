//! [`ClientHandle`]: pushes to a client from any thread.

use std::sync::{Arc, Weak};
use std::{error, fmt};

use super::{Outbox, Session};
use crate::client::Client;
use crate::events::CloseReason;

/// Pushes to a client from any thread. [`Session::handle`] makes it; clones are handles to the same client.
///
/// It keeps neither the session nor the connection alive.
#[derive(Clone)]
pub struct ClientHandle {
    client: Client,
    outbox: Arc<Outbox>,
    session: Weak<Session>,
}

/// Why nothing was pushed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PushError {
    /// There is no room for it ([`max_outgoing`](crate::ServerConfig::max_outgoing)), most often because the client
    /// has not read what was pushed before. Its session ends.
    TooSlow,
    /// The session has ended, or is about to.
    Closed,
}

impl fmt::Display for PushError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooSlow => "the client reads too slowly",
            Self::Closed => "the session has ended",
        })
    }
}

impl error::Error for PushError {}

impl ClientHandle {
    pub(super) fn new(client: Client, outbox: Arc<Outbox>, session: Weak<Session>) -> Self {
        Self { client, outbox, session }
    }

    /// Returns the client.
    #[must_use]
    pub fn client(&self) -> Client {
        self.client
    }

    /// Queues `bytes` for the client: all of them, in one piece, or none. Never blocks.
    ///
    /// They are sent as they are, whatever the framing is: escape what others have sent before you push it
    /// ([`text`](crate::text)).
    ///
    /// # Errors
    ///
    /// [`PushError::TooSlow`] if more than [`max_outgoing`](crate::ServerConfig::max_outgoing) bytes would wait: the
    /// client's session ends, because a message that it has missed cannot be made up for. [`PushError::Closed`] if
    /// the session has ended or is about to.
    pub fn push(&self, bytes: &[u8]) -> Result<(), PushError> {
        let pushed = self.outbox.push(bytes);
        if pushed == Err(PushError::TooSlow)
            && let Some(session) = self.session.upgrade()
        {
            session.break_off(CloseReason::TooSlow);
        }
        pushed
    }

    /// Ends the session: what was pushed is still sent, what the client sends from now on is not answered.
    ///
    /// The session has not ended when this returns; [`Handler::closed`](crate::Handler::closed) tells.
    pub fn close(&self) {
        if let Some(session) = self.session.upgrade() {
            // The writer wakes the worker when it has sent what was pushed.
            session.state.give_reason(CloseReason::ServiceClosed);
            session.end_due_waits();
        }
        self.outbox.close();
    }
}

impl fmt::Debug for ClientHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ClientHandle").field(&self.client).finish()
    }
}
