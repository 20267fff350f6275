//! A plain reference for the protocol core, and functions that run the core itself on a stream.
//!
//! The reference looks at the whole stream at once: it finds out what each byte means, and then applies the rules. It
//! shares no code with the state machines that it checks. The property tests and the fuzz targets use it.

#![allow(dead_code, unreachable_pub, reason = "each program uses its own part of this")]

use std::ops::Range;

use hebra::Framing;
use hebra::protocol::{Decoded, Decoder};

pub const IAC: u8 = 255;
pub const SE: u8 = 240;
pub const AYT: u8 = 246;
pub const SB: u8 = 250;
pub const WILL: u8 = 251;
pub const WONT: u8 = 252;
pub const DO: u8 = 253;
pub const DONT: u8 = 254;

const LONGEST_SUBNEGOTIATION: usize = 128;
const HERE: &[u8] = b"hebra: yes, here\r\n";
const TIMING_MARK: [u8; 3] = [IAC, WONT, 6];

/// The byte that separates the reads in an input of the fuzzer. A stream cannot contain it, which loses nothing because
/// it means nothing in the protocol. It is printable, so that a corpus file is readable: `b|y|e` is three reads.
const CUT: u8 = b'|';

/// Compares the message framing with the reference, on the reads in `input`.
pub fn check_bye(input: &[u8]) {
    let reads = reads(input);
    assert_eq!(found_bye(&reads), expected_bye(&reads), "{reads:?}");
}

/// Compares the line framing with the reference, on the limit and the reads in `input`.
pub fn check_line(input: &[u8]) {
    let (max_line, reads) = cap_and_reads(input);
    assert_eq!(found_lines(&reads, max_line), expected_lines(&reads, max_line), "{max_line} {reads:?}");
}

/// Splits an input of the `bye` target into reads.
pub fn reads(input: &[u8]) -> Vec<&[u8]> {
    input.split(|byte| *byte == CUT).collect()
}

/// Splits an input of the `line` target: its first byte is the limit of a line, and the rest are reads.
pub fn cap_and_reads(input: &[u8]) -> (usize, Vec<&[u8]>) {
    let (max_line, input) = input.split_first().unwrap_or((&0, &[]));
    (usize::from(*max_line), reads(input))
}

/// What the decoder returns for a stream of lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    Line(Vec<u8>),
    Reply(Vec<u8>),
    TooLong,
    Bye,
    Rest(Vec<u8>),
}

