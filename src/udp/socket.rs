//! UDP sockets: their options, and how a blocked one is woken.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::OwnedFd;
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};

use crate::net::addresses;

/// Opens a socket. Returns it with the address that it really has.
///
/// # Errors
///
/// The address is in use, or this machine does not have it.
pub(super) fn open(address: SocketAddr, only_v6: bool) -> io::Result<(SocketAddr, UdpSocket)> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    if address.is_ipv6() {
        socket.set_only_v6(only_v6)?;
    }
    // The address is not reused: two sockets on one port would share its datagrams.
    socket.bind(&address.into())?;
    prepare(socket)
}

/// Takes over a socket that the caller has bound. Returns it with its address.
pub(super) fn adopt(socket: OwnedFd) -> io::Result<(SocketAddr, UdpSocket)> {
    let socket = Socket::from(socket);
    socket.set_nonblocking(false)?;
    prepare(socket)
}

fn prepare(socket: Socket) -> io::Result<(SocketAddr, UdpSocket)> {
    let socket = UdpSocket::from(socket);
    // The shortest timeout that exists. Answers that wait for a neighbour's address fill the send buffer, and forged
    // senders can cause many of them. Other answers must not wait for that.
    socket.set_write_timeout(Some(Duration::from_millis(1)))?;
    Ok((socket.local_addr()?, socket))
}

/// Ends a blocked `recv_from` on the socket bound to `address`: a datagram comes. If it does not fit the receive
/// buffer, the receiver does not wait.
///
/// Shutting the socket wakes it too on Linux, but then `recv_from` of std panics at times, because it finds no
/// sender.
pub(super) fn wake(address: SocketAddr) {
    let target = addresses::reachable(address);
    // If it fails, for lack of descriptors for example, the stop takes a second longer.
    let _ = addresses::sender_to(target).and_then(|sender| sender.send_to(&[], target));
}
