//! Which connections still have bytes on their way to their peers, as far as the system tells.
//!
//! A close is harmless once the peer's system has acknowledged everything, and only the kernel knows that. std has no
//! call for it, so it is read from `/proc`, by the threads that close connections and seldom. Where there is no `/proc`,
//! nothing is known.

use std::collections::HashSet;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, TcpStream};
use std::time::{Duration, Instant};

/// How long a reading is used before the next one; longer if the table is large.
const SHORTEST_USE: Duration = Duration::from_millis(50);

/// A reading of a table with many connections takes long. It is used for so many times as long, so that reading takes at
/// most a few percent of a core.
const USE_FACTOR: u32 = 30;

/// Both ends of a connection.
type Ends = ((IpAddr, u16), (IpAddr, u16));

/// The connections of this process's network that have bytes which their peers have not acknowledged.
#[derive(Debug, Default)]
pub(crate) struct Outgoing {
    /// `None` if the system does not tell.
    pending: Option<HashSet<Ends>>,
    next_reading: Option<Instant>,
}

impl Outgoing {
    /// Reads the table again, unless the last reading is from a moment ago.
    pub(crate) fn refresh(&mut self) {
        let began = Instant::now();
        if self.next_reading.is_none_or(|next| next <= began) {
            self.read();
            self.next_reading = Some(began + SHORTEST_USE.max(began.elapsed() * USE_FACTOR));
        }
    }

    /// Reads the table.
    pub(crate) fn read(&mut self) {
        let tables: Vec<String> = ["/proc/self/net/tcp", "/proc/self/net/tcp6"]
            .iter()
            .filter_map(|path| fs::read_to_string(path).ok())
            .collect();
        self.pending =
            (!tables.is_empty()).then(|| tables.iter().flat_map(|table| table.lines()).filter_map(row).collect());
    }

    /// Returns whether `stream` has such bytes: `None` if the system does not tell. A connection that is gone has none.
    pub(crate) fn is_pending(&self, stream: &TcpStream) -> Option<bool> {
        let pending = self.pending.as_ref()?;
        let ends = stream.local_addr().and_then(|local| Ok((local, stream.peer_addr()?)));
        Some(
            ends.is_ok_and(|(local, peer)| {
                pending.contains(&((local.ip(), local.port()), (peer.ip(), peer.port())))
            }),
        )
    }
}

/// The ends of the connection in a row of the table, if it has bytes that were not acknowledged.
fn row(line: &str) -> Option<Ends> {
    let mut fields = line.split_ascii_whitespace().skip(1);
    let (local, peer, _state, queues) = (fields.next()?, fields.next()?, fields.next()?, fields.next()?);
    let (unacknowledged, _unread) = queues.split_once(':')?;
    let is_pending = u64::from_str_radix(unacknowledged, 16).ok()? > 0;
    is_pending.then_some((end(local)?, end(peer)?))
}

/// An address and a port: words of 32 bits in the order of this machine's bytes, each in hexadecimal.
pub(super) fn end(text: &str) -> Option<(IpAddr, u16)> {
    let (address, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let word = |at: usize| u32::from_str_radix(address.get(at..at + 8)?, 16).ok().map(u32::to_ne_bytes);
    let address = match address.len() {
        8 => Ipv4Addr::from(word(0)?).into(),
        32 => {
            let words = [word(0)?, word(8)?, word(16)?, word(24)?];
            let bytes: [u8; 16] = words.concat().try_into().ok()?;
            Ipv6Addr::from(bytes).into()
        }
        _ => return None,
    };
    Some((address, port))
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn what_a_peer_does_not_read_is_pending_until_it_does() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let Ok(listener) = TcpListener::bind(address) else { continue };
            let mut client = TcpStream::connect(listener.local_addr().expect("it is bound")).expect("it listens");
            let (mut stream, _) = listener.accept().expect("a client came");
            stream.set_nonblocking(true).expect("a socket");
            let mut sent = 0;
            while let Ok(count) = stream.write(&[b'x'; 64 * 1024]) {
                sent += count;
            }
            let mut outgoing = Outgoing::default();
            outgoing.read();
            if !cfg!(target_os = "linux") {
                return assert_eq!(outgoing.is_pending(&stream), None);
            }
            assert_eq!(outgoing.is_pending(&stream), Some(true), "{address}");
            client.read_exact(&mut vec![0; sent]).expect("all of it comes");
            // The last acknowledgement may take 40 ms.
            while outgoing.is_pending(&stream) == Some(true) {
                outgoing.read();
            }
            assert_eq!(outgoing.is_pending(&stream), Some(false));
        }
    }

    #[test]
    fn rows_are_read_as_the_kernel_writes_them() {
        let line =
            |queue: &str| format!("   3: 0100007F:04D2 0200007F:C001 01 {queue}:00000000 01:00000014 00000000");
        if cfg!(target_endian = "little") {
            let ends = (([127, 0, 0, 1].into(), 1234), ([127, 0, 0, 2].into(), 49153));
            assert_eq!(row(&line("0000000A")), Some(ends));
        }
        assert_eq!(row(&line("00000000")), None);
        assert_eq!(row("  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt"), None);
    }
}
