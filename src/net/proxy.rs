//! The PROXY protocol, version 1 and 2: the header with which a proxy names the client that it connects for.
//!
//! The rules are those of HAProxy's `proxy-protocol.txt`. What follows the addresses, such as TLS details, is skipped.
//! [`parse`] is pure. A worker reads a header before it begins the session, because an acceptor waits for no client.

use std::io::{self, ErrorKind, Read};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use crate::client::Peer;

/// How long after the accept of its connection a proxy may take for its header. It sends the header at once; this is
/// time for a lost packet to come again. A connection that has waited for a worker that long must have its header there:
/// so proxies that send none delay any other client by that long, however many they are.
const TIME: Duration = Duration::from_secs(3);

/// The longest wait before the reader sees that the server stops.
const SLICE: Duration = Duration::from_millis(100);

/// The longest header of version 1, in bytes, its line end included.
const LONGEST_LINE: usize = 107;

/// The longest header of version 2 that is taken, in bytes. Real ones have a few hundred.
const LONGEST: usize = 4096;

const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
const LINE: &[u8] = b"PROXY ";

/// What a connection begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Header {
    /// A part of a header: more bytes decide.
    Incomplete,
    /// No header, or one that breaks the rules.
    Invalid,
    /// A header.
    Complete {
        /// The length of the header in bytes. The client's own bytes follow.
        length: usize,
        /// For whom the proxy connects.
        source: Source,
    },
}

/// For whom a proxy connects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// For itself, to check whether the server is there (`LOCAL`).
    Probe,
    /// For a client that it does not name (`UNKNOWN`, `UNSPEC`).
    Unnamed,
    /// For this client. It may be the proxy's own end of the connection, as in HAProxy's checks with version 1, which has
    /// no `LOCAL`.
    Client(Peer),
}

/// Parses the header with which `bytes` begins.
///
/// ```
/// use hebra::proxy::{Header, Source, parse};
///
/// let header = b"PROXY TCP4 203.0.113.7 192.0.2.1 5000 80\r\n";
/// let client = "203.0.113.7:5000".parse::<std::net::SocketAddr>()?;
/// let complete = Header::Complete { length: header.len(), source: Source::Client(client.into()) };
/// assert_eq!(parse(&[header, "hello".as_bytes()].concat()), complete);
/// assert_eq!(parse(&header[..20]), Header::Incomplete);
/// assert_eq!(parse(b"hello"), Header::Invalid);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use]
pub fn parse(bytes: &[u8]) -> Header {
    let begins = |with: &[u8]| bytes.iter().zip(with).all(|(byte, expected)| byte == expected);
    if begins(LINE) {
        parse_line(bytes)
    } else if begins(SIGNATURE) {
        parse_binary(bytes)
    } else {
        Header::Invalid
    }
}

/// Version 1: a line of text.
fn parse_line(bytes: &[u8]) -> Header {
    let within = &bytes[..bytes.len().min(LONGEST_LINE)];
    let Some(feed) = within.iter().position(|byte| *byte == b'\n') else {
        return if bytes.len() < LONGEST_LINE { Header::Incomplete } else { Header::Invalid };
    };
    let source = within[..feed].strip_suffix(b"\r").and_then(|line| line_source(line.get(LINE.len()..)?));
    source.map_or(Header::Invalid, |source| Header::Complete { length: feed + 1, source })
}

/// Returns what the fields after `PROXY ` say.
fn line_source(fields: &[u8]) -> Option<Source> {
    // Whatever follows UNKNOWN is ignored, text or not.
    if fields == b"UNKNOWN" || fields.starts_with(b"UNKNOWN ") {
        return Some(Source::Unnamed);
    }
    let mut fields = std::str::from_utf8(fields).ok()?.split(' ');
    let mut next = || fields.next();
    let ip: fn(&str) -> Option<IpAddr> = match next()? {
        "TCP4" => |text| text.parse::<Ipv4Addr>().ok().map(IpAddr::from),
        "TCP6" => |text| text.parse::<Ipv6Addr>().ok().map(IpAddr::from),
        _ => return None,
    };
    let (source, _destination) = (ip(next()?)?, ip(next()?)?);
    let (source_port, _destination_port) = (port(next()?)?, port(next()?)?);
    next().is_none().then(|| Source::Client(SocketAddr::new(source, source_port).into()))
}

