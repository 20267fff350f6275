//! A log that does not take its lines: what is lost is counted in it, and each line begins a line.

use std::env;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Instant;

use nix::sys::signal::Signal;

use crate::support::{FUSE, Program, connect_served, exchange, read_to_end, serve_apart, signal, spawn_apart};

/// How many messages the lines of a log show, and how many they report as missing. Each line is in the form of the log.
fn messages(log: &str) -> (u64, u64) {
    let (mut shown, mut missing) = (0, 0);
    for line in log.lines() {
        let (time, text) = line.split_once("] ").unwrap_or_else(|| panic!("{line:?} lacks its time and level"));
        assert!(time.starts_with("[20") && !text.contains("Z INFO "), "{line}");
        let count = |name| text.strip_prefix(name).map(|count| count.parse::<u64>().expect("a number"));
        if text.contains(" says ") {
            shown += 1;
        } else if let Some(count) = count("messages not logged: ").or(count("log lines lost: ")) {
            missing += count;
        }
    }
    (shown, missing)
}

#[test]
fn a_log_that_is_full_and_does_not_block_counts_what_is_missing() {
    const MESSAGES: u64 = 10_000;
    let (reader, writer) = UnixStream::pair().expect("a pair of sockets");
    writer.set_nonblocking(true).expect("a socket");
    let (mut child, _stdout, address) = serve_apart(&["--log-messages", "all"], OwnedFd::from(writer));
    let mut client = connect_served(address);
    for _ in 0..MESSAGES {
        exchange(&mut client, b"hello\n");
    }
    drop(client);
    let log = thread::spawn(move || {
        let (mut reader, mut log) = (reader, String::new());
        reader.read_to_string(&mut log).expect("it is text");
        log
    });
    signal(&child, Signal::SIGTERM);
    assert_eq!(child.wait().expect("it was started").code(), Some(0));
    let (shown, missing) = messages(&log.join().expect("it reads"));
    assert_eq!(shown + missing, MESSAGES + 1, "{shown} are shown");
    assert!(missing > 0, "the log was never full");
}

#[test]
fn a_file_that_was_full_continues_at_the_beginning_of_a_line_and_counts_what_is_missing() {
    let path = env::temp_dir().join(format!("hebra-full-{}", std::process::id()));
    let hebra = Program::command();
    let mut command = Command::new("sh");
    // The limit of file size stands for a disk that is full. Each write goes to the end of the file. It is large, so that
    // the lines which are still to be written when there is room again do not fill the file once more.
    command.args(["-c", &format!("ulimit -f 128; exec \"$@\" 2>>'{}'", path.display()), "sh"]);
    command.arg(hebra.get_program()).args(hebra.get_args()).env_remove("RUST_LOG").stdin(Stdio::null());
    command.args(["--listen", "127.0.0.1:0", "--log-messages", "all"]);
    let (mut child, _stdout, address) = spawn_apart(&mut command, Stdio::null());
    let limits = fs::read_to_string(format!("/proc/{}/limits", child.id())).expect("Linux has it");
    let limit = limits.lines().find_map(|line| line.strip_prefix("Max file size")?.split_whitespace().next());
    let limit: u64 = limit.and_then(|limit| limit.parse().ok()).expect("a limit");
    let mut client = connect_served(address);
    let (mut sent, mut log) = (1, Vec::new());
    for _ in 0..2 {
        let size = || fs::metadata(&path).expect("it exists").len();
        // Each line is waited for, so that the log never falls behind.
        while size() < limit {
            let before = size();
            exchange(&mut client, b"hello\n");
            sent += 1;
            let fuse = Instant::now() + FUSE;
            while size() == before && before < limit {
                assert!(Instant::now() < fuse, "no line is written");
                thread::yield_now();
            }
        }
        for _ in 0..100 {
            exchange(&mut client, b"hello\n");
            sent += 1;
        }
        // It is full, so nothing is written meanwhile.
        log.append(&mut fs::read(&path).expect("it exists"));
        File::options().write(true).open(&path).and_then(|file| file.set_len(0)).expect("it is ours");
    }
    client.write_all(b"bye").expect("it is sent");
    assert_eq!(read_to_end(&mut client), b"");
    signal(&child, Signal::SIGTERM);
    assert_eq!(child.wait().expect("it was started").code(), Some(0));
    log.append(&mut fs::read(&path).expect("it exists"));
    fs::remove_file(&path).expect("it is ours");
    let (shown, missing) = messages(&String::from_utf8(log).expect("text"));
    assert_eq!(shown + missing, sent, "{shown} are shown");
    assert!(missing > 0, "the file was never full");
}
