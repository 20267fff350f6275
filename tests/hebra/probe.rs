//! `hebra probe` against right, wrong and failing servers: its line, its exit code, and how it leaves.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream, UdpSocket};
use std::process::{Command, Output, id};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use hebra::{CloseReason, Echo, Framing, Next, Server};
use socket2::SockRef;

use crate::support::{
    FUSE, Program, address, config, connect_served, free_address, listen, next_reason, run, serve, start,
};

/// Returns the command `hebra probe` with `arguments`, without variables that would change its defaults.
fn probe_command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hebra"));
    command.arg("probe").args(arguments);
    for flag in ["SEND", "TIMEOUT", "SERVICE"] {
        command.env_remove(format!("HEBRA_{flag}"));
    }
    command
}

/// Runs the probe. Returns its exit code, standard output and standard error, the last two without their line feeds.
fn probe(arguments: &[&str]) -> (Option<i32>, String, String) {
    output(&mut probe_command(arguments))
}

fn output(command: &mut Command) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } = run(command, b"");
    let text = |bytes| String::from_utf8(bytes).expect("text").trim_end_matches('\n').to_owned();
    (status.code(), text(stdout), text(stderr))
}

/// Asserts that the probe succeeds with the line `SERVER WHAT in N.NN ms`.
fn assert_success(arguments: &[&str], server: &str, what: &str) {
    let (code, line, errors) = probe(arguments);
    assert_eq!((code, errors.as_str()), (Some(0), ""), "{line}");
    let took = line.strip_prefix(&format!("{server} {what} in ")).and_then(|rest| rest.strip_suffix(" ms"));
    let took = took.unwrap_or_else(|| panic!("{line}"));
    assert!(took.parse::<f64>().is_ok_and(|took| took >= 0.0), "{line}");
    assert_eq!(took.split_once('.').map(|(_, digits)| digits.len()), Some(2), "{line}");
}

/// Asserts that the probe fails with an exit code and a line.
fn assert_failure(arguments: &[&str], code: i32, line: &str) {
    assert_eq!(probe(arguments), (Some(code), String::new(), format!("hebra: {line}")));
}

/// Accepts one client and runs `behave` with its connection.
fn behaving(behave: impl FnOnce(TcpStream) + Send + 'static) -> (String, JoinHandle<()>) {
    let (listener, address) = listen();
    let server = thread::spawn(move || {
        let (stream, _) = listener.accept().expect("the probe connects");
        stream.set_read_timeout(Some(FUSE)).expect("a valid timeout");
        behave(stream);
    });
    (address.to_string(), server)
}

/// Reads the line of the default text.
fn take_question(stream: &mut TcpStream) {
    let mut line = [0; 12];
    stream.read_exact(&mut line).expect("the probe sends a line");
    assert_eq!(&line, b"hebra-probe\n");
}

/// A server that answers the default text with `answer`, and returns when the probe has left without a reset.
fn answering(answer: &'static [u8]) -> (String, JoinHandle<()>) {
    behaving(move |mut stream| {
        take_question(&mut stream);
        stream.write_all(answer).expect("it is sent");
        assert_eq!(stream.read(&mut [0; 1]).expect("no reset"), 0);
    })
}

#[test]
fn an_echo_is_right_in_every_framing_and_the_session_ends_as_usual() {
    for framing in [Framing::Message, Framing::Line, Framing::Raw] {
        let server = start(config().framing(framing));
        let events = server.subscribe();
        let name = address(&server).to_string();
        assert_success(&[&name], &name, "answered");
        assert_eq!(next_reason(&events), CloseReason::EndOfStream);
        assert_success(&[&name, "--send", "¿qué tal? \t 漢字\u{1b}"], &name, "answered");
        assert_eq!(next_reason(&events), CloseReason::EndOfStream);
        let long = "x".repeat(100_000);
        if framing == Framing::Raw {
            assert_success(&[&name, "--send", &long], &name, "answered");
        }
    }
}

#[test]
fn localhost_is_probed_by_default_and_the_line_names_the_address() {
    let (code, line, errors) = probe(&["localhost:1"]);
    assert_eq!((code, line.as_str()), (Some(5), ""), "{errors}");
    let server = start(config());
    let name = address(&server).to_string();
    assert_success(&[&format!("localhost:{}", address(&server).port())], &name, "answered");
}