/// Parses a port, which has neither a sign nor leading zeros.
fn port(text: &str) -> Option<u16> {
    let is_plain = text == "0" || !text.starts_with(['0', '+']);
    if is_plain { text.parse().ok() } else { None }
}

/// Version 2: a signature, command and version, family and transport, the length of the rest, addresses.
fn parse_binary(bytes: &[u8]) -> Header {
    // A wrong byte is seen as soon as it is there.
    let is_local = match bytes.get(12) {
        Some(0x20) => true,
        Some(0x21) => false,
        Some(_) => return Header::Invalid,
        None => return Header::Incomplete,
    };
    let family = match bytes.get(13) {
        Some(family) if is_local || (family >> 4 <= 3 && family & 0xf <= 2) => *family,
        Some(_) => return Header::Invalid,
        None => return Header::Incomplete,
    };
    let Some([high, low]) = bytes.get(14..16) else { return Header::Incomplete };
    let length = 16 + usize::from(u16::from_be_bytes([*high, *low]));
    if length > LONGEST {
        return Header::Invalid;
    }
    let Some(addresses) = bytes.get(16..length) else { return Header::Incomplete };
    let source = if is_local { Some(Source::Probe) } else { binary_source(family, addresses) };
    source.map_or(Header::Invalid, |source| Header::Complete { length, source })
}

/// Returns what the addresses say: source, destination, port of the source, port of the destination.
fn binary_source(family: u8, addresses: &[u8]) -> Option<Source> {
    let (ip, port) = match family {
        0x11 | 0x12 => {
            let (ip, rest) = addresses.get(..12)?.split_first_chunk::<4>()?;
            (IpAddr::from(*ip), [rest[4], rest[5]])
        }
        0x21 | 0x22 => {
            let (ip, rest) = addresses.get(..36)?.split_first_chunk::<16>()?;
            (IpAddr::from(*ip), [rest[16], rest[17]])
        }
        0x31 | 0x32 => return addresses.get(..216).map(|_| Source::Client(Peer::Unix)),
        // A family or a transport that the proxy does not know.
        _ => return Some(Source::Unnamed),
    };
    Some(Source::Client(SocketAddr::new(ip, u16::from_be_bytes(port)).into()))
}

/// Why a connection from a proxy has no client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoHeader {
    /// The proxy left without a byte: it only looked whether the server is there.
    Left,
    /// What came was no header, or it did not come in time.
    Invalid,
    /// The server stops.
    Stopped,
}

/// Reads the header of a connection that was accepted at `since`, and nothing behind it. Blocks until [`TIME`] after that
/// at most; once `is_stopping`, only for as long as bytes of it arrive.
#[inline(never)]
pub(crate) fn read(stream: &TcpStream, since: Instant, is_stopping: impl Fn() -> bool) -> Result<Source, NoHeader> {
    let source = read_until(stream, since + TIME, is_stopping);
    // It cannot fail on an open socket.
    let _: io::Result<()> = stream.set_read_timeout(None);
    source
}

