//! `hebra serve` in a process of its own: its output, its exit codes, and what a drain loses.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{IpAddr, TcpStream};
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::support::{
    Program, clog, connect, connect_served, exchange, free_address, read_to_end, say_bye, serve_apart,
};

const DRAINED: Option<i32> = Some(0);
const CUT_OFF: Option<i32> = Some(3);

/// How often a test repeats that looks for a race between signals and sessions.
const RUNS: usize = 10;

#[test]
fn the_log_shows_a_session_as_it_happened() {
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
fn an_address_given_twice_is_listened_on_once_and_free_ports_are_distinct() {
    let mut command = Program::command();
    let free = free_address("127.0.1.9").to_string();
    command.args(["--listen", &free, "--listen", &free, "--listen", "127.0.0.1:0"]);
    let program = Program::spawn(command.args(["--listen", "[::]:0"]), 3);
    // The last socket accepts IPv4 clients too, so its port must differ from the free port before it.
    connect_served(([127, 0, 0, 1], program.addresses()[2].port()).into());
}

#[test]
fn a_wildcard_includes_the_other_addresses_on_its_port() {
    let port = free_address("::").port();
    for (listen, sockets) in [
        (format!("[::]:{port},127.0.0.1:{port},localhost:{port}"), 1),
        (format!("127.0.0.1:{port},[::]:{port}"), 1),
        (format!("[::]:{port},127.0.0.1:{port},0.0.0.0:{port}"), 2),
    ] {
        let program = Program::spawn(Program::command().args(["--listen", &listen]), sockets);
        for host in ["127.0.0.1", "127.0.1.30", "::1"] {
            connect_served((host.parse::<IpAddr>().expect("an address"), port).into());
        }
        program.signal(Signal::SIGTERM);
        let (code, lines) = program.finish();
        // No address is reported as missing.
        assert!(code == DRAINED && lines.iter().all(|line| !line.contains("WARN")), "{lines:#?}");
    }
}

#[test]
fn an_ipv4_address_that_is_written_as_an_ipv6_one_is_listened_on_as_what_it_is() {
    let program = Program::spawn(Program::command().args(["--listen", "[::ffff:127.0.0.1]:0"]), 1);
    assert_eq!(program.address().ip().to_string(), "127.0.0.1");
    connect_served(program.address());
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
fn an_empty_rust_log_counts_as_unset() {
    let program = Program::spawn(Program::command().args(["--listen", "127.0.0.1:0"]).env("RUST_LOG", ""), 1);
    connect_served(program.address());
    program.wait_for("connected");
}

#[test]
fn lines_have_colours_on_a_terminal_and_where_they_are_asked_for() {
    for (style, is_coloured) in [("always", true), ("never", false), ("auto", false)] {
        let mut command = Program::command();
        let program = Program::spawn(command.args(["--listen", "127.0.0.1:0"]).env("RUST_LOG_STYLE", style), 1);
        program.signal(Signal::SIGTERM);
        let line = program.wait_for("stopping");
        assert_eq!(line.contains("\x1b[32mINFO "), is_coloured, "{style}: {line}");
        assert_eq!(line.contains('\x1b'), is_coloured, "{style}: {line}");
    }
}

#[test]
fn totals_are_logged_at_an_interval() {
    let program = Program::serve(&["--stats-interval", "20ms"]);
    let _client = connect_served(program.address());
    while !program.wait_for("totals: ").contains("live=1 finished=0 silent=0 panicked=0 messages=1") {}
}

/// Exchanges numbered messages until the stream ends, and returns how many were echoed.
fn chat(mut client: TcpStream) -> u64 {
    let mut echo = [0; 8];
    for number in 0_u64.. {
        let sent = client.write_all(&number.to_be_bytes());
        match client.read_exact(&mut echo) {
            Ok(()) => assert_eq!(u64::from_be_bytes(echo), number),
            Err(error) => {
                // The stream must end cleanly, and between two echoes.
                assert_eq!(error.kind(), std::io::ErrorKind::UnexpectedEof, "{sent:?}");
                return number;
            }
        }
    }
    unreachable!("the server is stopped")
}

#[test]
fn sigterm_under_load_answers_everything_that_was_read_and_drains_quickly() {
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
        // The clients have received an echo of every message that the server has read.
        let served = answered + CLIENTS as u64;
        let totals = lines.last().expect("totals at the end");
        assert!(totals.contains(&format!("messages={served} ")), "{totals}, not {served}");
        // This is far below the drain deadline of 10 s, so the server has not waited for it.
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
                    // The client is sixteen messages ahead of the echoes, and reads them slowly on purpose.
                    let pace = crossbeam_channel::tick(Duration::from_millis(20));
                    let (mut client, mut message, mut received) = (client, [b'x'; LENGTH], 0);
                    client.write_all(&[b'x'; AHEAD * LENGTH]).expect("it is sent");
                    loop {
                        pace.recv().expect("it ticks");
                        match client.read(&mut message).expect("a clean end of stream") {
                            0 => return received,
                            count => received += count,
                        }
                        // The server takes no more after the stop.
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
    let totals = lines.1.last().expect("totals at the end");
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
fn a_client_that_never_reads_causes_exit_code_3_at_the_drain_deadline() {
    let program = Program::serve(&["--drain-timeout", "100ms", "--stats-interval", "20ms"]);
    let _client = clog(program.address(), || program.next_totals());
    program.signal(Signal::SIGTERM);
    let (code, lines) = program.finish();
    assert_eq!(code, CUT_OFF, "{lines:#?}");
    let is_logged = lines.iter().any(|line| line.contains("drain deadline passed; sessions cut off: 1"));
    assert!(is_logged, "{lines:#?}");
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
fn a_first_line_that_cannot_be_printed_is_reported() {
    let full = File::options().write(true).open("/dev/full").expect("Linux has it");
    let mut command = Program::command();
    command.args(["--listen", "127.0.0.1:0"]).stdout(full).stderr(Stdio::piped());
    let mut child = command.spawn().expect("it is built");
    let mut line = String::new();
    BufReader::new(child.stderr.take().expect("piped")).read_line(&mut line).expect("it prints a line");
    child.kill().expect("it runs");
    child.wait().expect("it was started");
    assert_eq!(line, "hebra: cannot print where it listens: No space left on device (os error 28)\n");
}

#[test]
fn closed_standard_output_and_error_do_not_stop_the_server() {
    let (mut child, stdout, address) = serve_apart(&[], Stdio::piped());
    drop((stdout, child.stderr.take()));
    let mut client = connect_served(address);
    say_bye(&mut client);
    child.kill().expect("it runs");
    child.wait().expect("it was started");
}