#[test]
fn an_empty_text_asks_for_the_connection_alone() {
    let server = start(config());
    let events = server.subscribe();
    let name = address(&server).to_string();
    assert_success(&[&name, "--send", ""], &name, "connected");
    assert_eq!(next_reason(&events), CloseReason::EndOfStream);
    assert_eq!(server.stats().messages, 0);
    // A server that neither speaks nor closes does not hold the probe up.
    let (listener, address) = listen();
    let name = address.to_string();
    assert_success(&[&name, "--send", "", "--timeout", "50s"], &name, "connected");
    drop(listener);
}

#[test]
fn a_unix_socket_is_probed_by_its_file_and_by_its_name() {
    let file = format!("{}/probe-{}.sock", env!("CARGO_TARGET_TMPDIR"), id());
    let server = Server::bind(config().listen([format!("unix:{file}")]), |_session| Echo).expect("it binds");
    let server = server.start().expect("it starts");
    let name = format!("unix:{file}");
    assert_success(&[&name], &name, "answered");
    drop(server);
    assert_failure(&[&name], 5, &format!("cannot connect to {name}: there is no such socket"));
    if cfg!(target_os = "linux") {
        let name = format!("unix:@hebra-probe-{}", id());
        let server = Server::bind(config().listen([name.clone()]), |_session| Echo).expect("it binds");
        let _server = server.start().expect("it starts");
        assert_success(&[&name], &name, "answered");
    }
}

#[test]
fn datagrams_are_probed_too() {
    // An address that no other test takes, so that nobody listens there afterwards.
    let silent = UdpSocket::bind("127.0.9.1:0").expect("a free port");
    let address = silent.local_addr().expect("it is bound");
    let name = format!("udp://{address}");
    assert_failure(&[&name, "--timeout", "50ms"], 6, &format!("no answer from {address}: timed out"));
    drop(silent);
    let (code, _, line) = probe(&[&name]);
    assert_eq!(code, Some(5), "{line}");
    let server = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    let name = format!("udp://{}", server.local_addr().expect("it is bound"));
    let server = thread::spawn(move || {
        for answer in ["hebra-probe", "one hebra-probe\r\n", "no"] {
            let mut question = [0; 100];
            let (count, sender) = server.recv_from(&mut question).expect("it is bound");
            assert_eq!(&question[..count], b"hebra-probe");
            server.send_to(answer.as_bytes(), sender).expect("it waits");
        }
    });
    assert_success(&[&name], &name, "answered");
    assert_success(&[&name], &name, "answered");
    assert_failure(&[&name], 1, &format!("{name} answered \"no\", not \"hebra-probe\""));
    server.join().expect("it answers");
    assert_failure(
        &[&name, "--send", ""],
        2,
        "--send must not be empty with udp://, which has no connection (see hebra probe --help)",
    );
    assert_failure(
        &[&name, "--service", "chat"],
        2,
        "--service chat needs a connection, which udp:// has not (see hebra probe --help)",
    );
    let long = "x".repeat(65_508);
    assert_failure(&[&name, "--send", &long], 2, "--send has 65508 bytes, and a datagram holds at most 65,507");
}

#[test]
fn a_wrong_answer_is_shown_escaped() {
    for (answer, shown) in [
        (&b"nope\n"[..], "nope"),
        (b"\n", ""),
        (b"\x1b[2J\xff\r\n", "\\u{1b}[2J\\xff"),
        (b"hebra-probehebra-probe\n", "hebra-probehebra-probe"),
        (b"hebra-probe \n", "hebra-probe "),
        (b"hebra-prob\n", "hebra-prob"),
    ] {
        let (name, server) = answering(answer);
        assert_failure(&[&name], 1, &format!("{name} answered \"{shown}\", not \"hebra-probe\""));
        server.join().expect("the probe leaves without a reset");
    }
    let (name, server) = answering(&[b'x'; 1000]);
    let (code, _, line) = probe(&[&name, "--timeout", "200ms"]);
    assert_eq!((code, line), (Some(6), format!("hebra: no answer from {name}: timed out")));
    server.join().expect("the probe leaves without a reset");
}

#[test]
fn a_prefix_and_other_line_ends_are_right() {
    for answer in [&b"hebra-probe\r\n"[..], b"one hebra-probe\n", b"one two hebra-probe\nmore\n"] {
        let (name, server) = answering(answer);
        assert_success(&[&name], &name, "answered");
        server.join().expect("the probe leaves without a reset");
    }
}

