//! UDP sockets: which addresses they may have, options, and how a blocked one is woken.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};

use crate::net::addresses;

/// One socket, and the address it really has.
///
/// # Errors
///
/// The address is in use or not of this machine.
pub(super) fn open(address: SocketAddr, only_v6: bool) -> io::Result<(SocketAddr, UdpSocket)> {
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

/// Ends a blocked `recv_from` on the socket bound to `address`: a datagram comes. If it does not fit the receive
/// buffer, nobody waits.
///
/// Shutting the socket wakes it too on Linux, but then `recv_from` of std panics at times, because it finds no
/// sender.
pub(super) fn wake(address: SocketAddr) {
    let target = addresses::reachable(address);
    // What is in the way of it, out of descriptors for one, makes the stop a second longer.
    let _ = addresses::sender_to(target).and_then(|sender| sender.send_to(&[], target));
}
