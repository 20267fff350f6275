//! Which connections still have bytes on their way to their peers, as far as the system tells.
//!
//! A close is harmless once the peer's system has acknowledged everything, and only the kernel knows that. std has no
//! call for it, so it is read from `/proc`, by the threads that close connections and seldom. An answer is about the
//! time of the reading, so a caller must know that nothing was sent after it. Where there is no `/proc`, and for a
//! connection of another network namespace, nothing is known.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, TcpStream};
use std::time::{Duration, Instant};

/// How long a reading is used before the next one; longer if the table is large.
const SHORTEST_USE: Duration = Duration::from_millis(50);

/// A reading of a table with many connections takes long. It is used for so many times as long, so that reading takes at
/// most a few percent of a core.
const USE_FACTOR: u32 = 30;

/// On a busy machine a reading takes longer than its work does, and connections that close wait for the next one.
const LONGEST_USE: Duration = Duration::from_secs(1);

/// Both ends of a connection.
type Ends = ((IpAddr, u16), (IpAddr, u16));

/// The connections of this process's network, and which of them have bytes that their peers have not acknowledged.
#[derive(Debug, Default)]
pub(crate) struct Outgoing {
    is_pending: HashMap<Ends, bool>,
    /// When the last reading began; `None` before the first.
    began: Option<Instant>,
    next_reading: Option<Instant>,
}

impl Outgoing {
    /// Reads the table again, unless the last reading is from a moment ago. Returns whether it was read.
    pub(crate) fn refresh(&mut self) -> bool {
        let began = Instant::now();
        let is_due = self.next_reading.is_none_or(|next| next <= began);
        if is_due {
            self.read();
            self.next_reading = Some(began + (began.elapsed() * USE_FACTOR).clamp(SHORTEST_USE, LONGEST_USE));
        }
        is_due
    }

    /// Reads the table.
    pub(crate) fn read(&mut self) {
        #[cfg(test)]
        READINGS.set(READINGS.get() + 1);
        self.began = Some(Instant::now());
        self.is_pending.clear();
        for path in ["/proc/self/net/tcp", "/proc/self/net/tcp6"] {
            let Ok(file) = File::open(path) else { continue };
            let (mut table, mut line) = (BufReader::new(file), String::new());
            // One line at a time, because the whole table is 150 bytes for each connection of the machine.
            while table.read_line(&mut line).is_ok_and(|length| length > 0) {
                if let Some((ends, is_pending)) = row(&line) {
                    self.is_pending.insert(ends, is_pending);
                }
                line.clear();
            }
        }
    }

    /// A reading of another network namespace.
    #[cfg(test)]
    pub(crate) fn without_rows() -> Self {
        Self { began: Some(Instant::now()), ..Self::default() }
    }

    /// Returns whether the last reading began after `time`, so that it knows of what was sent until then.
    pub(crate) fn is_newer_than(&self, time: Instant) -> bool {
        self.began.is_some_and(|began| began > time)
    }

    /// Returns whether `stream` had such bytes at the last reading: `None` if the system does not tell. A connection
    /// that is gone has none, and neither has a Unix socket: what was written is with the peer already.
    pub(crate) fn is_pending(&self, stream: &TcpStream) -> Option<bool> {
        let (Ok(local), Ok(peer)) = (stream.local_addr(), stream.peer_addr()) else { return Some(false) };
        self.is_pending.get(&((local.ip(), local.port()), (peer.ip(), peer.port()))).copied()
    }
}

#[cfg(test)]
thread_local!(static READINGS: std::cell::Cell<usize> = const { std::cell::Cell::new(0) });

/// Returns how often this thread has read the table.
#[cfg(test)]
pub(crate) fn readings() -> usize {
    READINGS.get()
}

/// The ends of the connection in a row of the table, and whether it has bytes that were not acknowledged.
fn row(line: &str) -> Option<(Ends, bool)> {
    /// The states of a connection whose own end of the stream was sent and not acknowledged: FIN-WAIT-1, LAST-ACK and
    /// CLOSING. The end counts as a byte in the queue.
    const END_IS_UNACKNOWLEDGED: [&str; 3] = ["04", "09", "0B"];
    /// No socket of a process is in this state, and the row may be of an older connection between the same ends.
    const TIME_WAIT: &str = "06";
    let mut fields = line.split_ascii_whitespace().skip(1);
    let (local, peer, state, queues) = (fields.next()?, fields.next()?, fields.next()?, fields.next()?);
    let (unacknowledged, _unread) = queues.split_once(':')?;
    let unacknowledged = u64::from_str_radix(unacknowledged, 16).ok()?;
    let end_of_stream = u64::from(END_IS_UNACKNOWLEDGED.contains(&state));
    (state != TIME_WAIT).then_some(((end(local)?, end(peer)?), unacknowledged > end_of_stream))
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
        let line = |state: &str, queue: &str| {
            format!("   3: 0100007F:04D2 0200007F:C001 {state} {queue}:00000000 01:00000014 00000000")
        };
        if cfg!(target_endian = "little") {
            let ends = (([127, 0, 0, 1].into(), 1234), ([127, 0, 0, 2].into(), 49153));
            assert_eq!(row(&line("01", "0000000A")), Some((ends, true)));
            assert_eq!(row(&line("01", "00000000")), Some((ends, false)));
            // The end of the stream is not a byte that a client could miss.
            assert_eq!(row(&line("04", "00000001")), Some((ends, false)));
            assert_eq!(row(&line("04", "00000002")), Some((ends, true)));
        }
        assert_eq!(row(&line("06", "00000000")), None);
        assert_eq!(row("  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt"), None);
    }

    #[test]
    fn nothing_is_known_of_a_connection_without_a_row() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback exists");
        let stream = TcpStream::connect(listener.local_addr().expect("it is bound")).expect("it listens");
        let before = Instant::now();
        let mut outgoing = Outgoing::default();
        assert!(!outgoing.is_newer_than(before));
        outgoing.read();
        assert!(outgoing.is_newer_than(before) && !outgoing.is_newer_than(Instant::now()));
        let outgoing = Outgoing::without_rows();
        assert!(outgoing.is_newer_than(before));
        assert_eq!(outgoing.is_pending(&stream), None);
    }
}
