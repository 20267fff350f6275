//! The log: its forms, its budget of session lines, and a log that does not take its lines: what is lost is counted in it,
//! and each line begins a line.

use std::env;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{TcpListener, UdpSocket};
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::Instant;

use nix::sys::signal::Signal;
use serde_json::{Map, Value};

use crate::support::{
    FUSE, Program, connect, connect_served, exchange, read_to_end, say_bye, serve_apart, signal, spawn_apart,
};

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

/// Parses a line of a log in JSON.
fn object(line: &str) -> Map<String, Value> {
    assert!(line.matches("\"text\":").count() <= 1, "{line}");
    serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))
}

/// Returns the value of `key`, as JSON.
fn value(object: &Map<String, Value>, key: &str) -> String {
    object.get(key).map(Value::to_string).unwrap_or_default()
}

#[test]
fn json_carries_what_the_text_does() {
    let mut command = Program::command();
    command.args(["--listen", "127.0.0.1:0,udp://127.0.0.1:0", "--log-format", "json"]);
    let program = Program::spawn(&mut command, 1);
    let udp = program.next_shown().strip_prefix("listening on udp://").expect("its scheme").to_owned();
    let mut client = connect(program.address());
    exchange(&mut client, "¡Hola, \"señor\"!\u{202e}\x1b[2J\r\n".as_bytes());
    exchange(&mut client, &[b'x'; 100]);
    let wait = |event: &str| object(&program.wait_for(&format!("\"event\":\"{event}\"")));
    let (connected, hola, long) = (wait("connected"), wait("message"), wait("message"));
    program.signal(Signal::SIGUSR1);
    let (totals, session) = (wait("totals"), wait("session"));
    let sender = UdpSocket::bind("127.0.0.1:0").expect("loopback exists");
    sender.send_to(b"ping\xff", &udp).expect("it is sent");
    let datagram = wait("datagram");
    say_bye(&mut client);
    let disconnected = wait("disconnected");
    program.signal(Signal::SIGTERM);
    let (code, rest) = program.finish();
    let rest: Vec<_> = rest.iter().map(|line| object(line)).collect();
    assert_eq!(code, Some(0));

    let peer = format!("\"{}\"", client.local_addr().expect("a socket"));
    for line in [&connected, &hola, &long, &session, &disconnected] {
        assert_eq!(
            (value(line, "client"), value(line, "peer"), value(line, "level")),
            ("1".into(), peer.clone(), "\"info\"".into())
        );
        assert!(line["ts"].as_str().is_some_and(|time| time.len() == 24 && time.ends_with('Z')), "{line:?}");
    }
    assert!(connected["waited_s"].as_f64().is_some_and(|waited| waited >= 0.0));
    assert_eq!(
        (hola["text"].as_str(), hola["bytes"].as_u64()),
        (Some("¡Hola, \"señor\"!\u{202e}\x1b[2J\r\n"), Some(26))
    );
    assert_eq!((long["text"].as_str(), long["bytes"].as_u64()), (Some("x".repeat(64).as_str()), Some(100)));
    assert_eq!((value(&totals, "accepted"), value(&totals, "live")), ("1".into(), "1".into()));
    assert_eq!((value(&session, "messages"), value(&session, "bytes_in")), ("2".into(), "126".into()));
    assert!(session["age_s"].is_f64() && session["silence_s"].is_f64(), "{session:?}");
    assert_eq!((datagram["text"].as_str(), datagram["bytes"].as_u64()), (Some("ping\u{fffd}"), Some(5)));
    assert_eq!((value(&disconnected, "reason"), value(&disconnected, "messages")), ("\"bye\"".into(), "2".into()));
    assert_eq!((value(&disconnected, "bytes_in"), value(&disconnected, "bytes_out")), ("129".into(), "126".into()));
    assert!(disconnected["duration_s"].is_f64(), "{disconnected:?}");
    let events: Vec<_> = rest.iter().map(|line| line["event"].as_str().expect("each line has one")).collect();
    for event in ["udp_totals", "draining", "totals"] {
        assert!(events.contains(&event), "{events:?}");
    }
    let draining = rest.iter().find(|line| line["event"] == "draining").expect("it stopped");
    assert_eq!(draining["text"], "stopping; sessions to end: 0");
}

