//! How many datagrams the kernel has dropped because they arrived faster than they were received.
//!
//! std has no call for it, so it is read from `/proc`. Where there is no `/proc`, nothing is known and 0 is returned.

use std::fs;
use std::net::{IpAddr, SocketAddr};

use super::outgoing::end;

/// Returns the number of datagrams that the kernel has dropped since the sockets on `addresses` were opened.
pub(crate) fn kernel_drops(addresses: &[SocketAddr]) -> u64 {
    ["/proc/self/net/udp", "/proc/self/net/udp6"]
        .iter()
        .filter_map(|path| fs::read_to_string(path).ok())
        .map(|table| {
            let rows = table.lines().filter_map(row);
            rows.filter(|(local, _)| addresses.iter().any(|address| (address.ip(), address.port()) == *local))
                .map(|(_, drops)| drops)
                .sum::<u64>()
        })
        .sum()
}

/// The address and the drops of the socket in a row of the table.
fn row(line: &str) -> Option<((IpAddr, u16), u64)> {
    let (_number, rest) = line.trim_start().split_once(' ')?;
    let local = end(rest.split_ascii_whitespace().next()?)?;
    let drops = rest.split_ascii_whitespace().next_back()?.parse().ok()?;
    Some((local, drops))
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;

    use super::*;

    #[test]
    fn what_a_full_buffer_cannot_take_is_counted_for_its_socket_alone() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let Ok(socket) = UdpSocket::bind(address) else { continue };
            let other = UdpSocket::bind(address).expect("a port is free");
            let sender = UdpSocket::bind(address).expect("a port is free");
            let local = |socket: &UdpSocket| socket.local_addr().expect("it is bound");
            socket2::SockRef::from(&socket).set_recv_buffer_size(0).expect("a valid size");
            for _ in 0..100 {
                sender.send_to(&[0; 1000], local(&socket)).expect("loopback takes it");
            }
            socket.set_nonblocking(true).expect("a socket");
            let received = std::iter::from_fn(|| socket.recv_from(&mut [0; 1000]).ok()).count() as u64;
            let expected = if cfg!(target_os = "linux") { 100 - received } else { 0 };
            assert_eq!(kernel_drops(&[local(&socket)]), expected);
            assert_eq!(kernel_drops(&[local(&other), local(&sender)]), 0);
        }
    }

    #[test]
    fn rows_are_read_as_the_kernel_writes_them() {
        let line = "  123: 0100007F:04D2 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 98765 2 \
                    00000000aabbccdd 42        ";
        if cfg!(target_endian = "little") {
            assert_eq!(row(line), Some((([127, 0, 0, 1].into(), 1234), 42)));
        }
        assert_eq!(
            row("   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   drops"),
            None
        );
    }
}
