//! A plain reference for the parser of PROXY headers. It looks at all bytes at once, and shares no code with the parser.

#![allow(dead_code, unreachable_pub, reason = "each program uses its own part of this")]

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use hebra::Peer;
use hebra::proxy::{Header, Source, parse};

pub const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// The longest headers of version 1 and 2.
pub const LONGEST_LINE: usize = 107;
pub const LONGEST: usize = 4096;

/// Of longer inputs, only prefixes of up to this length are compared, and the whole.
const PREFIXES: usize = 300;

/// Compares the parser with the reference on `input` and on what it begins with, as a reader sees it that gets one byte
/// after the other. A decision must not change when more bytes come.
pub fn check_proxy(input: &[u8]) {
    let mut decided = None;
    for end in (0..=input.len().min(PREFIXES)).chain([input.len()]) {
        let found = parse(&input[..end]);
        assert_eq!(found, expected(&input[..end]), "{:?}", &input[..end]);
        assert!(decided.is_none_or(|decided| decided == found), "{end} {input:?}");
        decided = (found != Header::Incomplete).then_some(found);
    }
}

/// Returns what the parser should return.
pub fn expected(bytes: &[u8]) -> Header {
    let is_part_of = |beginning: &[u8]| bytes.len() < beginning.len() && beginning.starts_with(bytes);
    if is_part_of(b"PROXY ") || is_part_of(SIGNATURE) {
        Header::Incomplete
    } else if bytes.starts_with(b"PROXY ") {
        expected_line(&bytes[..bytes.len().min(LONGEST_LINE)])
    } else if bytes.starts_with(SIGNATURE) {
        expected_binary(bytes)
    } else {
        Header::Invalid
    }
}

fn expected_line(bytes: &[u8]) -> Header {
    let line = bytes.split_inclusive(|byte| *byte == b'\n').next().filter(|line| line.ends_with(b"\n"));
    let Some(line) = line else {
        return if bytes.len() == LONGEST_LINE { Header::Invalid } else { Header::Incomplete };
    };
    let Some(text) = line.strip_suffix(b"\r\n") else { return Header::Invalid };
    let words: Vec<&[u8]> = text.split(|byte| *byte == b' ').collect();
    let source = match words[1..] {
        [b"UNKNOWN", ..] => Some(Source::Unnamed),
        [b"TCP4", from, to, from_port, to_port] => named(four(from), four(to), from_port, to_port),
        [b"TCP6", from, to, from_port, to_port] => named(six(from), six(to), from_port, to_port),
        _ => None,
    };
    source.map_or(Header::Invalid, |source| Header::Complete { length: line.len(), source })
}

fn named(from: Option<IpAddr>, to: Option<IpAddr>, from_port: &[u8], to_port: &[u8]) -> Option<Source> {
    let port = |text| number(text, 65_535).and_then(|port| u16::try_from(port).ok());
    let (Some(from), Some(_), Some(port), Some(_)) = (from, to, port(from_port), port(to_port)) else {
        return None;
    };
    Some(Source::Client(SocketAddr::new(from, port).into()))
}

/// A decimal number as it is printed.
fn number(text: &[u8], largest: u32) -> Option<u32> {
    let number: u32 = std::str::from_utf8(text).ok()?.parse().ok()?;
    (number <= largest && number.to_string().as_bytes() == text).then_some(number)
}

fn four(text: &[u8]) -> Option<IpAddr> {
    let numbers: Vec<Option<u32>> = text.split(|byte| *byte == b'.').map(|part| number(part, 255)).collect();
    let [Some(a), Some(b), Some(c), Some(d)] = numbers[..] else { return None };
    Some(IpAddr::from((a << 24 | b << 16 | c << 8 | d).to_be_bytes()))
}

/// The standard library knows the many ways to write one.
fn six(text: &[u8]) -> Option<IpAddr> {
    std::str::from_utf8(text).ok()?.parse::<Ipv6Addr>().ok().map(IpAddr::V6)
}

fn expected_binary(bytes: &[u8]) -> Header {
    let (command, family) = (bytes.get(12).copied(), bytes.get(13).copied());
    let is_known = |family: u8| [0x00, 0x10, 0x20, 0x30].iter().any(|known| (*known..=known + 2).contains(&family));
    let is_local = command == Some(0x20);
    if command.is_some_and(|command| command != 0x20 && command != 0x21)
        || family.is_some_and(|family| !is_local && !is_known(family))
    {
        return Header::Invalid;
    }
    if bytes.len() < 16 {
        return Header::Incomplete;
    }
    let length = 16 + usize::from(bytes[14]) * 256 + usize::from(bytes[15]);
    if length > LONGEST {
        return Header::Invalid;
    }
    if bytes.len() < length {
        return Header::Incomplete;
    }
    let block = &bytes[16..length];
    let port = |at: usize| u16::from(block[at]) * 256 + u16::from(block[at + 1]);
    let client = |ip: IpAddr, port| Source::Client(SocketAddr::new(ip, port).into());
    let source = match family {
        _ if is_local => Source::Probe,
        Some(0x11 | 0x12) if block.len() >= 12 => client([block[0], block[1], block[2], block[3]].into(), port(8)),
        Some(0x21 | 0x22) if block.len() >= 36 => {
            let groups: Vec<u16> = (0..8).map(|group| port(2 * group)).collect();
            client(<[u16; 8]>::try_from(groups).expect("eight").into(), port(32))
        }
        Some(0x31 | 0x32) if block.len() >= 216 => Source::Client(Peer::Unix),
        Some(0x11 | 0x12 | 0x21 | 0x22 | 0x31 | 0x32) => return Header::Invalid,
        _ => Source::Unnamed,
    };
    Header::Complete { length, source }
}
