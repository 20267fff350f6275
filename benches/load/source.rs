//! The addresses that clients connect from.
//!
//! A connection that its client has closed first rests for a second at least before its port can be taken again, so
//! one address cannot leave a server more than 28,000 times a second, and from half of that on it is the search for a
//! port that is measured. On the loopback device a client has sixteen million addresses.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};

use nix::errno::Errno;
use socket2::{Domain, Socket, Type};

/// The first of the addresses, and how many: as many ports as a churn of a quarter of a million sessions a second needs.
const FIRST: Ipv4Addr = Ipv4Addr::new(127, 1, 0, 1);
const COUNT: u64 = 1000;

/// Begins the `number`th connect to `server`, from an address of its own if that is on the loopback device.
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
