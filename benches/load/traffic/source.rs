//! The source addresses of clients.
//!
//! After a client has closed a connection first, the kernel keeps its port in TIME-WAIT for at least a second. One
//! address has 28,000 ports, so it cannot end more than 28,000 sessions per second. From half of that rate on, the
//! search for a free port dominates what is measured. The loopback device has sixteen million addresses, so clients use
//! many of them. Behind a PROXY header they have none of these, because a proxy has one address.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use nix::errno::Errno;
use socket2::{Socket, Type};

use super::address::Address;
use super::load::Load;

/// The first source address.
const FIRST: Ipv4Addr = Ipv4Addr::new(127, 1, 0, 1);
/// The number of source addresses: their ports suffice for a quarter of a million sessions per second.
const COUNT: u64 = 1000;

/// Begins the `number`th connect to the server. If the server is on the loopback device, the source address rotates.
///
/// # Errors
///
/// `WouldBlock` if the queue of a Unix socket is full.
pub(crate) fn connect(load: &Load, number: u64) -> io::Result<Socket> {
    let server = load.address.to_socket()?;
    let socket = Socket::new(server.domain(), Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    if let Address::Tcp(SocketAddr::V4(server)) = load.address
        && server.ip().is_loopback()
        && load.proxy.is_none()
    {
        let address = Ipv4Addr::from_bits(FIRST.to_bits() + (number % COUNT) as u32);
        socket.bind(&SocketAddr::from((address, 0)).into())?;
    }
    match socket.connect(&server) {
        Err(error) if error.raw_os_error() != Some(Errno::EINPROGRESS as i32) => Err(error),
        _ => Ok(socket),
    }
}
