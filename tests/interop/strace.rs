//! strace shows that an echo costs the worker two system calls.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

use nix::sys::signal::Signal;

use crate::support::{Program, connect, exchange};
use crate::tool;

const MESSAGES: usize = 500;

/// Exchanges messages with a server under strace. Returns how often the worker made each system call, from the arrival
/// of the first message to the echo of the last.
fn worker_calls(name: &str, set: impl FnOnce(&mut Command) -> &mut Command) -> BTreeMap<String, usize> {
    let file = format!("{}/strace-{name}.txt", env!("CARGO_TARGET_TMPDIR"));
    let mut command = Command::new(tool("strace"));
    // With -D the child is the server, and strace is a process beside it that ends with the server. So it does not
    // outlive a test that fails. It may also trace where only descendants can be traced (Yama).
    command.args(["-D", "-f", "-qq", "-s", "64", "-o", &file]);
    command.args([env!("CARGO_BIN_EXE_hebra"), "serve", "--listen", "127.0.0.1:0"]).env_remove("RUST_LOG");
    let server = Program::spawn(set(&mut command), 1);
    let mut client = connect(server.address());
    let mut exchange = |message: &[u8]| assert_eq!(exchange(&mut client, message), message);
    exchange(b"MARK-A");
    for _ in 0..MESSAGES {
        exchange(&[b'x'; 512]);
    }
    exchange(b"MARK-B");
    drop(client);
    server.signal(Signal::SIGINT);
    // Standard error ends when strace ends, which has then written the whole trace.
    let (_, errors) = server.finish();
    let refused = errors.iter().any(|line| line.contains("ptrace("));
    assert!(!refused, "strace must be allowed to trace (ptrace): {errors:#?}");

    let trace = fs::read_to_string(&file).expect("strace wrote it");
    let is_first = |line: &&str| line.contains("recvfrom") && line.contains("MARK-A");
    let is_last = |line: &str| line.contains("sendto") && line.contains("MARK-B");
    let worker = trace.lines().find(is_first).and_then(|line| line.split_once(' ')).expect("a first message").0;
    let mut lines =
        trace.lines().filter_map(|line| line.strip_prefix(worker)?.strip_prefix(' ')).map(str::trim_start);
    lines.find(is_first);
    let mut calls = BTreeMap::new();
    for line in lines {
        // A call that another thread's call interrupted has two lines.
        if !line.starts_with("<... ") {
            let call = line.split('(').next().unwrap_or(line);
            *calls.entry(call.to_owned()).or_default() += 1;
        }
        if is_last(line) {
            return calls;
        }
    }
    panic!("no last message in {file}");
}

/// One write for the echo of the first message, and a read and a write for each message after it.
fn two_for_each() -> BTreeMap<String, usize> {
    BTreeMap::from([("recvfrom".to_owned(), MESSAGES + 1), ("sendto".to_owned(), MESSAGES + 2)])
}

#[test]
fn an_echo_is_two_system_calls_with_message_logging_off() {
    assert_eq!(worker_calls("off", |command| command.args(["--log-messages", "off"])), two_for_each());
}

#[test]
fn an_echo_is_two_system_calls_when_the_level_hides_messages() {
    assert_eq!(worker_calls("warn", |command| command.env("RUST_LOG", "warn")), two_for_each());
}
