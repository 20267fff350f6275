//! PROXY headers, as a proxy sends them: each connection begins with one, which names a client of its own.
//!
//! The clients are made up, from 198.18.0.0/15, the network for benchmarks (RFC 2544). Which they are depends on the
//! seed alone. The library parses such headers; this is the other side, and shares no code with it.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};

use clap::ValueEnum;

use super::address::Address;

/// The versions of the header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Version {
    /// A line of text.
    V1,
    /// The binary form.
    V2,
}

/// Whom a header names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Client {
    /// A measured client, in 198.18.0.0/16.
    Measured(u64),
    /// An adversary, in 198.19.0.0/16.
    Adversary(u64),
}

/// The number of addresses in half of the network: all but the first and the last of it, which some systems take for
/// those of a network and of a broadcast.
const COUNT: u64 = (1 << 16) - 2;

/// Between the first clients of a seed and of the next one, so that processes on several machines can name different
/// clients: as many as a process has connections at most.
const STRIDE: u64 = 10_000;

/// The first port of a client.
const FIRST_PORT: u64 = 1024;

impl Client {
    /// Returns the client's address and port. Clients with different numbers have different addresses; after 65,534 of
    /// them come the same addresses with the next port.
    pub(crate) fn address(self, seed: u64) -> SocketAddrV4 {
        let (network, number) = match self {
            Self::Measured(number) => (Ipv4Addr::new(198, 18, 0, 0), number),
            Self::Adversary(number) => (Ipv4Addr::new(198, 19, 0, 0), number),
        };
        // The first seed is 1 if none is given.
        let host = 1 + (number % COUNT + seed.wrapping_sub(1) % COUNT * STRIDE) % COUNT;
        let port = FIRST_PORT + number / COUNT % (1 + u64::from(u16::MAX) - FIRST_PORT);
        SocketAddrV4::new(Ipv4Addr::from_bits(network.to_bits() + host as u32), port as u16)
    }
}

/// Returns the header that names `client` to a server.
pub(crate) fn header(version: Version, client: SocketAddrV4, server: &Address) -> Vec<u8> {
    // Both addresses are of one family, so another server gets the first address of the network.
    let server = match server {
        Address::Tcp(SocketAddr::V4(server)) => *server,
        Address::Tcp(SocketAddr::V6(server)) => SocketAddrV4::new(Ipv4Addr::new(198, 18, 0, 0), server.port()),
        Address::Unix(_) => SocketAddrV4::new(Ipv4Addr::new(198, 18, 0, 0), 0),
    };
    match version {
        Version::V1 => {
            format!("PROXY TCP4 {} {} {} {}\r\n", client.ip(), server.ip(), client.port(), server.port()).into()
        }
        Version::V2 => {
            let mut header = b"\r\n\r\n\0\r\nQUIT\n".to_vec();
            // Version 2 and the command PROXY; TCP over IPv4; the length of the rest.
            header.extend([0x21, 0x11, 0, 12]);
            header.extend(client.ip().octets());
            header.extend(server.ip().octets());
            header.extend(client.port().to_be_bytes());
            header.extend(server.port().to_be_bytes());
            header
        }
    }
}
