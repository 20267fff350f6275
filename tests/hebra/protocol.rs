//! Compares the protocol core with a plain reference, for every way in which TCP may cut a stream into reads.

use std::cell::Cell;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{TestError, TestRunner};

use crate::reference::{
    AYT, DO, DONT, IAC, Output, SB, SE, WILL, WONT, expected_bye, expected_lines, expected_text, found_bye,
    found_lines, found_text,
};

/// Streams that are generated for each property. With several splits of each, these are well over [`LEAST_CASES`].
const STREAMS: u32 = 3000;
const SHORT_STREAMS: u32 = 400;

/// The least number of pairs of a stream and a split that each property is checked with.
const LEAST_CASES: u64 = 100_000;

#[test]
fn bye_is_found_where_the_reference_finds_it_however_the_stream_is_cut() {
    let cases = Cell::new(0);
    check_all_splits(|_, reads| {
        cases.set(cases.get() + 1);
        prop_assert_eq!(found_bye(reads), expected_bye(reads), "{:?}", reads);
        Ok(())
    });
    assert!(cases.get() >= LEAST_CASES, "only {} cases", cases.get());
}

#[test]
fn lines_and_refusals_are_those_of_the_reference_however_the_stream_is_cut() {
    let cases = Cell::new(0);
    check_all_splits(|max_line, reads| {
        cases.set(cases.get() + 1);
        prop_assert_eq!(found_lines(reads, max_line), expected_lines(reads, max_line), "{:?}", reads);
        Ok(())
    });
    assert!(cases.get() >= LEAST_CASES, "only {} cases", cases.get());
}

#[test]
fn bye_may_arrive_one_byte_at_a_time() {
    assert_eq!(found_bye(&[b"b", b"y", b"e", b"\r", b"\n"]), Some((4, 0)));
}

#[test]
fn bye_may_be_packed_with_other_lines() {
    assert_eq!(found_bye(&[b"hello\nbye\n"]), Some((0, 6)));
    assert_eq!(found_bye(&[b"hello\n\tbye \r\nnever read"]), Some((0, 6)));
    assert_eq!(found_bye(&[b"hello\nbye"]), None);
}

#[test]
fn a_whole_read_of_bye_ends_the_session_whatever_came_before() {
    assert_eq!(found_bye(&[b"bye"]), Some((0, 0)));
    assert_eq!(found_bye(&[b" bye\r\n"]), Some((0, 0)));
    assert_eq!(found_bye(&[b"\r\nbye"]), Some((0, 2)));
    assert_eq!(found_bye(&[b"good", b"bye"]), Some((1, 0)));
}

#[test]
fn bye_is_not_answered_when_its_line_began_with_another_word() {
    assert_eq!(found_bye(&[b"good", b"bye\n"]), Some((1, 0)));
    assert_eq!(found_bye(&[b"good", b"\r\n bye\r\n\r\n"]), Some((1, 2)));
}

#[test]
fn words_with_bye_in_them_are_not_bye() {
    assert_eq!(found_bye(&[b"goodbye"]), None);
    assert_eq!(found_bye(&[b"goodbye\n", b"bye now\n", b"b ye\n", b"BYE\n", b"byebye\n"]), None);
}

#[test]
fn bye_after_control_c_is_bye() {
    assert_eq!(found_bye(&[&[IAC, 244, IAC, DO, 6], b"bye\r\n"]), Some((1, 0)));
    assert_eq!(found_bye(&[&[IAC, 244, IAC, DO, 6, b'b', b'y', b'e']]), Some((0, 5)));
}

#[test]
fn a_command_after_bye_is_discarded_with_what_follows() {
    assert_eq!(found_bye(&[b"hello\nbye", &[IAC, 244, b'\n']]), Some((1, 0)));
    assert_eq!(found_bye(&[&[b'b', b'y', b'e', IAC, 244]]), Some((0, 0)));
}

#[test]
fn an_iac_that_begins_no_command_is_data() {
    assert_eq!(found_bye(&[&[IAC, b'b', b'y', b'e', b'\n']]), None);
    assert_eq!(found_bye(&[&[IAC], b"bye"]), None);
    assert_eq!(found_bye(&[&[IAC, b'\n', b'b', b'y', b'e', b'\n']]), Some((0, 2)));
}

#[test]
fn bye_is_found_after_a_line_of_a_mebibyte() {
    let long = vec![b'x'; 1 << 20];
    let mut reads: Vec<&[u8]> = long.chunks(16 * 1024).collect();
    reads.push(b"\nbye\n");
    assert_eq!(found_bye(&reads), Some((64, 1)));
}

#[test]
fn text_and_answers_are_those_of_the_reference_however_the_stream_is_cut() {
    let cases = Cell::new(0);
    check_all_splits(|_, reads| {
        cases.set(cases.get() + 1);
        prop_assert_eq!(found_text(reads), expected_text(reads), "{:?}", reads);
        Ok(())
    });
    assert!(cases.get() >= LEAST_CASES, "only {} cases", cases.get());
}

#[test]
fn a_line_of_the_cap_passes_and_one_byte_more_does_not() {
    let line = |text: &[u8]| Output::Line(text.to_vec());
    assert_eq!(found_lines(&[b"12345678\n1234567\r\n"], 8), [line(b"12345678\n"), line(b"1234567\r\n")]);
    assert_eq!(found_lines(&[b"1\n12345678", b"9\n"], 8), [line(b"1\n"), Output::TooLong]);
    assert_eq!(found_lines(&[b"1234567", &[IAC], b"\n"], 8), [line(b"1234567\xff\n")]);
    assert_eq!(found_lines(&[b"12345678", &[IAC], b"\n"], 8), [Output::TooLong]);
}

