//! Who a session is with, and where it was accepted.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

/// The client of a session, as events and handlers name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Client {
    /// The number of its connection, counted from 1 in the order of arrival.
    pub id: u64,
    /// Where it connects from. If a proxy of [`proxy_protocol`](crate::ServerConfig::proxy_protocol) names the client, this
    /// is what the proxy says.
    pub peer: Peer,
    /// The proxy, if the client came through one that named it.
    pub proxied_by: Option<Peer>,
    /// Whether it is a proxy that only checks whether the server is there. Its session is logged at level debug.
    pub is_probe: bool,
}

impl Client {
    /// Client number `id` at the address `peer`.
    #[must_use]
    pub fn new(id: u64, peer: SocketAddr) -> Self {
        Self::at(id, peer.into())
    }

    pub(crate) fn at(id: u64, peer: Peer) -> Self {
        Self { id, peer, proxied_by: None, is_probe: false }
    }
}

impl fmt::Display for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "client {} ({})", self.id, self.peer)
    }
}

/// Where a client connects from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Peer {
    /// An address in canonical form: an IPv4 client of an IPv6 socket has its IPv4 address here.
    Ip(SocketAddr),
    /// A program on this machine, through a Unix socket. Such clients rarely have a name.
    Unix,
}

impl Peer {
    /// Returns its IP address, if it has one.
    #[must_use]
    pub fn ip(&self) -> Option<IpAddr> {
        match self {
            Self::Ip(address) => Some(address.ip()),
            Self::Unix => None,
        }
    }
}

impl From<SocketAddr> for Peer {
    fn from(address: SocketAddr) -> Self {
        match address {
            SocketAddr::V4(_) => Self::Ip(address),
            SocketAddr::V6(six) => match six.ip().to_canonical() {
                IpAddr::V4(four) => Self::Ip((four, address.port()).into()),
                IpAddr::V6(_) => Self::Ip(address),
            },
        }
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(address) => address.fmt(f),
            Self::Unix => f.write_str("unix"),
        }
    }
}

/// Where a server listens. [`Display`](fmt::Display) gives the form that [`listen`](crate::ServerConfig::listen) takes:
/// `127.0.0.1:1234`, `unix:/run/hebra.sock`, `unix:@hebra`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ListenAddress {
    /// A TCP port.
    Tcp(SocketAddr),
    /// A Unix socket: the path of its file, or `@` and a name that has no file.
    Unix(String),
}

impl ListenAddress {
    /// Returns the address and port, if it is a TCP port.
    #[must_use]
    pub fn tcp(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(address) => Some(*address),
            Self::Unix(_) => None,
        }
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(name) => write!(f, "unix:{}", crate::text::Escaped(name.as_bytes())),
        }
    }
}
