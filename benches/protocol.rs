//! The cost of a message without sockets: time and throughput of the protocol core, and the cost of the event.
//!
//! A message is what one read returns. `baseline`, a plain copy of the message, is the measure to compare with: it costs
//! less than the two copies that the system calls around each message make.
//!
//! The library does not export the sending of events, so this benchmark compiles their modules a second time.

#[path = "../src/events/mod.rs"]
#[allow(dead_code, unreachable_pub, unused_imports, reason = "only the library uses all of the module")]
mod events;
#[path = "../src/client.rs"]
#[allow(dead_code, unreachable_pub, reason = "it is public in the library")]
mod client;
#[path = "../src/text.rs"]
#[allow(dead_code, unreachable_pub, reason = "it is public in the library")]
mod text;
mod config {
    /// As in the library, whose own cannot be matched without a wildcard from here.
    pub(crate) enum LogMessages {
        All,
        PerSecond(u32),
        Off,
    }
}

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Instant;

use divan::counter::{BytesCount, ItemsCount};
use divan::{Bencher, black_box};
use env_logger::{Builder, Target};
use hebra::Framing;
use hebra::protocol::{Decoded, Decoder};
use log::LevelFilter;

use client::Client;
use config::LogMessages;
use events::{Event, EventLog, EventSink, Excerpt, Stats};

const SIZES: [usize; 3] = [16, 512, 16 * 1024];

/// Events that one sample sends or logs. The queue of the logging thread has room for more.
const EVENTS: u32 = 1000;

const PEER: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 50_000);

fn main() {
    // The program's own logger, whose output is discarded.
    Builder::new().filter_level(LevelFilter::Info).target(Target::Pipe(Box::new(io::sink()))).init();
    divan::main();
}

/// Returns bytes of every value except line feed and IAC.
fn binary(size: usize) -> Vec<u8> {
    (0..=254).filter(|byte| *byte != b'\n').cycle().take(size).collect()
}

/// Returns lines of 64 bytes, including the line feed, or one line if `size` is smaller.
fn text(size: usize) -> Vec<u8> {
    let line = [[b'x'; 63].as_slice(), b"\n"].concat();
    let mut text: Vec<u8> = line.into_iter().cycle().take(size).collect();
    text[size - 1] = b'\n';
    text
}

/// Returns the worst case: no byte can be skipped.
fn line_feeds(size: usize) -> Vec<u8> {
    vec![b'\n'; size]
}

fn copy(bencher: Bencher<'_, '_>, message: &[u8]) {
    let mut target = vec![0; message.len()];
    bencher.counter(BytesCount::of_slice(message)).bench_local(|| {
        target.copy_from_slice(black_box(message));
        black_box(&mut target);
    });
}

fn detect(bencher: Bencher<'_, '_>, message: &[u8]) {
    let mut decoder = Decoder::new(Framing::Message, 0);
    bencher.counter(BytesCount::of_slice(message)).bench_local(|| {
        let mut input = black_box(message);
        assert!(matches!(black_box(decoder.next(&mut input)), Some(Decoded::Message(_))));
    });
}

fn frame(bencher: Bencher<'_, '_>, message: &[u8]) {
    // Without a line feed the line would grow beyond any cap, so each message begins with the end of a line.
    let message = [b"\n", &message[1..]].concat();
    let mut decoder = Decoder::new(Framing::Line, 64 * 1024);
    bencher.counter(BytesCount::of_slice(&message)).bench_local(|| {
        let mut input = black_box(message.as_slice());
        while let Some(decoded) = decoder.next(&mut input) {
            assert!(matches!(black_box(decoded), Decoded::Message(_)));
        }
    });
}

macro_rules! bench {
    ($($group:ident: $run:ident($($message:ident),*);)*) => {$(
        mod $group {
            use super::*;
            $(
                #[divan::bench(args = SIZES)]
                fn $message(bencher: Bencher<'_, '_>, size: usize) {
                    $run(bencher, &super::$message(size));
                }
            )*
        }
    )*};
}

bench! {
    baseline: copy(binary);
    bye_detector: detect(binary, text, line_feeds);
    line_framing: frame(binary, text, line_feeds);
}

/// The event of one message: its cost for the worker that has read the message, and for the logging thread.
mod event {
    use super::*;

    fn send_message(sink: &EventSink<Event>, message: &[u8]) {
        sink.sample(|| Event::Message { client: Client::new(1, PEER), excerpt: Excerpt::new(message) });
    }

    fn send(bencher: Bencher<'_, '_>, sink: &EventSink<Event>, before: impl FnMut()) {
        let message = text(512);
        bencher.with_inputs(before).bench_local_values(|()| send_message(sink, black_box(&message)));
    }

    /// Logging of messages is off.
    #[divan::bench]
    fn disabled(bencher: Bencher<'_, '_>) {
        send(bencher, &EventLog::new(LogMessages::Off).0, || ());
    }

    /// The budget of lines for this second is used up.
    #[divan::bench]
    fn over_budget(bencher: Bencher<'_, '_>) {
        send_too_many(bencher, LogMessages::PerSecond(EVENTS));
    }

    /// The logging thread has fallen behind, and the queue is half full.
    #[divan::bench]
    fn half_full(bencher: Bencher<'_, '_>) {
        send_too_many(bencher, LogMessages::All);
    }

    fn send_too_many(bencher: Bencher<'_, '_>, messages: LogMessages) {
        let (sink, _log) = EventLog::new(messages);
        sink.counts().renew_budget();
        (0..10 * EVENTS).for_each(|_| send_message(&sink, b"one of the first"));
        send(bencher, &sink, || ());
    }

    /// The message is copied into the channel. No thread waits on the channel, so the cost of a wake is not included.
    #[divan::bench(sample_size = EVENTS)]
    fn sent(bencher: Bencher<'_, '_>) {
        let (sink, log) = EventLog::new(LogMessages::All);
        sink.counts().renew_budget();
        // divan makes all inputs of a sample before the sample runs, so the channel is emptied between samples.
        send(bencher, &sink, || while log.next(Some(Instant::now())).is_ok() {});
    }

    fn log(bencher: Bencher<'_, '_>, message: &[u8]) {
        let waiting = || {
            let (sink, log) = EventLog::new(LogMessages::All);
            for _ in 0..EVENTS {
                send_message(&sink, message);
            }
            log
        };
        let run = |log: EventLog<Event>| log.run(None, Stats::default);
        bencher.counter(ItemsCount::new(EVENTS)).with_inputs(waiting).bench_local_values(run);
    }

    /// The logging thread takes a thousand events off the channel and formats their lines. Writing the lines is not
    /// included. The microseconds for all are the nanoseconds for each.
    #[divan::bench]
    fn a_thousand_logged(bencher: Bencher<'_, '_>) {
        log(bencher, &text(512));
    }

    /// As above, for messages whose every byte is escaped.
    #[divan::bench]
    fn a_thousand_escaped(bencher: Bencher<'_, '_>) {
        log(bencher, &[0x1b; 512]);
    }
}
