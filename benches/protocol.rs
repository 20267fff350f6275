//! How fast the protocol core is, without sockets: the time for one message, and bytes in a second.
//!
//! A message is what one read returns. `copy` is the measure to compare with: it is less than what the
//! system calls around each message do to its bytes.

use divan::counter::BytesCount;
use divan::{Bencher, black_box};
use hebra::protocol::{ByeDetector, Found, LineFraming};

const SIZES: [usize; 3] = [16, 512, 16 * 1024];

fn main() {
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
