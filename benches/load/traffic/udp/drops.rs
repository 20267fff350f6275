//! Datagrams that the kernel dropped at sockets of this machine.

use std::collections::HashSet;
use std::net::SocketAddr;

use super::super::super::server::udp_table;
use super::open;

/// Returns how many were dropped at the sockets of clients with these addresses.
pub(crate) fn dropped(clients: &HashSet<SocketAddr>) -> u64 {
    let rows = udp_table::rows().unwrap_or_default();
    rows.iter().filter(|row| clients.contains(&row.local)).map(|row| row.drops).sum()
}

/// Returns how many were dropped at the socket of the server at `address`. Returns `None` if it is not on this machine, or
/// if a container hides its socket.
pub(crate) fn server_drops(address: SocketAddr) -> Option<u64> {
    // A datagram to an address of this machine comes from the same address.
    let is_here = open(&address.into()).ok()?.local_addr().ok()?.ip() == address.ip();
    let rows = udp_table::rows().ok().filter(|_| is_here)?;
    let drops: Vec<u64> = rows.iter().filter(|row| row.serves(address)).map(|row| row.drops).collect();
    (!drops.is_empty()).then(|| drops.iter().sum())
}
