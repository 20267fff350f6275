//! The protocol core against a plain reference, for every way in which TCP may cut a stream into reads.
//!
//! The reference looks at the whole stream at once: first what each byte means, then the rules. It shares
//! nothing with the state machines it judges.

use std::cell::Cell;
use std::ops::Range;

use hebra::protocol::{ByeDetector, Found, LineFraming};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{TestError, TestRunner};

const IAC: u8 = 255;
const SE: u8 = 240;
const SB: u8 = 250;
const WILL: u8 = 251;
const WONT: u8 = 252;
const DO: u8 = 253;
const DONT: u8 = 254;

/// Generated streams for each property. With the splits of each this gives well over [`LEAST_CASES`].
const STREAMS: u32 = 3000;
const SHORT_STREAMS: u32 = 400;

/// Pairs of a stream and a split that each property is to be held against.
const LEAST_CASES: u64 = 100_000;

#[test]
fn bye_is_found_in_the_read_and_at_the_place_where_the_rules_say() {
    let cases = Cell::new(0);
    check_all_splits(|stream, _, reads| {
        cases.set(cases.get() + 1);
        prop_assert_eq!(found_bye(reads), expected_bye(&items(stream), reads), "{:?}", reads);
        Ok(())
    });
    assert!(cases.get() >= LEAST_CASES, "only {} cases", cases.get());
}

#[test]
fn lines_and_refusals_are_the_same_however_the_stream_is_cut() {
    let cases = Cell::new(0);
    check_all_splits(|stream, max_line, reads| {
        cases.set(cases.get() + 1);
        prop_assert_eq!(found_lines(reads, max_line), expected_lines(&items(stream), max_line), "{:?}", reads);
        Ok(())
    });
    assert!(cases.get() >= LEAST_CASES, "only {} cases", cases.get());
}

#[test]
fn bye_may_be_typed_one_by_one() {
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
fn an_iac_is_data_from_the_byte_that_shows_it() {
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
fn a_line_of_the_cap_passes_and_one_byte_more_does_not() {
    let line = |text: &[u8]| Output::Line(text.to_vec());
    assert_eq!(found_lines(&[b"12345678\n1234567\r\n"], 8), [line(b"12345678\n"), line(b"1234567\r\n")]);
    assert_eq!(found_lines(&[b"1\n12345678", b"9\n"], 8), [line(b"1\n"), Output::TooLong]);
    assert_eq!(found_lines(&[b"1234567", &[IAC], b"\n"], 8), [line(b"1234567\xff\n")]);
    assert_eq!(found_lines(&[b"12345678", &[IAC], b"\n"], 8), [Output::TooLong]);
}

#[test]
fn each_option_is_refused_once() {
    let refusals = found_lines(&[&[IAC, DO, 6, IAC, WILL, 6, b'a', IAC, DO, 6], &[IAC, DO, 1, b'\n']], 80);
    let refusal = |verb, option| Output::Refusal([IAC, verb, option]);
    assert_eq!(refusals, [refusal(WONT, 6), refusal(DONT, 6), refusal(WONT, 1), Output::Line(b"a\n".to_vec())]);
}

/// What the line framing made of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Output {
    Line(Vec<u8>),
    Refusal([u8; 3]),
    TooLong,
    Rest(Vec<u8>),
}

/// The number of the read that ends the session, and how many of its bytes are answered.
fn found_bye(reads: &[&[u8]]) -> Option<(usize, usize)> {
    let mut detector = ByeDetector::default();
    reads.iter().enumerate().find_map(|(number, read)| Some((number, detector.feed(read)?)))
}

fn found_lines(reads: &[&[u8]], max_line: usize) -> Vec<Output> {
    let mut framing = LineFraming::new(max_line);
    let mut output = Vec::new();
    for mut read in reads.iter().copied() {
        while let Some(found) = framing.next(&mut read) {
            output.push(match found {
                Found::Line(line) => Output::Line(line.to_vec()),
                Found::Refusal(refusal) => Output::Refusal(refusal),
                Found::TooLong => Output::TooLong,
            });
            if output.last() == Some(&Output::TooLong) {
                return output;
            }
        }
        assert!(read.is_empty());
    }
    if !framing.rest().is_empty() {
        output.push(Output::Rest(framing.rest().to_vec()));
    }
    output
}

/// A data byte or a telnet command.
struct Item {
    meaning: Meaning,
    /// How much of the stream it takes to know it: it belongs to the read that this is in.
    end: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Meaning {
    Data(u8),
    Command,
    Refuse([u8; 3]),
}

/// What a stream is made of, without a command that is cut short by its end.
fn items(stream: &[u8]) -> Vec<Item> {
    let mut items = Vec::new();
    let mut at = 0;
    while let rest @ [first, ..] = &stream[at..] {
        let (length, meaning) = match rest {
            [IAC] | [IAC, WILL | WONT | DO | DONT] => break,
            [IAC, IAC, ..] => (2, Meaning::Data(IAC)),
            [IAC, WILL, option, ..] => (3, Meaning::Refuse([IAC, DONT, *option])),
            [IAC, DO, option, ..] => (3, Meaning::Refuse([IAC, WONT, *option])),
            [IAC, WONT | DONT, ..] => (3, Meaning::Command),
            [IAC, SB, body @ ..] => match subnegotiation(body) {
                Some(length) => (2 + length, Meaning::Command),
                None => break,
            },
            [IAC, 236..=255, ..] => (2, Meaning::Command),
            [IAC, data, ..] => {
                items.push(Item { meaning: Meaning::Data(IAC), end: at + 2 });
                (2, Meaning::Data(*data))
            }
            _ => (1, Meaning::Data(*first)),
        };
        at += length;
        items.push(Item { meaning, end: at });
    }
    items
}

/// The length of a subnegotiation up to and with its IAC SE, if it has one. Inside it IAC makes a pair with
/// whatever follows.
fn subnegotiation(body: &[u8]) -> Option<usize> {
    match body {
        [IAC, SE, ..] => Some(2),
        [IAC, _, rest @ ..] => Some(2 + subnegotiation(rest)?),
        [_, rest @ ..] => Some(1 + subnegotiation(rest)?),
        [] => None,
    }
}

/// The data among `items`.
fn text(items: &[Item]) -> Vec<u8> {
    items.iter().filter_map(|item| if let Meaning::Data(byte) = item.meaning { Some(byte) } else { None }).collect()
}

fn expected_bye(items: &[Item], reads: &[&[u8]]) -> Option<(usize, usize)> {
    let is_feed = |item: &Item| item.meaning == Meaning::Data(b'\n');
    let mut start = 0;
    for (number, read) in reads.iter().enumerate() {
        let known_by = |end| items.iter().filter(|item| item.end <= end).count();
        let whole = known_by(start)..known_by(start + read.len());
        let lines = whole.clone().filter(|index| is_feed(&items[*index])).map(|feed| {
            let begin = items[..feed].iter().rposition(is_feed).map_or(0, |previous| previous + 1);
            begin..feed
        });
        let is_bye = |range: &Range<usize>| text(&items[range.clone()]).trim_ascii() == b"bye";
        if let Some(range) = lines.chain([whole.clone()]).find(is_bye) {
            let letter = |item: &Item| item.meaning == Meaning::Data(b'b');
            let letter = range.start + items[range].iter().position(letter).expect("it is bye");
            let apart = |item: &&Item| is_feed(item) || !matches!(item.meaning, Meaning::Data(_));
            let before = items[..letter].iter().rfind(apart).map_or(0, |item| item.end);
            return Some((number, before.saturating_sub(start)));
        }
        start += read.len();
    }
    None
}

fn expected_lines(items: &[Item], max_line: usize) -> Vec<Output> {
    let mut output = Vec::new();
    let mut line = Vec::new();
    for item in items {
        match item.meaning {
            Meaning::Data(b'\n') => {
                line.push(b'\n');
                output.push(Output::Line(std::mem::take(&mut line)));
            }
            Meaning::Data(byte) => line.push(byte),
            Meaning::Command => {}
            Meaning::Refuse(refusal) if output.contains(&Output::Refusal(refusal)) => {}
            Meaning::Refuse(refusal) => output.push(Output::Refusal(refusal)),
        }
        if line.len() > max_line {
            output.push(Output::TooLong);
            return output;
        }
    }
    if !line.is_empty() {
        output.push(Output::Rest(line));
    }
    output
}

/// Runs `property` on generated streams, caps and splits: long streams cut at random between tokens and
/// between bytes, short ones cut in every way there is.
fn check_all_splits(property: impl Fn(&[u8], usize, &[&[u8]]) -> Result<(), TestCaseError>) {
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
            property(&stream, cap, &split(&stream, &ends, cuts))?;
            property(&stream, cap, &split(&stream, &all, cuts))?;
        }
        Ok(())
    });
    check(SHORT_STREAMS, (vec(token(), 1..5), cap()), |(tokens, cap)| {
        let mut stream = tokens.concat();
        stream.truncate(10);
        let all: Vec<usize> = (1..stream.len()).collect();
        (0..1 << all.len()).try_for_each(|cuts| property(&stream, cap, &split(&stream, &all, cuts)))
    });
}

