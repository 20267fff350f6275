//! The program in a process of its own: what it prints, what a drain loses, its exit codes.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::support::{Program, clog, connect, connect_served, exchange, read_to_end, serve_apart};

const DRAINED: Option<i32> = Some(0);
const CUT_OFF: Option<i32> = Some(3);

/// How often the tests that look for a race between signals and sessions repeat.
const RUNS: usize = 10;

#[test]
fn a_session_reads_on_the_console_as_it_happened() {
    let program = Program::serve(&[]);
    let mut client = connect(program.address());
    exchange(&mut client, "Hola, señor\r\n".as_bytes());
    exchange(&mut client, b"\x1b[2J\nclient 9 connected");
    client.write_all(b"bye\r\n").expect("it is sent");
    assert_eq!(read_to_end(&mut client), b"");
    program.signal(Signal::SIGTERM);
    let (code, lines) = program.finish();
    assert_eq!(code, DRAINED);
    let peer = client.local_addr().expect("a socket");
    let expected = [
        format!("INFO  hebra] client 1 ({peer}) connected"),
        format!("INFO  hebra] client 1 ({peer}) says \"Hola, señor\\r\\n\" (14 bytes)"),
        format!("INFO  hebra] client 1 ({peer}) says \"\\u{{1b}}[2J\\nclient 9 connected\" (23 bytes)"),
        format!("INFO  hebra] client 1 ({peer}) disconnected: bye; messages=2 bytes_in=42 bytes_out=37 duration="),
        "INFO  hebra] stopping; sessions to end: 0".to_owned(),
        "INFO  hebra] totals: accepted=1 refused=0 waiting=0 live=0 finished=1".to_owned(),
    ];
    assert_eq!(lines.len(), expected.len(), "{lines:#?}");
    for (line, expected) in lines.iter().zip(&expected) {
        assert!(line.contains(expected), "{line} lacks {expected}");
    }
}

#[test]
fn every_address_of_a_name_and_every_address_given_is_listened_on() {
    let mut command = Program::command();
    command.env("HEBRA_LISTEN", "localhost:0,127.0.0.2:0").env("HEBRA_WORKERS", "8");
    let program = Program::spawn(&mut command, 2);
    for address in program.addresses() {
        connect_served(*address);
    }
}

#[test]
fn an_address_given_twice_is_listened_on_once_and_a_free_port_is_nobody_elses() {
    let mut command = Program::command();
    // An address that no other test takes a free port of, so that this one stays free.
    let free = TcpListener::bind("127.0.1.9:0").and_then(|listener| listener.local_addr()).expect("a free port");
    let free = free.to_string();
    command.args(["--listen", &free, "--listen", &free, "--listen", "127.0.0.1:0"]);
    let program = Program::spawn(command.args(["--listen", "[::]:0"]), 3);
    // The last one takes IPv4 clients too: the free port before it is another.
    connect_served(([127, 0, 0, 1], program.addresses()[2].port()).into());
}

#[test]
fn ipv4_clients_of_an_ipv6_socket_are_shown_as_ipv4() {
    let program = Program::spawn(Program::command().args(["--listen", "[::]:0"]), 1);
    let port = program.address().port();
    connect_served(([127, 0, 0, 1], port).into());
    let line = program.wait_for("connected");
    assert!(line.contains("(127.0.0.1:"), "{line}");
}

#[test]
fn rust_log_is_obeyed() {
    let program =
        Program::spawn(Program::command().args(["--listen", "127.0.0.1:0"]).env("RUST_LOG", "hebra=warn"), 1);
    connect_served(program.address());
    program.signal(Signal::SIGTERM);
    assert_eq!(program.finish(), (DRAINED, Vec::new()));
}

#[test]
fn a_rust_log_that_is_set_to_nothing_is_not_set() {
    let program = Program::spawn(Program::command().args(["--listen", "127.0.0.1:0"]).env("RUST_LOG", ""), 1);
    connect_served(program.address());
    program.wait_for("connected");
}

#[test]
fn totals_are_logged_at_an_interval() {
    let program = Program::serve(&["--stats-interval", "20ms"]);
    let _client = connect_served(program.address());
    while !program.wait_for("totals: ").contains("live=1 finished=0 silent=0 panicked=0 messages=1") {}
}

/// Sends numbered messages and waits for each echo until the stream ends: how many were echoed.
fn chat(mut client: TcpStream) -> u64 {
    let mut echo = [0; 8];
    for number in 0_u64.. {
        let sent = client.write_all(&number.to_be_bytes());
        match client.read_exact(&mut echo) {
            Ok(()) => assert_eq!(u64::from_be_bytes(echo), number),
            Err(error) => {
                // The end came instead of an echo: cleanly, and between two messages.
                assert_eq!(error.kind(), std::io::ErrorKind::UnexpectedEof, "{sent:?}");
                return number;
            }
        }
    }
    unreachable!("the server is stopped")
}