#[test]
fn a_busy_server_is_a_failure_even_if_its_line_ends_with_the_text() {
    let (name, server) = answering(b"busy: no hebra-probe\n");
    assert_failure(&[&name], 1, &format!("{name} answered \"busy: no hebra-probe\", not \"hebra-probe\""));
    server.join().expect("it left as usual");
}

#[test]
fn an_answer_after_the_time_limit_is_none() {
    const LATE: Duration = Duration::from_millis(2);
    let (name, server) = behaving(|mut stream| {
        take_question(&mut stream);
        thread::sleep(LATE);
        // The probe may have left.
        let _ = stream.write_all(b"hebra-probe\n");
    });
    assert_eq!(probe(&[&name, "--timeout", "1ms"]).0, Some(6));
    // Nobody waits for it: on a busy machine the time may be over before the probe connects.
    drop(server);
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a port is free");
    let name = format!("udp://{}", socket.local_addr().expect("it is bound"));
    thread::spawn(move || {
        let (_, probe) = socket.recv_from(&mut [0; 64]).expect("the probe sends a datagram");
        thread::sleep(LATE);
        let _ = socket.send_to(b"hebra-probe", probe);
    });
    assert_eq!(probe(&[&name, "--timeout", "1ms"]).0, Some(6));
}

#[test]
fn a_busy_server_is_a_failure_that_says_so() {
    let server = start(config().workers(1).max_pending(0));
    let _client = connect_served(address(&server));
    let name = address(&server).to_string();
    for service in ["echo", "whoami", "greet"] {
        let (code, line, errors) = probe(&[&name, "--service", service]);
        assert_eq!((code, line.as_str()), (Some(1), ""));
        assert!(errors.starts_with(&format!("hebra: {name} answered \"busy: ")), "{errors}");
    }
}

#[test]
fn each_service_has_its_right_answer() {
    let greeting = Program::serve(&["--service", "greet"]);
    let name = greeting.address().to_string();
    assert_success(&[&name, "--service", "greet"], &name, "answered");
    assert_failure(&[&name], 1, &format!("{name} answered \"Un saludo crack!\", not \"hebra-probe\""));
    let (code, line, _) = output(probe_command(&[&name]).env("HEBRA_SERVICE", "greet").env("HEBRA_SEND", ""));
    assert_eq!((code, line.contains("answered")), (Some(0), true), "an empty variable is unset");
    let named = serve(config().framing(Framing::Line), |message, reply| {
        let message = String::from_utf8_lossy(message);
        let answer = serde_json::json!({ "service": "whoami", "message": message.trim_end() });
        writeln!(reply, "{answer}").map(|()| Next::Continue)
    });
    let name = address(&named).to_string();
    assert_success(&[&name, "--service", "whoami"], &name, "answered");
    assert_success(&[&name, "--service", "whoami", "--send", "\"ñ\" \\"], &name, "answered");
    for answer in [&b"{\"message\":\"other\"}\n"[..], b"{\"message\":1}\n", b"[]\n", b"hebra-probe\n"] {
        let (name, server) = answering(answer);
        let shown = String::from_utf8_lossy(answer);
        let line = format!("{name} answered \"{}\", not JSON with the message \"hebra-probe\"", shown.trim_end());
        assert_failure(&[&name, "--service", "whoami"], 1, &line);
        server.join().expect("the probe leaves without a reset");
    }
    let chat = start(config());
    let name = address(&chat).to_string();
    assert_success(&[&name, "--service", "chat"], &name, "connected");
    assert_failure(
        &[&name, "--service", "chat", "--send", "hola"],
        2,
        "--send has no effect with --service chat (see hebra probe --help)",
    );
}

#[test]
fn a_server_that_closes_or_resets_without_an_answer_is_code_7() {
    for (part, line) in [
        (&b""[..], "closed the connection without an answer"),
        (b"hebra-pr", "closed the connection in the middle of its answer"),
    ] {
        let (name, server) = behaving(move |mut stream| {
            take_question(&mut stream);
            stream.write_all(part).expect("it is sent");
        });
        assert_failure(&[&name], 7, &format!("{name} {line}"));
        server.join().expect("it answers");
    }
    let (name, server) = behaving(|mut stream| {
        take_question(&mut stream);
        SockRef::from(&stream).set_linger(Some(Duration::ZERO)).expect("a socket");
    });
    assert_failure(&[&name], 7, &format!("no answer from {name}: connection reset"));
    server.join().expect("it resets");
    // An answer at the end of the stream needs no line feed.
    let (name, server) = behaving(|mut stream| {
        take_question(&mut stream);
        stream.write_all(b"hebra-probe").expect("it is sent");
    });
    assert_success(&[&name], &name, "answered");
    server.join().expect("it answers");
    let (name, server) = behaving(|mut stream| {
        take_question(&mut stream);
        stream.write_all(b"garbage").expect("it is sent");
    });
    assert_failure(&[&name], 1, &format!("{name} answered \"garbage\", not \"hebra-probe\""));
    server.join().expect("it answers");
}

