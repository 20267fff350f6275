//! The payload has no special meaning in any framing.

use std::collections::HashSet;
use std::time::Duration;

use hebra::Framing;

use crate::harness::traffic::load::{Load, Mode};
use crate::harness::traffic::payload::{Payloads, Position};
use crate::support::{address, config, start};
use crate::{load, run};

#[test]
fn every_framing_echoes_every_size() {
    for framing in [Framing::Message, Framing::Line, Framing::Raw] {
        let server = start(config().framing(framing));
        for (mode, size, depth) in [
            (Mode::Echo, 1, 1),
            (Mode::Echo, 2, 100),
            (Mode::Echo, 13, 7),
            (Mode::Echo, 512, 1),
            (Mode::Stream, 64 * 1024, 16),
        ] {
            let duration = Duration::from_millis(20);
            let load = Load { mode, size, depth, duration, ..load(address(&server)) };
            // On a busy machine the short window may pass before anything is sent, so the run is repeated.
            let mut runs = std::iter::repeat_with(|| run(&load).tally);
            let tally = runs.find(|tally| tally.total_answers > 0 || tally.failures.total() > 0);
            let failures = tally.expect("the iterator is infinite").failures;
            assert_eq!(failures.total(), 0, "{framing:?} {size} B: {failures:?}");
        }
    }
}

#[test]
fn messages_are_unique_lines_with_nothing_special_in_them() {
    let payloads = Payloads::new(7, 40);
    let mut seen = HashSet::new();
    for connection in 0..10 {
        for message in 0..1000 {
            let mut bytes = Vec::new();
            let end = payloads.append(connection, Position { message, offset: 0 }, &mut bytes, 100);
            assert_eq!(end, Position { message: message + 1, offset: 0 });
            let (last, text) = bytes.split_last().expect("40 bytes");
            assert_eq!((text.len(), *last), (39, b'\n'));
            // Without these letters no part of a message is a `bye`, whatever a framing skips.
            assert!(text.iter().all(|byte| byte.is_ascii_graphic() && !b"by".contains(byte)));
            assert!(seen.insert(bytes));
        }
    }
}

#[test]
fn any_part_of_a_message_can_be_sent_and_compared() {
    let payloads = Payloads::new(7, 30);
    let mut whole = Vec::new();
    payloads.append(3, Position { message: 9, offset: 0 }, &mut whole, 30);
    for offset in 0..30 {
        let position = Position { message: 9, offset };
        let mut part = Vec::new();
        payloads.append(3, position, &mut part, 5);
        assert_eq!(part, whole[offset..30.min(offset + 5)]);
        assert_eq!(payloads.verify(3, position, &part), Ok(part.len()));
        // Bytes after the end of the message are not compared.
        assert_eq!(payloads.verify(3, position, &[&whole[offset..], b"more"].concat()), Ok(30 - offset));
        part[0] ^= 1;
        let at = payloads.verify(3, position, &part).expect_err("a bit differs").position;
        assert_eq!(at, position);
    }
}
