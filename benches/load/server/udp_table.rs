//! The kernel's table of UDP sockets: which datagrams it dropped because a socket's receive buffer was full.
//!
//! The table shows the sockets of this process's network namespace only.

use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// A socket in the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) local: SocketAddr,
    /// Where it is connected to, or an unspecified address.
    pub(crate) remote: SocketAddr,
    /// Datagrams that were dropped since it was opened.
    pub(crate) drops: u64,
}

/// Reads the rows of all sockets.
pub(crate) fn rows() -> io::Result<Vec<Row>> {
    // A kernel without IPv6 has no second table.
    let v6 = fs::read_to_string("/proc/self/net/udp6").unwrap_or_default();
    let v4 = fs::read_to_string("/proc/self/net/udp")?;
    Ok(v4.lines().chain(v6.lines()).filter_map(Row::parse).collect())
}

impl Row {
    fn parse(line: &str) -> Option<Self> {
        let mut columns = line.split_ascii_whitespace().skip(1);
        let (local, remote) = (end(columns.next()?)?, end(columns.next()?)?);
        Some(Self { local, remote, drops: columns.last()?.parse().ok()? })
    }

    /// Returns `true` if the socket receives datagrams to `address` from anyone.
    pub(crate) fn serves(&self, address: SocketAddr) -> bool {
        let is_there = self.local.ip() == address.ip() || self.local.ip().is_unspecified();
        is_there && self.local.port() == address.port() && self.remote.port() == 0
    }
}

/// Parses an address as the kernel writes it: words of 32 bits in hexadecimal, in the byte order of the machine.
fn end(text: &str) -> Option<SocketAddr> {
    let (address, port) = text.split_once(':')?;
    let word = |index: usize| {
        let digits = address.get(8 * index..8 * index + 8)?;
        Some(u32::from_str_radix(digits, 16).ok()?.to_ne_bytes())
    };
    let address = match address.len() {
        8 => IpAddr::V4(Ipv4Addr::from(word(0)?)),
        32 => {
            let words = [word(0)?, word(1)?, word(2)?, word(3)?];
            let bytes: [u8; 16] = std::array::from_fn(|index| words[index / 4][index % 4]);
            Ipv6Addr::from(bytes).to_canonical()
        }
        _ => return None,
    };
    Some(SocketAddr::new(address, u16::from_str_radix(port, 16).ok()?))
}