#[test]
fn the_journal_gets_priorities_and_no_time() {
    let path = env::temp_dir().join(format!("hebra-journal-{}", std::process::id()));
    let log = File::create(&path).expect("a temporary directory");
    let file = log.metadata().expect("it is open");
    for (stream, is_journal) in [(format!("{}:{}", file.dev(), file.ino()), true), ("1:1".to_owned(), false)] {
        log.set_len(0).expect("it is ours");
        let mut command = Program::command();
        command.args(["--listen", "127.0.0.1:0"]).env("JOURNAL_STREAM", &stream);
        let stderr = File::options().append(true).open(&path).expect("it exists");
        let (mut child, _stdout, address) = spawn_apart(&mut command, stderr);
        let mut client = connect(address);
        say_bye(&mut client);
        signal(&child, Signal::SIGTERM);
        assert_eq!(child.wait().expect("it was started").code(), Some(0));
        let text = fs::read_to_string(&path).expect("text");
        assert_eq!(text.lines().all(|line| line.starts_with("<6>")), is_journal, "{text}");
        assert_eq!(text.starts_with("<6>client 1 ("), is_journal, "{text}");
    }
    fs::remove_file(&path).expect("it is ours");
}

#[test]
fn why_a_server_cannot_run_is_said_in_the_form_of_the_log() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("loopback exists");
    let address = taken.local_addr().expect("it is bound");
    let _taken = UdpSocket::bind(address).expect("nobody has it");
    let mut udp = Command::new(Program::command().get_program());
    udp.args(["udp", "serve"]);
    for mut command in [Program::command(), udp] {
        command.args(["--listen", &address.to_string()]);
        let mut fail = |format: &str| {
            // No filter hides it.
            let command = command.env("HEBRA_LOG_FORMAT", format).env("RUST_LOG", "off").stdin(Stdio::null());
            let Output { status, stderr, .. } = command.output().expect("it is built");
            let text = String::from_utf8(stderr).expect("text");
            assert_eq!((status.code(), text.lines().count()), (Some(1), 1), "{text}");
            text
        };
        let text = fail("text");
        assert!(text.starts_with(&format!("hebra: cannot listen on {address}: ")), "{text}");
        assert_eq!(fail("journal"), format!("<3>{text}"));
        let json = object(&fail("json"));
        assert_eq!((json["event"].as_str(), json["level"].as_str()), (Some("failed"), Some("error")));
        assert_eq!(json["text"].as_str(), text.trim_end().strip_prefix("hebra: "));
        assert!(json["ts"].as_str().is_some_and(|time| time.len() == 24 && time.ends_with('Z')), "{json:?}");
    }
}

#[test]
fn session_lines_beyond_their_budget_are_counted() {
    const CLIENTS: usize = 50;
    let program = Program::serve(&["--log-sessions", "5"]);
    for _ in 0..CLIENTS {
        say_bye(&mut connect(program.address()));
    }
    program.signal(Signal::SIGTERM);
    let (code, lines) = program.finish();
    let logged = lines.iter().filter(|line| line.contains("connected")).count();
    let missing: usize = lines
        .iter()
        .filter_map(|line| line.split_once("session lines not logged: "))
        .map(|(_, count)| count.parse::<usize>().expect("a number"))
        .sum();
    assert_eq!((code, logged + missing), (Some(0), 2 * CLIENTS), "{lines:#?}");
    assert!(missing > 0 && logged >= 5, "{logged}");
}

#[test]
fn session_lines_can_be_off() {
    let program = Program::serve(&["--log-sessions", "off"]);
    drop(connect_served(program.address()));
    program.signal(Signal::SIGTERM);
    let (_, lines) = program.finish();
    assert!(!lines.iter().any(|line| line.contains("connected") || line.contains("not logged")), "{lines:#?}");
    assert!(lines.iter().any(|line| line.contains(" says ")), "{lines:#?}");
}
