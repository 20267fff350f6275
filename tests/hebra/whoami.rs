//! `--service whoami`: which server answered, and whom, over TCP, Unix sockets and UDP; and `--prefix`.

use std::io::{Read, Write};
use std::net::{SocketAddr, UdpSocket};
use std::os::unix::net::UnixStream;
use std::{env, process};

use hebra::{UdpConfig, UdpServer};
use nix::sys::signal::Signal;
use nix::unistd::gethostname;
use serde_json::{Value, json};

use crate::proxy_reference::SIGNATURE;
use crate::support::{FUSE, Program, connect, connect_from, exchange, read_to_end, send_and_finish};

const FIELDS: [&str; 9] =
    ["service", "version", "host", "listener", "client", "peer", "proxied_by", "labels", "message"];

/// Starts `hebra serve --service whoami` with further flags. Returns it with what it listens on.
fn whoami(flags: &[&str]) -> (Program, Vec<String>) {
    let listeners = flags.iter().filter(|flag| **flag == "--listen").count();
    let program = Program::spawn(Program::command().args(["--service", "whoami"]).args(flags), 0);
    let listening = |_| program.next_shown().strip_prefix("listening on ").expect("its form").to_owned();
    let listening = (0..listeners).map(listening).collect();
    (program, listening)
}

/// Returns the objects in lines of JSON. Panics if a line is not one, controls a terminal, or has other fields.
fn parse(answers: &[u8]) -> Vec<Value> {
    let text = std::str::from_utf8(answers).expect("text");
    assert!(text.ends_with('\n') && !text.chars().any(|c| c != '\n' && c.is_control()), "{text:?}");
    let parse = |line| {
        let answer: Value = serde_json::from_str(line).expect("it is JSON");
        let fields: Vec<&str> = answer.as_object().expect("an object").keys().map(String::as_str).collect();
        assert_eq!(fields, FIELDS, "{line}");
        answer
    };
    text.lines().map(parse).collect()
}

/// Sends a stream, and returns the answers.
fn ask(address: &str, stream: &[u8]) -> Vec<Value> {
    parse(&send_and_finish(&connect(address.parse().expect("an address")), stream))
}

/// Returns the address of a socket as JSON has it.
fn text(address: std::io::Result<SocketAddr>) -> Value {
    address.expect("it is bound").to_string().into()
}

fn host() -> Value {
    gethostname().expect("it has a name").to_str().expect("text").into()
}

