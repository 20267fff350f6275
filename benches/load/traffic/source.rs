//! The source addresses of clients.
//!
//! After a client has closed a connection first, the kernel keeps its port in TIME-WAIT for at least a second. One
//! address has 28,000 ports, so it cannot end more than 28,000 sessions per second. From half of that rate on, the
//! search for a free port dominates what is measured. The loopback device has sixteen million addresses, so clients use
//! many of them.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};

use nix::errno::Errno;
use socket2::{Domain, Socket, Type};

/// The first source address.
const FIRST: Ipv4Addr = Ipv4Addr::new(127, 1, 0, 1);
/// The number of source addresses: their ports suffice for a quarter of a million sessions per second.
const COUNT: u64 = 1000;

/// Begins the `number`th connect to `server`. If the server is on the loopback device, the source address rotates.
pub(crate) fn connect(server: SocketAddr, number: u64) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::for_address(server), Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    if let SocketAddr::V4(server) = server
        && server.ip().is_loopback()
    {
        let address = Ipv4Addr::from_bits(FIRST.to_bits() + (number % COUNT) as u32);
        socket.bind(&SocketAddr::from((address, 0)).into())?;
    }
    match socket.connect(&server.into()) {
        Err(error) if error.raw_os_error() != Some(Errno::EINPROGRESS as i32) => Err(error),
        _ => Ok(socket.into()),
    }
}