#[test]
fn a_server_that_says_why_and_closes_before_the_question_is_heard() {
    let (name, server) = behaving(|mut stream| {
        stream.write_all(b"busy: out of order\n").expect("it is sent");
        stream.shutdown(Shutdown::Write).expect("it is connected");
        assert_eq!(stream.read_to_end(&mut Vec::new()).expect("no reset"), 12);
    });
    assert_failure(&[&name], 1, &format!("{name} answered \"busy: out of order\", not \"hebra-probe\""));
    server.join().expect("the probe leaves without a reset");
}

#[test]
fn one_deadline_covers_a_silent_server_and_one_that_drips() {
    let limit = Duration::from_millis(300);
    let (listener, silent) = listen();
    let begun = Instant::now();
    assert_failure(&[&silent.to_string(), "--timeout", "300ms"], 6, &format!("no answer from {silent}: timed out"));
    assert!(begun.elapsed() >= limit);
    drop(listener);
    // Each byte comes well within the limit, and all of them take for ever.
    let (name, server) = behaving(|mut stream| {
        while stream.write_all(b"x").is_ok() {
            thread::sleep(Duration::from_millis(20));
        }
    });
    let begun = Instant::now();
    assert_failure(&[&name, "--timeout", "300ms"], 6, &format!("no answer from {name}: timed out"));
    assert!((limit..FUSE / 2).contains(&begun.elapsed()));
    server.join().expect("it drips until the probe has gone");
}

#[test]
fn a_server_that_drips_its_answer_is_waited_for() {
    let (name, server) = behaving(|mut stream| {
        take_question(&mut stream);
        for byte in b"hebra-probe\n" {
            stream.write_all(&[*byte]).expect("it is sent");
            thread::yield_now();
        }
        assert_eq!(stream.read(&mut [0; 1]).expect("no reset"), 0);
    });
    assert_success(&[&name], &name, "answered");
    server.join().expect("the probe leaves without a reset");
}

#[test]
fn a_server_that_sends_for_ever_without_a_line_feed_is_a_failure_with_bounded_memory() {
    let (name, server) = behaving(|mut stream| while stream.write_all(&[b'x'; 65_536]).is_ok() {});
    let (code, line, errors) = probe(&[&name, "--timeout", "60s"]);
    server.join().expect("it floods until the probe has gone");
    assert_eq!((code, line.as_str()), (Some(1), ""));
    let count = errors.strip_prefix(&format!("hebra: {name} sent ")).and_then(|rest| rest.split(' ').next());
    let count: usize = count.and_then(|count| count.parse().ok()).unwrap_or_else(|| panic!("{errors}"));
    assert!((65_536..80_000).contains(&count), "{errors}");
    assert!(errors.ends_with("xxx...\"") && errors.len() < 400, "{errors}");
}

#[test]
fn the_exit_codes_of_addresses_are_those_of_connect() {
    let nobody: SocketAddr = free_address("127.0.4.1");
    assert_failure(&[&nobody.to_string()], 5, &format!("cannot connect to {nobody}: connection refused"));
    let (code, _, line) = probe(&["nowhere.invalid:1234"]);
    assert_eq!(code, Some(4), "{line}");
    for (arguments, problem) in [
        (&["localhost"][..], "ADDR: \"localhost\" lacks its port; an address looks like localhost:1234"),
        (&["localhost:1", "--send", "a\nb"], "--send: \"a\\nb\" has a line end; the probe sends one line"),
        (&["localhost:1", "--send", "a\r"], "--send: \"a\\r\" has a line end; the probe sends one line"),
        (
            &["localhost:1", "--timeout", "0s"],
            "--timeout: \"0s\" is too short; a timeout is longer than zero, or off",
        ),
        (&["localhost:1", "--service", "ftp"], "--service: \"ftp\" is none of echo, whoami, greet, chat"),
    ] {
        assert_failure(arguments, 2, &format!("{problem} (see hebra probe --help)"));
    }
}
