//! Clients of UDP servers.

use std::net::{SocketAddr, UdpSocket};
use std::time::Instant;

use hebra::{RunningUdpServer, UdpStats};

use super::FUSE;

/// Returns a socket that receives from `server` only, and fails instead of hanging.
pub fn client(server: SocketAddr) -> UdpSocket {
    let socket = UdpSocket::bind((server.ip(), 0)).expect("a free port");
    socket.connect(server).expect("a server");
    socket.set_read_timeout(Some(FUSE)).expect("a valid timeout");
    socket
}

/// Returns the next datagram.
pub fn receive(socket: &UdpSocket) -> Vec<u8> {
    let mut buffer = vec![0; 65_535];
    let length = socket.recv(&mut buffer).expect("a datagram");
    buffer.truncate(length);
    buffer
}

/// Waits until the totals of the server satisfy `holds`.
pub fn wait_until(server: &RunningUdpServer, holds: impl Fn(UdpStats) -> bool) {
    let began = Instant::now();
    while !holds(server.stats()) {
        assert!(began.elapsed() < FUSE, "{:?}", server.stats());
        std::thread::yield_now();
    }
}