fn check<S: Strategy>(cases: u32, input: S, property: impl Fn(S::Value) -> Result<(), TestCaseError>) {
    // A failure is printed with its smallest input, which belongs into a test of its own and not into a file.
    let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(cases) };
    match TestRunner::new(config).run(&input, property) {
        Ok(()) => {}
        Err(TestError::Fail(why, input)) => panic!("{why}\nsmallest input: {input:?}"),
        Err(error) => panic!("{error}"),
    }
}

/// What streams are made of: words, white space, telnet commands whole and cut short, anything.
fn token() -> impl Strategy<Value = Vec<u8>> {
    let words: &[&[u8]] = &[b"bye", b"bye", b"goodbye", b"bye now", b"b", b"y", b"e", b"by", b"ye", b"x"];
    let spaces: &[&[u8]] = &[b"\r\n", b"\n", b"\n", b"\r", b" ", b"\t", b"\x0b", b"\x0c"];
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
    ];
    let of = |from: &[&[u8]]| select(from.iter().map(|token| token.to_vec()).collect::<Vec<_>>());
    let option = (WILL..=DONT, any::<u8>()).prop_map(|(verb, option)| vec![IAC, verb, option]);
    prop_oneof![4 => of(words), 4 => of(spaces), 2 => of(commands), 1 => option, 1 => vec(any::<u8>(), 1..4)]
}

/// Where to cut: at every second, fourth or eighth of the possible places.
fn cuts() -> impl Strategy<Value = u64> {
    let any = any::<u64>;
    prop_oneof![
        any(),
        (any(), any()).prop_map(|(a, b)| a & b),
        (any(), any(), any()).prop_map(|(a, b, c)| a & b & c)
    ]
}

/// Cuts `stream` at those of `places` whose bit of `cuts` is set; the bits are used in turn.
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