#[test]
fn sigterm_under_load_answers_all_that_was_read_and_drains_in_no_time() {
    const CLIENTS: usize = 200;
    for _ in 0..RUNS {
        let program = Program::serve(&["--framing", "raw", "--log-messages", "off"]);
        let clients: Vec<TcpStream> = (0..CLIENTS).map(|_| connect_served(program.address())).collect();
        let (took, lines, answered) = thread::scope(|scope| {
            let chats: Vec<_> = clients.into_iter().map(|client| scope.spawn(|| chat(client))).collect();
            let asked = Instant::now();
            program.signal(Signal::SIGTERM);
            let (code, lines) = program.finish();
            assert_eq!(code, DRAINED, "{lines:#?}");
            let answered: u64 = chats.into_iter().map(|chat| chat.join().expect("a clean end")).sum();
            (asked.elapsed(), lines, answered)
        });
        // What the server has read (`messages`) is what the clients saw the echo of.
        let served = answered + CLIENTS as u64;
        let totals = lines.last().expect("totals are told at the end");
        assert!(totals.contains(&format!("messages={served} ")), "{totals}, not {served}");
        // A fuse far below the drain deadline of 10 s: nobody was waited for.
        assert!(took < Duration::from_secs(5), "{took:?}");
    }
}

#[test]
fn sigterm_loses_no_reply_to_clients_that_send_ahead_and_read_slowly() {
    const CLIENTS: usize = 20;
    const AHEAD: usize = 16;
    const LENGTH: usize = 16 * 1024;
    let program = Program::serve(&["--framing", "raw", "--log-messages", "off", "--stats-interval", "200ms"]);
    let clients: Vec<TcpStream> = (0..CLIENTS).map(|_| connect_served(program.address())).collect();
    let (received, lines) = thread::scope(|scope| {
        let chats: Vec<_> = clients
            .iter()
            .map(|client| {
                scope.spawn(move || {
                    // Sixteen messages ahead of the echoes, which are read with pauses: slow is the subject.
                    let pace = crossbeam_channel::tick(Duration::from_millis(20));
                    let (mut client, mut message, mut received) = (client, [b'x'; LENGTH], 0);
                    client.write_all(&[b'x'; AHEAD * LENGTH]).expect("it is sent");
                    loop {
                        pace.recv().expect("it ticks");
                        match client.read(&mut message).expect("a clean end of stream") {
                            0 => return received,
                            count => received += count,
                        }
                        // After the stop nobody takes it.
                        let _ = client.write_all(&message);
                    }
                })
            })
            .collect();
        program.wait_for("totals: ");
        program.signal(Signal::SIGTERM);
        let received: usize = chats.into_iter().map(|chat| chat.join().expect("a clean end")).sum();
        (received + CLIENTS * b"ready?\n".len(), program.finish())
    });
    assert_eq!(lines.0, DRAINED, "{lines:#?}");
    let totals = lines.1.last().expect("totals are told at the end");
    assert!(totals.contains(&format!("bytes_out={received} ")), "{totals}, not {received}");
}

#[test]
fn a_process_that_is_stopped_and_continued_loses_no_reply() {
    let program = Program::serve(&["--framing", "raw", "--log-messages", "off", "--stats-interval", "20ms"]);
    let client = clog(program.address(), || program.next_totals());
    for _ in 0..5 {
        program.signal(Signal::SIGSTOP);
        program.signal(Signal::SIGCONT);
    }
    let (sent, _) = program.next_totals();
    let mut received = 7;
    let mut buffer = vec![0; 64 * 1024];
    while received < sent {
        match (&client).read(&mut buffer).expect("the session goes on") {
            0 => panic!("the session has ended"),
            count => received += count as u64,
        }
    }
}

#[test]
fn a_client_that_never_reads_makes_the_exit_code_3_at_the_drain_deadline() {
    let program = Program::serve(&["--drain-timeout", "100ms", "--stats-interval", "20ms"]);
    let _client = clog(program.address(), || program.next_totals());
    program.signal(Signal::SIGTERM);
    let (code, lines) = program.finish();
    assert_eq!(code, CUT_OFF, "{lines:#?}");
    let told = lines.iter().any(|line| line.contains("drain deadline passed; sessions cut off: 1"));
    assert!(told, "{lines:#?}");
}

#[test]
fn a_signal_right_after_the_first_line_is_not_lost() {
    for _ in 0..RUNS {
        let program = Program::serve(&[]);
        program.signal(Signal::SIGTERM);
        assert_eq!(program.finish().0, DRAINED);
    }
}

#[test]
#[cfg(target_os = "linux")]
fn a_first_line_that_cannot_be_printed_is_told() {
    let full = File::options().write(true).open("/dev/full").expect("Linux has it");
    let mut command = Program::command();
    command.args(["--listen", "127.0.0.1:0"]).stdout(full).stderr(Stdio::piped());
    let mut child = command.spawn().expect("it is built");
    let mut told = String::new();
    BufReader::new(child.stderr.take().expect("piped")).read_line(&mut told).expect("it says something");
    child.kill().expect("it runs");
    child.wait().expect("it was started");
    assert_eq!(told, "hebra: cannot print where it listens: No space left on device (os error 28)\n");
}

#[test]
fn a_closed_standard_output_and_error_stop_nothing() {
    let (mut child, stdout, address) = serve_apart(&[], Stdio::piped());
    drop((stdout, child.stderr.take()));
    let mut client = connect_served(address);
    client.write_all(b"bye").expect("it is sent");
    assert_eq!(read_to_end(&mut client), b"");
    child.kill().expect("it runs");
    child.wait().expect("it was started");
}