fn read_until(
    mut stream: &TcpStream,
    deadline: Instant,
    is_stopping: impl Fn() -> bool,
) -> Result<Source, NoHeader> {
    // Not on the stack, of which each session keeps the pages that were ever touched.
    let mut bytes = vec![0; LONGEST];
    let mut have = 0;
    loop {
        // What is there is looked at even when the time is up.
        let left = deadline.saturating_duration_since(Instant::now());
        let timeout = stream.set_read_timeout(Some(left.clamp(Duration::from_millis(1), SLICE)));
        match timeout.and_then(|()| stream.peek(&mut bytes[have..])) {
            Ok(0) => return Err(if have == 0 { NoHeader::Left } else { NoHeader::Invalid }),
            Ok(seen) => {
                let (end, source) = match parse(&bytes[..have + seen]) {
                    Header::Incomplete => (have + seen, None),
                    Header::Complete { length, source } => (length, Some(source)),
                    Header::Invalid => return Err(NoHeader::Invalid),
                };
                // This does not block, because these bytes were seen.
                stream.read_exact(&mut bytes[have..end]).map_err(|_| NoHeader::Invalid)?;
                have = end;
                if let Some(source) = source {
                    return Ok(source);
                }
            }
            Err(error) => match error.kind() {
                // What has arrived by the stop is still read.
                ErrorKind::WouldBlock | ErrorKind::TimedOut if is_stopping() => return Err(NoHeader::Stopped),
                ErrorKind::Interrupted | ErrorKind::WouldBlock | ErrorKind::TimedOut => {}
                _ => return Err(if have == 0 { NoHeader::Left } else { NoHeader::Invalid }),
            },
        }
        if left.is_zero() {
            return Err(NoHeader::Invalid);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    fn client(text: &str) -> Source {
        Source::Client(text.parse::<SocketAddr>().expect("an address").into())
    }

    fn binary(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let length = u16::try_from(rest.len()).expect("short").to_be_bytes();
        [SIGNATURE.as_slice(), &[command, family], &length, rest].concat()
    }

    #[test]
    fn headers_of_both_versions_are_read_and_what_follows_is_left() {
        let four = [203, 0, 113, 7, 192, 0, 2, 1, 0x13, 0x88, 0, 80];
        let mut six = [0; 36];
        six[..4].copy_from_slice(&[0x20, 1, 0xd, 0xb8]);
        six[15] = 1;
        six[32..].copy_from_slice(&[0x13, 0x88, 0, 80]);
        let cases: [(Vec<u8>, Source); 11] = [
            (b"PROXY TCP4 203.0.113.7 192.0.2.1 5000 80\r\n".to_vec(), client("203.0.113.7:5000")),
            (b"PROXY TCP6 2001:db8::1 2001:db8::2 5000 80\r\n".to_vec(), client("[2001:db8::1]:5000")),
            (b"PROXY UNKNOWN\r\n".to_vec(), Source::Unnamed),
            (b"PROXY UNKNOWN ffff:: whatever \xff 2\r\n".to_vec(), Source::Unnamed),
            (binary(0x21, 0x11, &four), client("203.0.113.7:5000")),
            (binary(0x21, 0x11, &[&four[..], &[4, 0, 1, b'x']].concat()), client("203.0.113.7:5000")),
            (binary(0x21, 0x21, &six), client("[2001:db8::1]:5000")),
            (binary(0x21, 0x31, &[0; 216]), Source::Client(Peer::Unix)),
            (binary(0x20, 0, &[]), Source::Probe),
            // The family and the addresses of LOCAL mean nothing.
            (binary(0x20, 0xff, b"any"), Source::Probe),
            (binary(0x21, 0x10, b""), Source::Unnamed),
        ];
        for (header, source) in cases {
            for end in 0..header.len() {
                assert_eq!(parse(&header[..end]), Header::Incomplete, "{header:?} {end}");
            }
            let complete = Header::Complete { length: header.len(), source };
            assert_eq!(parse(&header), complete);
            assert_eq!(parse(&[&header, b"hello".as_slice()].concat()), complete);
        }
        assert_eq!(parse(&binary(0x21, 0x00, b"any")), Header::Complete { length: 19, source: Source::Unnamed });
    }

    #[test]
    fn what_breaks_the_rules_is_invalid() {
        let long = format!("PROXY UNKNOWN {}\r\n", "x".repeat(100));
        let lines = [
            "hello\r\n",
            "proxy TCP4",
            "PROXY TCP4 203.0.113.7 192.0.2.1 5000 80\n",
            "PROXY TCP5 1 2 3 4\r\n",
            "PROXY TCP4 203.0.113.7 192.0.2.1 5000\r\n",
            "PROXY TCP4 203.0.113.7 192.0.2.1 5000 80 \r\n",
            "PROXY TCP4 203.0.113.7 192.0.2.1 65536 80\r\n",
            "PROXY TCP4 203.0.113.7 192.0.2.1 +1 80\r\n",
            "PROXY TCP4 203.0.113.7 192.0.2.1 5000 080\r\n",
            "PROXY TCP4 203.0.113.7 192.0.2.1 5000 80 90\r\n",
            "PROXY TCP4 203.0.113.7 192.0.2.01 5000 80\r\n",
            "PROXY UNKNOWNS\r\n",
            "PROXY UNKNOWN\n",
            "PROXY TCP4 203.0.113.7 192.0.2.1  80\r\n",
            "PROXY TCP4 ::1 ::1 1 2\r\n",
            "PROXY \r\n",
            "PROXYTCP4\r\n",
            &long,
        ];
        for line in lines {
            assert_eq!(parse(line.as_bytes()), Header::Invalid, "{line:?}");
        }
        for binary in [
            binary(0x11, 0x11, &[0; 12]),
            binary(0x22, 0x11, &[0; 12]),
            binary(0x21, 0x41, &[0; 12]),
            binary(0x21, 0x13, &[0; 12]),
            binary(0x21, 0x11, &[0; 11]),
            binary(0x21, 0x21, &[0; 35]),
            binary(0x21, 0x31, &[0; 215]),
            binary(0x20, 0x00, &[0; LONGEST - 15]),
            b"\r\n\r\n\0\r\nQUIT\r".to_vec(),
        ] {
            assert_eq!(parse(&binary), Header::Invalid, "{binary:?}");
        }
    }

    #[test]
    fn a_header_is_read_however_it_is_cut_and_not_a_byte_behind_it() {
        let header = binary(0x21, 0x11, &[203, 0, 113, 7, 192, 0, 2, 1, 0x13, 0x88, 0, 80]);
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback exists");
        let address = listener.local_addr().expect("it is bound");
        for cut in [0, 1, 12, 15, 16, 27, header.len()] {
            let mut proxy = TcpStream::connect(address).expect("it listens");
            proxy.set_nodelay(true).expect("a socket");
            let (mut stream, _) = listener.accept().expect("it came");
            let reader = thread::spawn(move || {
                assert_eq!(read(&stream, Instant::now(), || false), Ok(client("203.0.113.7:5000")));
                let mut rest = Vec::new();
                stream.read_to_end(&mut rest).expect("a clean end");
                rest
            });
            proxy.write_all(&header[..cut]).expect("it is read");
            proxy.write_all(&[&header[cut..], b"hello"].concat()).expect("it is read");
            drop(proxy);
            assert_eq!(reader.join().expect("it reads"), b"hello");
        }
        let arrive = || {
            let proxy = TcpStream::connect(address).expect("it listens");
            (proxy, listener.accept().expect("it came").0)
        };
        let (proxy, stream) = arrive();
        drop(proxy);
        assert_eq!(read(&stream, Instant::now(), || false), Err(NoHeader::Left));
        let (mut proxy, stream) = arrive();
        proxy.write_all(b"PROXY TCP4 1").expect("it is read");
        // What has arrived by a stop is read, and the rest is not waited for.
        assert_eq!(read(&stream, Instant::now(), || true), Err(NoHeader::Stopped));
        proxy.write_all(&header).expect("it is read");
        assert_eq!(read(&stream, Instant::now(), || true), Ok(client("203.0.113.7:5000")));
        proxy.write_all(b"PROXY TCP4 1").expect("it is read");
        drop(proxy);
        assert_eq!(read(&stream, Instant::now(), || false), Err(NoHeader::Invalid));
        let (_proxy, stream) = arrive();
        assert_eq!(read_until(&stream, Instant::now(), || false), Err(NoHeader::Invalid));
    }

    #[test]
    fn a_header_that_came_while_its_connection_waited_is_read_and_a_part_of_one_is_not_waited_for() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback exists");
        let mut proxy = TcpStream::connect(listener.local_addr().expect("it is bound")).expect("it listens");
        let (stream, _) = listener.accept().expect("it came");
        let over = Instant::now();
        proxy.write_all(b"PROXY UNKNOWN\r\nPROXY ").expect("it is read");
        stream.peek(&mut [0]).expect("it has arrived");
        assert_eq!(read_until(&stream, over, || false), Ok(Source::Unnamed));
        assert_eq!(read_until(&stream, over, || false), Err(NoHeader::Invalid));
    }
}