/// Runs the decoder with message framing. Returns the number of the read that ends the session, and how many of its
/// bytes are answered.
pub fn found_bye(reads: &[&[u8]]) -> Option<(usize, usize)> {
    let mut decoder = Decoder::new(Framing::Message, 0);
    for (number, read) in reads.iter().enumerate() {
        let (mut rest, mut answered) = (*read, 0);
        while let Some(decoded) = decoder.next(&mut rest) {
            match decoded {
                Decoded::Message(message) => {
                    assert_eq!(message, &read[answered..][..message.len()]);
                    answered += message.len();
                }
                Decoded::Bye => return Some((number, answered)),
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(answered, read.len(), "every byte is answered");
    }
    None
}

/// Runs the decoder with line framing, up to the end of the session.
pub fn found_lines(reads: &[&[u8]], max_line: usize) -> Vec<Output> {
    let mut decoder = Decoder::new(Framing::Line, max_line);
    let mut output = Vec::new();
    for mut read in reads.iter().copied() {
        while let Some(decoded) = decoder.next(&mut read) {
            output.push(match decoded {
                Decoded::Message(line) => Output::Line(line.to_vec()),
                Decoded::Reply(reply) => Output::Reply(reply.to_vec()),
                Decoded::TooLong => Output::TooLong,
                Decoded::Bye => Output::Bye,
                other => panic!("{other:?}"),
            });
            if matches!(output.last(), Some(Output::TooLong | Output::Bye)) {
                return output;
            }
        }
        assert!(read.is_empty());
    }
    output.extend(decoder.finish().map(|rest| match rest {
        Decoded::Message(rest) => Output::Rest(rest.to_vec()),
        Decoded::Bye => Output::Bye,
        other => panic!("{other:?}"),
    }));
    assert_eq!(decoder.finish(), None, "the rest is returned once");
    output
}

/// Runs the decoder with text framing, up to the end of the session. Messages without an answer between them are one
/// line.
pub fn found_text(reads: &[&[u8]]) -> Vec<Output> {
    let mut decoder = Decoder::new(Framing::Text, 0);
    let mut output = Vec::new();
    for mut read in reads.iter().copied() {
        while let Some(decoded) = decoder.next(&mut read) {
            match (decoded, output.last_mut()) {
                (Decoded::Message(message), Some(Output::Line(line))) => line.extend_from_slice(message),
                (Decoded::Message(message), _) => output.push(Output::Line(message.to_vec())),
                (Decoded::Reply(reply), _) => output.push(Output::Reply(reply.to_vec())),
                (Decoded::Bye, _) => {
                    output.push(Output::Bye);
                    return output;
                }
                (other, _) => panic!("{other:?}"),
            }
        }
        assert!(read.is_empty());
    }
    assert_eq!(decoder.finish(), None, "nothing is kept");
    output
}

/// A data byte or a telnet command.
struct Item {
    meaning: Meaning,
    /// The offset in the stream after the byte that decides its meaning. The item belongs to the read with that byte.
    end: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Meaning {
    Data(u8),
    /// A data byte that ends a line.
    End(u8),
    Command,
    Refuse([u8; 3]),
    AreYouThere,
}

/// Splits a stream into items. Leaves out a command that is cut short by the end of the stream.
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
            [IAC, AYT, ..] => (2, Meaning::AreYouThere),
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
    let mut last = None;
    for item in &mut items {
        if let Meaning::Data(byte) = item.meaning {
            if byte == b'\n' || (byte == 0 && last == Some(b'\r')) {
                item.meaning = Meaning::End(byte);
            }
            last = Some(byte);
        }
    }
    items
}

/// Returns the length of a subnegotiation including its IAC SE, or up to the limit; nothing if it goes on. Inside of it,
/// an IAC and the next byte are a pair. A pair that begins at the limit belongs to it.
fn subnegotiation(body: &[u8]) -> Option<usize> {
    let mut after_iac = false;
    for (index, byte) in body.iter().enumerate() {
        let begins_pair = !after_iac && *byte == IAC;
        let is_too_long = index >= LONGEST_SUBNEGOTIATION && !begins_pair;
        if (after_iac && *byte == SE) || is_too_long {
            return Some(index + 1);
        }
        after_iac = begins_pair;
    }
    None
}

/// Returns the data bytes of `items`.
fn text(items: &[Item]) -> Vec<u8> {
    let data = |item: &Item| match item.meaning {
        Meaning::Data(byte) | Meaning::End(byte) => Some(byte),
        _ => None,
    };
    items.iter().filter_map(data).collect()
}

fn is_bye_trimmed(text: &[u8]) -> bool {
    let is_blank = |byte: &u8| byte.is_ascii_whitespace() || *byte == 0;
    let start = text.iter().position(|byte| !is_blank(byte)).unwrap_or(text.len());
    let end = text.iter().rposition(|byte| !is_blank(byte)).map_or(start, |last| last + 1);
    text[start..end] == *b"bye"
}

/// Returns what [`found_bye`] should return.
pub fn expected_bye(reads: &[&[u8]]) -> Option<(usize, usize)> {
    let items = &items(&reads.concat())[..];
    let is_feed = |item: &Item| matches!(item.meaning, Meaning::End(_));
    let mut start = 0;
    for (number, read) in reads.iter().enumerate() {
        let known_by = |end| items.iter().filter(|item| item.end <= end).count();
        let whole = known_by(start)..known_by(start + read.len());
        let lines = whole.clone().filter(|index| is_feed(&items[*index])).map(|feed| {
            let begin = items[..feed].iter().rposition(is_feed).map_or(0, |previous| previous + 1);
            begin..feed
        });
        let is_bye = |range: &Range<usize>| is_bye_trimmed(&text(&items[range.clone()]));
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

/// Returns what [`found_text`] should return.
pub fn expected_text(reads: &[&[u8]]) -> Vec<Output> {
    let bye = expected_bye(reads);
    let stream = match bye {
        Some((number, before)) => [&reads[..number].concat(), &reads[number][..before]].concat(),
        None => reads.concat(),
    };
    let mut output = Vec::new();
    for item in items(&stream) {
        match item.meaning {
            Meaning::Data(byte) | Meaning::End(byte) => match output.last_mut() {
                Some(Output::Line(line)) => line.push(byte),
                _ => output.push(Output::Line(vec![byte])),
            },
            meaning => output.extend(answer(meaning, &output)),
        }
    }
    output.extend(bye.map(|_| Output::Bye));
    output
}

/// Returns the answer to a command after those in `output`.
fn answer(meaning: Meaning, output: &[Output]) -> Option<Output> {
    let answer = match meaning {
        Meaning::AreYouThere => return Some(Output::Reply(HERE.to_vec())),
        Meaning::Refuse(refusal) => Output::Reply(refusal.to_vec()),
        _ => return None,
    };
    (meaning == Meaning::Refuse(TIMING_MARK) || !output.contains(&answer)).then_some(answer)
}

/// Returns what [`found_lines`] should return.
pub fn expected_lines(reads: &[&[u8]], max_line: usize) -> Vec<Output> {
    let mut output = Vec::new();
    let mut line = Vec::new();
    for item in items(&reads.concat()) {
        match item.meaning {
            Meaning::End(byte) => {
                line.push(byte);
                if is_bye_trimmed(&line) {
                    output.push(Output::Bye);
                    return output;
                }
                output.push(Output::Line(std::mem::take(&mut line)));
            }
            Meaning::Data(byte) => line.push(byte),
            meaning => output.extend(answer(meaning, &output)),
        }
        if line.len() > max_line {
            output.push(Output::TooLong);
            return output;
        }
    }
    if is_bye_trimmed(&line) {
        output.push(Output::Bye);
    } else if !line.is_empty() {
        output.push(Output::Rest(line));
    }
    output
}
