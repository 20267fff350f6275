//! Clients that send far too much. The memory of the server stays what it was.

use std::io::{Read, Write};
use std::thread;

use crate::support::{Program, connect, connect_served, read_to_end};

/// The length of a flood, which contains no line end.
const FLOOD: usize = 64 * 1024 * 1024;

/// How much memory a flood may add. This is enough for buffers and not for the flood.
const SLACK_KIB: u64 = 8 * 1024;

/// Returns the most resident memory that the process has had so far, in KiB.
fn peak_kib(program: &Program) -> u64 {
    program.status("VmHWM")
}

#[test]
fn a_line_without_an_end_is_echoed_in_constant_memory() {
    let program = Program::serve(&["--workers", "4"]);
    connect_served(program.address());
    let before = peak_kib(&program);
    let client = connect(program.address());
    thread::scope(|scope| {
        let mut reader = &client;
        scope.spawn(|| {
            let mut writer = &client;
            for _ in 0..FLOOD / (64 * 1024) {
                writer.write_all(&[b'b'; 64 * 1024]).expect("it is sent");
            }
            writer.write_all(b"\nbye\n").expect("it is sent");
        });
        let mut buffer = vec![0; 64 * 1024];
        let mut total = 0;
        loop {
            match reader.read(&mut buffer).expect("a clean end of stream") {
                0 => break,
                count => total += count,
            }
        }
        assert_eq!(total, FLOOD + 1);
    });
    let grown = peak_kib(&program) - before;
    assert!(grown < SLACK_KIB, "{grown} KiB");
}

#[test]
fn a_line_without_an_end_ends_at_the_cap_in_line_framing_in_constant_memory() {
    // Each worker keeps the memory of its longest line, so several would have several times as much.
    let program = Program::serve(&["--workers", "1", "--framing", "line", "--max-line", "1MiB"]);
    connect(program.address());
    let before = peak_kib(&program);
    for _ in 0..8 {
        let mut client = connect(program.address());
        // This is twice the cap, and the server closes before all of it is sent.
        let _ = client.write_all(&[b'x'; 2 * 1024 * 1024]);
        assert_eq!(read_to_end(&mut client), b"error: a line may have 1048576 bytes\r\n");
    }
    let grown = peak_kib(&program) - before;
    assert!(grown < SLACK_KIB, "{grown} KiB");
}
