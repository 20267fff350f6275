//! A service of one's own for datagrams.

use std::fmt;
use std::net::SocketAddr;

/// A datagram that a service of your own answers: see [`UdpServer::answer_with`](crate::UdpServer::answer_with).
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Datagram<'a> {
    /// What it carries.
    pub payload: &'a [u8],
    /// The sender, in canonical form. It can be forged.
    pub peer: SocketAddr,
    /// The address that the server listens on.
    pub listener: SocketAddr,
    /// The longest answer in bytes that the server sends to this datagram.
    pub longest_answer: usize,
}

/// Writes the answer to a datagram into an empty buffer. Returns whether it is to be sent.
type Answer = dyn Fn(&Datagram<'_>, &mut Vec<u8>) -> bool + Send + Sync;

/// The service of a server.
pub(super) struct Service(Box<Answer>);

impl Service {
    pub(super) fn new(answer: impl Fn(&Datagram<'_>, &mut Vec<u8>) -> bool + Send + Sync + 'static) -> Self {
        Self(Box::new(answer))
    }

    pub(super) fn answer(&self, datagram: &Datagram<'_>, out: &mut Vec<u8>) -> bool {
        (self.0)(datagram, out)
    }
}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Service").finish_non_exhaustive()
    }
}