#[test]
fn each_option_is_refused_once() {
    let refusals = found_lines(&[&[IAC, DO, 3, IAC, WILL, 3, b'a', IAC, DO, 3], &[IAC, DO, 1, b'\n']], 80);
    let refusal = |verb, option| Output::Reply(vec![IAC, verb, option]);
    assert_eq!(refusals, [refusal(WONT, 3), refusal(DONT, 3), refusal(WONT, 1), Output::Line(b"a\n".to_vec())]);
}

/// A telnet client throws output away from its Ctrl-C until the answer to its timing mark comes (RFC 860).
#[test]
fn each_timing_mark_is_answered() {
    let mark = || Output::Reply(vec![IAC, WONT, 6]);
    assert_eq!(found_lines(&[&[IAC, DO, 6, IAC, DO, 6], &[IAC, DO, 6]], 80), [mark(), mark(), mark()]);
}

/// Runs `property` on generated streams, caps and splits. Long streams are cut at random, between tokens and between
/// bytes. Short ones are cut in every possible way.
fn check_all_splits(property: impl Fn(usize, &[&[u8]]) -> Result<(), TestCaseError>) {
    let cap = || prop_oneof![1..8_usize, 8..40_usize, Just(1000)];
    check(STREAMS, (vec(token(), 1..16), cap(), vec(cuts(), 16)), |(tokens, cap, cuts)| {
        let stream = tokens.concat();
        let ends: Vec<usize> = tokens
            .iter()
            .scan(0, |end, token| {
                *end += token.len();
                Some(*end)
            })
            .collect();
        let all: Vec<usize> = (1..stream.len()).collect();
        for cuts in cuts.into_iter().chain([0, u64::MAX]) {
            property(cap, &split(&stream, &ends, cuts))?;
            property(cap, &split(&stream, &all, cuts))?;
        }
        Ok(())
    });
    check(SHORT_STREAMS, (vec(token(), 1..5), cap()), |(tokens, cap)| {
        let mut stream = tokens.concat();
        stream.truncate(10);
        let all: Vec<usize> = (1..stream.len()).collect();
        (0..1 << all.len()).try_for_each(|cuts| property(cap, &split(&stream, &all, cuts)))
    });
}

fn check<S: Strategy>(cases: u32, input: S, property: impl Fn(S::Value) -> Result<(), TestCaseError>) {
    // A failure is printed with its smallest input. That deserves a test of its own, and is not saved to a file.
    let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(cases) };
    match TestRunner::new(config).run(&input, property) {
        Ok(()) => {}
        Err(TestError::Fail(why, input)) => panic!("{why}\nsmallest input: {input:?}"),
        Err(error) => panic!("{error}"),
    }
}

/// Generates a piece of a stream: a word, white space, a telnet command that is whole or cut short, or any bytes.
fn token() -> impl Strategy<Value = Vec<u8>> {
    let words: &[&[u8]] = &[b"bye", b"bye", b"goodbye", b"bye now", b"b", b"y", b"e", b"by", b"ye", b"x"];
    let spaces: &[&[u8]] = &[b"\r\n", b"\n", b"\n", b"\r", b"\r\0", b"\0", b" ", b"\t", b"\x0b", b"\x0c"];
    let commands: &[&[u8]] = &[
        &[IAC, 244],
        &[IAC, DO, 6],
        &[IAC, WILL, 31],
        &[IAC, WONT, b'\n'],
        &[IAC, DONT, IAC],
        &[IAC, IAC],
        &[IAC, SB, 31, IAC, IAC, SE, b'\n', IAC, SE],
        &[IAC, SB, b'b', IAC, 244, SE, b'x', IAC, SE],
        &[IAC],
        &[IAC, SB],
        &[IAC, DO],
        &[IAC, SE],
        &[IAC, 235],
        &[IAC, 236],
        &[IAC, AYT],
        // Longer than a subnegotiation may be.
        &[IAC; 129],
        &[b'b'; 129],
    ];
    let of = |from: &[&[u8]]| select(from.iter().map(|token| token.to_vec()).collect::<Vec<_>>());
    let option = (WILL..=DONT, any::<u8>()).prop_map(|(verb, option)| vec![IAC, verb, option]);
    prop_oneof![4 => of(words), 4 => of(spaces), 2 => of(commands), 1 => option, 1 => vec(any::<u8>(), 1..4)]
}

/// Generates a bit for each possible place of a cut, of which about every second, fourth or eighth is set.
fn cuts() -> impl Strategy<Value = u64> {
    let any = any::<u64>;
    prop_oneof![
        any(),
        (any(), any()).prop_map(|(a, b)| a & b),
        (any(), any(), any()).prop_map(|(a, b, c)| a & b & c)
    ]
}

/// Cuts `stream` at those of `places` whose bit in `cuts` is set. Place 64 uses the first bit again.
fn split<'a>(stream: &'a [u8], places: &[usize], cuts: u64) -> Vec<&'a [u8]> {
    let chosen = places.iter().enumerate().filter(|(number, _)| cuts >> (number % 64) & 1 == 1);
    let mut reads = Vec::new();
    let mut start = 0;
    for end in chosen.map(|(_, place)| *place).chain([stream.len()]) {
        if start < end {
            reads.push(&stream[start..end]);
            start = end;
        }
    }
    reads
}
