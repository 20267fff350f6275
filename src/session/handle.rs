//! A connection as a service sees it: who it is, and a handle to push to it from any thread.

use std::fmt;
use std::sync::{Arc, Weak};

use super::Session;
use super::outbox::PushError;
use crate::Client;

/// A connection that is about to be served: what its [`Handler`](crate::Handler) is made from.
#[derive(Debug)]
pub struct Connection<'a> {
    session: &'a Arc<Session>,
    max_outgoing: usize,
}

impl<'a> Connection<'a> {
    pub(crate) fn new(session: &'a Arc<Session>, max_outgoing: usize) -> Self {
        Self { session, max_outgoing }
    }

    /// Who it is.
    pub fn client(&self) -> Client {
        self.session.client
    }

    /// A handle with which any thread can push to the client.
    ///
    /// A session that was asked for one has a second thread, which sends what is pushed to the client and
    /// what its handler answers, in the order of the calls; but a push may come between the parts of a long
    /// answer, and in line framing before the answers to other lines that arrived with the last one. Ask only if
    /// the service pushes.
    pub fn handle(&self) -> ClientHandle {
        self.session.open_outbox(self.max_outgoing);
        ClientHandle { client: self.session.client, session: Arc::downgrade(self.session) }
    }
}

/// Pushes to a client from any thread: [`Connection::handle`]. Clones are handles to the same client.
///
/// It keeps neither the session nor the connection alive.
#[derive(Clone)]
pub struct ClientHandle {
    client: Client,
    session: Weak<Session>,
}

impl ClientHandle {
    /// Who it is.
    #[must_use]
    pub fn client(&self) -> Client {
        self.client
    }

    /// Queues `bytes` for the client: all of them, in one piece, or none. Never waits.
    ///
    /// They are sent as they are, whatever the framing: who pushes what others have sent escapes it first.
    ///
    /// # Errors
    ///
    /// [`PushError::TooSlow`] if more than [`max_outgoing`](crate::ServerConfig::max_outgoing) bytes would wait: the
    /// client's session ends, because a message it has missed cannot be made up for. [`PushError::Closed`] if
    /// the session has ended or is about to.
    pub fn push(&self, bytes: &[u8]) -> Result<(), PushError> {
        self.session.upgrade().map_or(Err(PushError::Closed), |session| session.push(bytes))
    }

    /// Ends the session: what was pushed is still sent, what the client sends from now on is not answered.
    ///
    /// The session has not ended when this returns; [`Handler::closed`](crate::Handler::closed) tells.
    pub fn close(&self) {
        if let Some(session) = self.session.upgrade() {
            session.dismiss();
        }
    }
}

impl fmt::Debug for ClientHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ClientHandle").field(&self.client).finish()
    }
}
