//! Who a session is with.

use std::net::SocketAddr;

/// Who a handler is talking to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Client {
    /// The session's number, counted from 1 in the order of arrival.
    pub id: u64,
    /// The client's address, in canonical form: an IPv4 client of an IPv6 socket is shown as IPv4.
    pub peer: SocketAddr,
}
