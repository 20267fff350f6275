//! What a message costs without sockets: the protocol core's time and bytes in a second, and its event.
//!
//! A message is what one read returns. `copy` is the measure to compare with: it is less than what the
//! system calls around each message do to its bytes.
//!
//! Sending events is not public, so their source is built here a second time.

#[path = "../src/events/mod.rs"]
#[allow(dead_code, unreachable_pub, unused_imports, reason = "the library uses all of it")]
mod events;
#[path = "../src/client.rs"]
#[allow(unreachable_pub, reason = "it is public in the library")]
mod client;

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use divan::counter::{BytesCount, ItemsCount};
use divan::{Bencher, black_box};
use env_logger::{Builder, Target};
use hebra::LogMessages;
use hebra::protocol::{ByeDetector, Found, LineFraming};
use log::LevelFilter;

use client::Client;
use events::{EventLog, EventSink, Stats, Subscribers};

const SIZES: [usize; 3] = [16, 512, 16 * 1024];

/// Events that one sample sends or logs: fewer than the messages that may wait for the logging thread.
const EVENTS: u32 = 1000;

const CLIENT: Client = Client { id: 1, peer: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 50_000) };

fn main() {
    // The program's logger, and nobody who reads what it writes.
    Builder::new().filter_level(LevelFilter::Info).target(Target::Pipe(Box::new(io::sink()))).init();
    divan::main();
}

/// Bytes of every value but line feed and IAC.
fn binary(size: usize) -> Vec<u8> {
    (0..=254).filter(|byte| *byte != b'\n').cycle().take(size).collect()
}

/// Lines of 64 bytes, the line feed included. What is shorter is one line.
fn text(size: usize) -> Vec<u8> {
    let line = [[b'x'; 63].as_slice(), b"\n"].concat();
    let mut text: Vec<u8> = line.into_iter().cycle().take(size).collect();
    text[size - 1] = b'\n';
    text
}

/// The worst case: nothing can be skipped.
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
    let mut detector = ByeDetector::default();
    bencher.counter(BytesCount::of_slice(message)).bench_local(|| detector.feed(black_box(message)));
}

fn frame(bencher: Bencher<'_, '_>, message: &[u8]) {
    // Without line feeds the line would grow over any cap, so each message begins with the end of one.
    let message = [b"\n", &message[1..]].concat();
    let mut framing = LineFraming::new(64 * 1024);
    bencher.counter(BytesCount::of_slice(&message)).bench_local(|| {
        let mut input = black_box(message.as_slice());
        while let Some(found) = framing.next(&mut input) {
            assert!(matches!(black_box(found), Found::Line(_)));
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

/// One message's event, on the worker that has read it.
mod event {
    use super::*;

    fn send(bencher: Bencher<'_, '_>, sink: &EventSink, before: impl FnMut()) {
        let message = text(512);
        bencher.with_inputs(before).bench_local_values(|()| sink.message(black_box(&CLIENT), black_box(&message)));
    }

    /// Messages are not logged.
    #[divan::bench]
    fn disabled(bencher: Bencher<'_, '_>) {
        send(bencher, &EventSink::disconnected(), || ());
    }

    /// This second's lines are used up.
    #[divan::bench]
    fn over_budget(bencher: Bencher<'_, '_>) {
        send_too_many(bencher, LogMessages::PerSecond(EVENTS));
    }

    /// The logging thread does not keep up.
    #[divan::bench]
    fn half_full(bencher: Bencher<'_, '_>) {
        send_too_many(bencher, LogMessages::All);
    }

    fn send_too_many(bencher: Bencher<'_, '_>, messages: LogMessages) {
        let (sink, _events) = EventSink::new(messages);
        sink.counts().renew_budget();
        (0..10 * EVENTS).for_each(|_| sink.message(&CLIENT, b"one of the first"));
        send(bencher, &sink, || ());
    }

    /// It is copied into the channel, where nobody waits for it: waking the logging thread is not in this.
    #[divan::bench(sample_size = EVENTS)]
    fn sent(bencher: Bencher<'_, '_>) {
        let (sink, events) = EventSink::new(LogMessages::All);
        sink.counts().renew_budget();
        // All inputs of a sample are made before it.
        send(bencher, &sink, || while events.next(Some(Instant::now())).is_ok() {});
    }

    fn log(bencher: Bencher<'_, '_>, message: &[u8]) {
        let waiting = || {
            let (sink, events) = EventSink::new(LogMessages::All);
            let counts = sink.counts();
            let subscribers = Subscribers::new(counts);
            let log = EventLog::new(events, Arc::clone(counts), subscribers, None, Stats::default);
            for _ in 0..EVENTS {
                sink.message(&CLIENT, message);
            }
            log
        };
        bencher.counter(ItemsCount::new(EVENTS)).with_inputs(waiting).bench_local_values(EventLog::run);
    }

    /// The logging thread takes a thousand off the channel and makes their lines; writing these is not in it.
    /// Microseconds for all are nanoseconds for each.
    #[divan::bench]
    fn a_thousand_logged(bencher: Bencher<'_, '_>) {
        log(bencher, &text(512));
    }

    /// As above, with every byte to escape.
    #[divan::bench]
    fn a_thousand_escaped(bencher: Bencher<'_, '_>) {
        log(bencher, &[0x1b; 512]);
    }
}
