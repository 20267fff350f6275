//! One address that opens too many connections.

use std::net::{Ipv4Addr, SocketAddr, TcpStream};

use socket2::{Domain, Socket, Type};

use crate::stop_and_balance;
use crate::support::{FUSE, address, config, exchange, read_to_end, say_bye, start};

const BUSY: &[u8] = b"busy: too many connections from your address\r\n";

/// Connects a client from the address 127.0.0.`last`.
fn connect_from(last: u8, server: SocketAddr) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    let source = SocketAddr::from((Ipv4Addr::new(127, 0, 0, last), 0));
    socket.bind(&source.into()).expect("all of 127.0.0.0/8 is this machine");
    socket.connect(&server.into()).expect("it listens");
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(FUSE)).expect("a valid timeout");
    stream
}

#[test]
fn one_address_gets_its_share_and_no_more() {
    let server = start(config().max_per_ip(Some(2)));
    let server_address = address(&server);
    let mut first = connect_from(2, server_address);
    assert_eq!(exchange(&mut first, b"one"), b"one");
    let mut second = connect_from(2, server_address);
    assert_eq!(exchange(&mut second, b"two"), b"two");
    assert_eq!(read_to_end(&mut connect_from(2, server_address)), BUSY);
    let mut other = connect_from(3, server_address);
    assert_eq!(exchange(&mut other, b"another address"), b"another address");
    // A client's place is free when it sees the end of the stream.
    for _ in 0..100 {
        say_bye(&mut second);
        second = connect_from(2, server_address);
        assert_eq!(exchange(&mut second, b"two"), b"two");
    }
    drop((first, second, other));
    assert_eq!(stop_and_balance(server).refused, 1);
}

#[test]
fn a_waiting_client_counts_toward_the_share_of_its_address() {
    let server = start(config().workers(1).max_per_ip(Some(2)));
    let server_address = address(&server);
    let mut served = connect_from(2, server_address);
    assert_eq!(exchange(&mut served, b"one"), b"one");
    let waiting = connect_from(2, server_address);
    assert_eq!(read_to_end(&mut connect_from(2, server_address)), BUSY);
    drop((served, waiting));
    stop_and_balance(server);
}
