//! Compares the parser of PROXY headers with the plain reference, on headers that are whole, damaged, cut or followed by
//! anything. Each is looked at as a reader gets it, one byte after the other.

use hebra::proxy::{Header, Source, parse};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{Config, TestCaseError, TestRunner};

use crate::proxy_reference::{LONGEST_LINE, SIGNATURE, check_proxy};

const CASES: u32 = 4000;

#[test]
fn headers_are_those_of_the_reference_however_they_are_cut() {
    let config = Config { failure_persistence: None, ..Config::with_cases(CASES) };
    let damaged = (header(), vec((any::<prop::sample::Index>(), any::<u8>()), 0..3), vec(any::<u8>(), 0..8));
    let property = |(mut bytes, changes, rest): (Vec<u8>, Vec<(prop::sample::Index, u8)>, Vec<u8>)| {
        for (place, byte) in changes {
            *place.get_mut(&mut bytes) = byte;
        }
        bytes.extend(rest);
        check_proxy(&bytes);
        Ok::<(), TestCaseError>(())
    };
    TestRunner::new(config).run(&damaged, property).expect("they agree");
}

#[test]
fn many_of_the_headers_that_are_compared_are_complete() {
    let config = Config { failure_persistence: None, ..Config::with_cases(CASES) };
    let count = std::cell::Cell::new(0);
    let property = |bytes: Vec<u8>| {
        count.set(count.get() + u32::from(matches!(parse(&bytes), Header::Complete { .. })));
        Ok::<(), TestCaseError>(())
    };
    TestRunner::new(config).run(&header(), property).expect("it never fails");
    assert!(count.get() > CASES / 4, "only {} of {CASES}", count.get());
}

#[test]
fn the_longest_line_is_complete_and_one_byte_more_is_not() {
    let line = |filler: usize| format!("PROXY UNKNOWN {}\r\n", "x".repeat(filler)).into_bytes();
    let filler = LONGEST_LINE - line(0).len();
    let complete = Header::Complete { length: LONGEST_LINE, source: Source::Unnamed };
    assert_eq!(parse(&line(filler)), complete);
    assert_eq!(parse(&line(filler)[..LONGEST_LINE - 1]), Header::Incomplete);
    assert_eq!(parse(&line(filler + 1)), Header::Invalid);
    assert_eq!(parse(&line(filler + 1)[..LONGEST_LINE]), Header::Invalid);
}

/// Generates a header of either version, most often one that keeps the rules.
fn header() -> impl Strategy<Value = Vec<u8>> {
    let four = any::<[u8; 4]>().prop_map(|ip| std::net::Ipv4Addr::from(ip).to_string());
    let six = any::<[u16; 8]>().prop_map(|ip| std::net::Ipv6Addr::from(ip).to_string());
    let odd =
        select(vec!["::1", "::", "1.2.3", "256.1.1.1", "01.2.3.4", "", "::ffff:1.2.3.4", "1:2:3:4:5:6:7:8:9"]);
    let ip = prop_oneof![6 => four, 6 => six, 1 => odd.prop_map(str::to_owned)];
    let odd_port = select(vec!["65536", "007", "+1", "-1", "", "0x10", " "]);
    let port =
        prop_oneof![12 => any::<u16>().prop_map(|port| port.to_string()), 1 => odd_port.prop_map(str::to_owned)];
    let line = (ip.clone(), ip, port.clone(), port, select(vec!["\r\n", "\r\n", "\r\n", "\n", " \r\n", "\r"]));
    let line = line.prop_map(|(from, to, from_port, to_port, end)| {
        let family = if from.contains(':') { "TCP6" } else { "TCP4" };
        // The destination has the family of the source.
        let to = if from.contains(':') == to.contains(':') { to } else { from.clone() };
        format!("PROXY {family} {from} {to} {from_port} {to_port}{end}").into_bytes()
    });
    let unknown = vec(any::<u8>(), 0..100).prop_map(|rest| [b"PROXY UNKNOWN ", &rest[..], b"\r\n"].concat());
    let command = select(vec![0x21, 0x21, 0x21, 0x20, 0x22, 0x11]);
    let family = select(vec![0x11, 0x11, 0x21, 0x21, 0x12, 0x22, 0x31, 0x00, 0x10, 0x13, 0x41]);
    let binary =
        (command, family, vec(any::<u8>(), 0..260), 0..40_u16).prop_map(|(command, family, block, missing)| {
            let length = block.len() as u16 + if missing < 4 { missing } else { 0 };
            [SIGNATURE, &[command, family], &length.to_be_bytes(), &block].concat()
        });
    prop_oneof![3 => line, 1 => unknown, 4 => binary]
}