#[test]
fn each_line_is_answered_with_who_answered_and_whom() {
    let (_program, listening) = whoami(&["--listen", "127.0.0.1:0", "--label", "zone=eu-1", "--label", "a=,b=c=d"]);
    for number in 1..=2 {
        let client = connect(listening[0].parse().expect("an address"));
        let answers = parse(&send_and_finish(&client, "¡Hola!\r\n\nlast".as_bytes()));
        assert_eq!(
            answers[0],
            json!({
                "service": "whoami", "version": env!("CARGO_PKG_VERSION"), "host": host(),
                "listener": listening[0], "client": number, "peer": text(client.local_addr()), "proxied_by": null,
                "labels": {"zone": "eu-1", "a": "", "b": "c=d"}, "message": "¡Hola!",
            })
        );
        // In the order of the flags.
        assert!(answers[0]["labels"].to_string().starts_with(r#"{"zone":"#));
        assert_eq!((&answers[1]["message"], &answers[2]["message"]), (&json!(""), &json!("last")));
    }
}

#[test]
fn a_wildcard_and_a_unix_socket_are_named_as_they_are_announced() {
    let path = env::temp_dir().join(format!("hebra-{}-whoami \"x\".sock", process::id()));
    let unix = format!("unix:{}", path.display());
    let (_program, listening) = whoami(&["--listen", "0.0.0.0:0", "--listen", &unix]);
    assert_eq!(listening[1], unix);
    let port = listening[0].strip_prefix("0.0.0.0:").expect("a wildcard");
    assert_eq!(ask(&format!("127.0.0.1:{port}"), b"x\n")[0]["listener"], json!(listening[0]));
    let mut client = UnixStream::connect(&path).expect("it listens");
    client.set_read_timeout(Some(FUSE)).expect("a valid timeout");
    client.write_all(b"hello\nbye\n").expect("it is sent");
    let mut answers = Vec::new();
    client.read_to_end(&mut answers).expect("a clean end");
    let answers = parse(&answers);
    assert_eq!(
        (answers.len(), &answers[0]["listener"], &answers[0]["peer"], &answers[0]["client"]),
        (1, &json!(unix), &json!("unix"), &json!(2))
    );
}

#[test]
fn behind_a_proxy_the_client_and_the_proxy_are_named() {
    let (_program, listening) = whoami(&["--listen", "127.0.0.1:0", "--proxy-protocol", "127.0.0.2"]);
    let address: SocketAddr = listening[0].parse().expect("an address");
    let v1 = b"PROXY TCP4 203.0.113.7 192.0.2.1 5000 80\r\n".to_vec();
    let addresses: &[u8] = &[203, 0, 113, 7, 192, 0, 2, 1, 0x13, 0x88, 0, 80];
    let v2 = [SIGNATURE, &[0x21, 0x11, 0, 12], addresses].concat();
    for header in [v1, v2] {
        let proxy = connect_from([127, 0, 0, 2], address);
        let answers = parse(&send_and_finish(&proxy, &[&header[..], b"hello\n"].concat()));
        assert_eq!(
            (&answers[0]["peer"], &answers[0]["proxied_by"]),
            (&json!("203.0.113.7:5000"), &text(proxy.local_addr()))
        );
    }
    // From elsewhere a header is a line like any other.
    let answers = ask(&listening[0], b"PROXY TCP4 203.0.113.7 192.0.2.1 5000 80\r\n");
    assert_eq!(answers[0]["proxied_by"], Value::Null);
    assert_eq!(answers[0]["message"], json!("PROXY TCP4 203.0.113.7 192.0.2.1 5000 80"));
}

#[test]
fn hostile_lines_stay_one_line_of_json() {
    let (_program, listening) = whoami(&["--listen", "127.0.0.1:0"]);
    let long = "\x1b".repeat(64 * 1024);
    for (line, message) in [
        (&b"\"},\"x\":\"\\\n"[..], "\"},\"x\":\"\\"),
        (b"a\x00\x01\x1b[2J\x7f\tb\r\n", "a\0\x01\x1b[2J\x7f\tb"),
        ("\u{202e}\u{2028}\u{9b}👍\n".as_bytes(), "\u{202e}\u{2028}\u{9b}👍"),
        (b"\xc3\n", "\\xc3"),
        (b"a\xff\xffb\xe9\r\0", "a\\xffb\\xe9"),
        (b"\r\r\n", "\r"),
        (&[long.as_bytes(), b"\n"].concat(), &long),
    ] {
        let answers = ask(&listening[0], &[line, b"next\n"].concat());
        assert_eq!(
            (answers.len(), &answers[0]["message"], &answers[1]["message"]),
            (2, &json!(message), &json!("next"))
        );
    }
    let mut client = connect(listening[0].parse().expect("an address"));
    client.write_all(&vec![b'x'; 64 * 1024 + 1]).expect("it is sent");
    assert_eq!(read_to_end(&mut client), b"error: a line may have 65536 bytes\r\n");
}

#[test]
fn telnet_commands_are_answered_and_are_no_message() {
    let (_program, listening) = whoami(&["--listen", "127.0.0.1:0"]);
    let mut client = connect(listening[0].parse().expect("an address"));
    // Ctrl-C: interrupt process, and a timing mark; then "are you there".
    client.write_all(b"he\xff\xf4\xff\xfd\x06\xff\xf6").expect("it is sent");
    let mut answer = [0; 21];
    client.read_exact(&mut answer).expect("it answers");
    assert_eq!(&answer, b"\xff\xfc\x06hebra: yes, here\r\n");
    client.write_all(b"llo\r\0bye\r\0").expect("it is sent");
    let answers = parse(&read_to_end(&mut client));
    assert_eq!((answers.len(), &answers[0]["message"]), (1, &json!("hello")));
}

#[test]
fn labels_may_come_from_the_environment() {
    let mut command = Program::command();
    command.args(["--service", "whoami", "--listen", "127.0.0.1:0"]).env("HEBRA_LABEL", "pod=a,node=ñ \"b\"");
    let program = Program::spawn(&mut command, 1);
    assert_eq!(ask(&program.address().to_string(), b"x\n")[0]["labels"], json!({"pod": "a", "node": "ñ \"b\""}));
}

/// A client of a UDP listener.
fn udp(listening: &str) -> UdpSocket {
    let server: SocketAddr = listening.strip_prefix("udp://").expect("its scheme").parse().expect("an address");
    let socket = UdpSocket::bind((server.ip(), 0)).expect("a free port");
    socket.connect(server).expect("a server");
    socket.set_read_timeout(Some(FUSE)).expect("a valid timeout");
    socket
}

fn ask_udp(client: &UdpSocket, datagram: &[u8]) -> Vec<u8> {
    client.send(datagram).expect("it is sent");
    let mut answer = vec![0; 65_535];
    let length = client.recv(&mut answer).expect("it answers");
    answer.truncate(length);
    answer
}

#[test]
fn a_datagram_is_answered_with_one_line() {
    let (program, listening) = whoami(&["--listen", "udp://127.0.0.1:0", "--listen", "udp://[::1]:0"]);
    for listener in &listening {
        let client = udp(listener);
        for (datagram, message) in [
            (&b"hello\n"[..], "hello"),
            (b"", ""),
            (b"x", "x"),
            (b"two\nlines\r\n", "two\nlines"),
            (b"bye", "bye"),
            (b"\xff\x1b", "\\xff\x1b"),
        ] {
            let answers = parse(&ask_udp(&client, datagram));
            let expected = json!({
                "service": "whoami", "version": env!("CARGO_PKG_VERSION"), "host": host(), "listener": listener,
                "client": null, "peer": text(client.local_addr()), "proxied_by": null, "labels": {}, "message": message,
            });
            assert_eq!(answers, [expected]);
        }
    }
    program.signal(Signal::SIGTERM);
    let (code, lines) = program.finish();
    let totals = lines.iter().find(|line| line.contains("totals: datagrams=")).expect("totals of datagrams");
    assert!(code == Some(0) && totals.contains("datagrams=12 ") && totals.contains("answers=12 "), "{totals}");
}

#[test]
fn no_answer_to_a_datagram_is_more_than_ten_times_as_long_on_the_wire() {
    let (value, mut answered) = ("v".repeat(2000), [0; 2]);
    let field = format!("\"labels\":{{\"key\":\"{value}\"}},").len();
    let label = format!("key={value}");
    let (_program, listening) =
        whoami(&["--listen", "udp://127.0.0.1:0", "--listen", "udp://[::1]:0", "--label", &label]);
    for listener in &listening {
        let client = udp(listener);
        let is_v6 = listener.contains('[');
        // Packets of up to 1,500 bytes.
        let on_wire = |payload: usize| match (is_v6, payload) {
            (false, ..=1472) => payload + 28,
            (false, _) => payload + 8 + (payload + 8).div_ceil(1480) * 20,
            (true, ..=1452) => payload + 48,
            (true, _) => payload + 8 + (payload + 8).div_ceil(1448) * 48,
        };
        // The longest answers that fit a datagram at all.
        for (byte, longest) in [(b'x', 60_000), (1, 10_000)] {
            for length in (0..400).chain([longest]) {
                let answer = ask_udp(&client, &vec![byte; length]);
                let bound = 10 * (length + if is_v6 { 48 } else { 28 });
                assert!(on_wire(answer.len()) <= bound, "{length}: {} of {bound}", answer.len());
                let parsed: Value = serde_json::from_slice(&answer).expect("it is JSON");
                assert_eq!(parsed["message"].as_str().map(str::len), Some(length));
                // The labels are left out only if they do not fit.
                let has_labels = parsed.get("labels").is_some();
                assert!(
                    has_labels || on_wire(answer.len() + field) > bound,
                    "{length}: {} of {bound}",
                    answer.len()
                );
                answered[usize::from(has_labels)] += 1;
            }
        }
    }
    assert!(answered.iter().all(|count| *count > 100), "{answered:?}");
}

#[test]
fn a_datagram_whose_answer_does_not_fit_one_is_counted_and_the_reason_logged() {
    let mut command = Program::command();
    command.args(["--service", "whoami", "--listen", "udp://127.0.0.1:0"]).env("RUST_LOG", "hebra=debug");
    let program = Program::spawn(&mut command, 0);
    let shown = program.next_shown();
    let client = udp(shown.strip_prefix("listening on ").expect("its form"));
    client.send(&[b'x'; 65_507]).expect("it is sent");
    ask_udp(&client, b"hello");
    let line = program.wait_for("no answer to ");
    let peer = client.local_addr().expect("bound");
    assert!(line.contains(&format!("no answer to {peer}: it has 65")), "{line}");
    assert!(line.ends_with(" bytes, and 65507 are allowed for a datagram of 65507 bytes"), "{line}");
    program.signal(Signal::SIGTERM);
    let line = program.wait_for("totals: datagrams=2 ");
    assert!(line.contains(" answers=1 ") && line.contains(" withheld=1 "), "{line}");
    assert!(line.ends_with(" withheld_too_long=1"), "{line}");
}

#[test]
fn a_loop_with_an_echo_server_that_returns_everything_ends_because_the_answers_grow() {
    let config = UdpConfig::default().listen(["127.0.1.33:0"]).echo(true);
    let echo = UdpServer::bind(config).expect("it binds");
    // No other test binds free ports of this address, so whoami gets the port of the decoy.
    let decoy = UdpSocket::bind("127.0.1.34:0").expect("a free port");
    let address = decoy.local_addr().expect("bound");
    decoy.send_to(b"ping", echo.local_addrs()[0]).expect("it is sent");
    drop(decoy);
    let mut command = Program::command();
    command.args(["--service", "whoami", "--listen", &format!("udp://{address}")]).env("RUST_LOG", "hebra=debug");
    let program = Program::spawn(&mut command, 0);
    program.next_shown();
    let echo = echo.start().expect("it starts");
    program.wait_for("no answer to 127.0.1.33:");
    let stats = echo.shutdown();
    assert!(stats.datagrams < 400 && stats.rate_limited == 0, "{stats}");
}

#[test]
fn datagrams_from_networks_that_are_kept_out_are_not_answered() {
    for gate in [["--deny", "127.0.0.2"], ["--allow", "127.0.0.1"]] {
        let (program, listening) = whoami(&["--listen", "udp://127.0.0.1:0", gate[0], gate[1]]);
        let server = listening[0].strip_prefix("udp://").expect("its scheme");
        UdpSocket::bind("127.0.0.2:0").and_then(|stranger| stranger.send_to(b"?", server)).expect("it is sent");
        ask_udp(&udp(&listening[0]), b"hello");
        program.signal(Signal::SIGTERM);
        let line = program.wait_for("totals: datagrams=2 ");
        assert!(line.contains(" answers=1 ") && line.ends_with(" withheld_not_allowed=1"), "{line}");
    }
}

#[test]
fn each_line_of_an_echo_begins_with_the_prefix() {
    for framing in ["message", "line"] {
        let program = Program::serve(&["--prefix", "uno dos", "--framing", framing]);
        let mut client = connect(program.address());
        client.write_all(b"a\r\nb\nbye\n").expect("it is sent");
        assert_eq!(read_to_end(&mut client), b"uno dos a\r\nuno dos b\n", "{framing}");
    }
    let mut command = Program::command();
    let program = Program::spawn(command.args(["--listen", "127.0.0.1:0"]).env("HEBRA_PREFIX", "one"), 1);
    let mut client = connect(program.address());
    client.write_all(b"no line feed").expect("it is sent");
    let mut echo = [0; 16];
    client.read_exact(&mut echo).expect("it is answered at once");
    assert_eq!(&echo, b"one no line feed");
    // Where it has no effect the variable is ignored.
    let mut command = Program::command();
    command.args(["--framing", "raw", "--listen", "127.0.0.1:0"]).env("HEBRA_PREFIX", "one");
    let program = Program::spawn(&mut command, 1);
    let mut client = connect(program.address());
    assert_eq!(exchange(&mut client, b"x\n"), b"x\n");
}
