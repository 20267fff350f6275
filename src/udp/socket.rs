//! UDP sockets: which addresses they may have, options, and how a blocked one is woken.

use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};

use crate::server::addresses;

/// One socket, and the address it really has.
///
/// # Errors
///
/// The address is in use, not of this machine, or not a single host's. No answer may come from a broadcast or
/// multicast address (RFC 1122, 3.2.1.3), and what wakes the receiver at a stop would have to go to every host of
/// a network. There is little to miss: `0.0.0.0` gets broadcasts too, and groups are not joined here.
pub(super) fn open(address: SocketAddr, only_v6: bool) -> io::Result<(SocketAddr, UdpSocket)> {
    let refused = |problem| Err(io::Error::new(ErrorKind::InvalidInput, problem));
    if address.ip().is_multicast() {
        return refused("a multicast address, not a host's");
    }
    if is_broadcast(address)? {
        return refused("a broadcast address, not a host's; 0.0.0.0 gets broadcasts too");
    }
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    if address.is_ipv6() {
        socket.set_only_v6(only_v6)?;
    }
    // The address is not reused: two sockets on one port would share its datagrams.
    socket.bind(&address.into())?;
    let socket = UdpSocket::from(socket);
    // The shortest there is. Answers that wait for a neighbour's address fill the send buffer, and whoever
    // forges senders can have many of them; others are not to wait for that.
    socket.set_write_timeout(Some(Duration::from_millis(1)))?;
    Ok((socket.local_addr()?, socket))
}

/// Whether `address` is that of all hosts of a network. Which networks there are, the system knows: it lets a
/// socket connect to such an address only if broadcasting was asked for. To connect sends nothing.
fn is_broadcast(address: SocketAddr) -> io::Result<bool> {
    if address.is_ipv6() {
        return Ok(false);
    }
    // Without a network the system would not know a way there, and so not tell.
    if address.ip() == Ipv4Addr::BROADCAST {
        return Ok(true);
    }
    let sender = sender_to(address)?;
    if sender.connect(address).is_ok() {
        return Ok(false);
    }
    sender.set_broadcast(true)?;
    Ok(sender.connect(address).is_ok())
}

/// Ends a blocked `recv_from` on the socket bound to `address`: a datagram comes. If it does not fit the receive
/// buffer, nobody waits.
///
/// Shutting the socket wakes it too on Linux, but then `recv_from` of std panics at times, because it finds no
/// sender.
pub(super) fn wake(address: SocketAddr) {
    let target = addresses::reachable(address);
    // What is in the way of it, out of descriptors for one, makes the stop a second longer.
    let _ = sender_to(target).and_then(|sender| sender.send_to(&[], target));
}

/// A socket of the family of `target`.
fn sender_to(target: SocketAddr) -> io::Result<UdpSocket> {
    let any: SocketAddr = match target {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    UdpSocket::bind(any)
}
