//! Who a session is with.

use std::fmt;
use std::net::SocketAddr;

/// The client of a session, as events and handlers name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Client {
    /// The number of its connection, counted from 1 in the order of arrival.
    pub id: u64,
    /// Its address in canonical form: an IPv4 client of an IPv6 socket has its IPv4 address here.
    pub peer: SocketAddr,
}

impl Client {
    /// Client number `id` at `peer`.
    #[must_use]
    pub fn new(id: u64, peer: SocketAddr) -> Self {
        Self { id, peer: SocketAddr::new(peer.ip().to_canonical(), peer.port()) }
    }
}

impl fmt::Display for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "client {} ({})", self.id, self.peer)
    }
}
