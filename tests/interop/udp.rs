//! UDP with ncat and socat: hebra echoes what they send, and they echo what hebra sends.

use std::io::Write;
use std::net::{SocketAddr, UdpSocket};
use std::process::{Child, Command, Output, Stdio};
use std::time::Instant;

use nix::sys::signal::Signal;

use crate::support::{FUSE, Program, lines, udp_command};
use crate::tool;

const LOOPBACK: [&str; 2] = ["127.0.0.1", "::1"];

/// A program that does not end by itself, and is killed when this is dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Asserts that hebra echoes to the client that `client` returns for its address.
fn assert_served(client: impl Fn(SocketAddr) -> Command) {
    for host in LOOPBACK {
        let listen = SocketAddr::new(host.parse().expect("an address"), 0).to_string();
        let server = Program::spawn(&mut udp_command(&["serve", "--echo", "--listen", &listen]), 1);
        let mut command = client(server.address());
        let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it is installed");
        let mut client = Running(child);
        let mut stdin = client.0.stdin.take().expect("piped");
        let (answers, _) = lines(client.0.stdout.take().expect("piped"));
        for text in ["¡Hola, señor!", "a", "and again"] {
            stdin.write_all(format!("{text}\n").as_bytes()).expect("it takes input");
            assert_eq!(answers.recv_timeout(FUSE).as_deref(), Ok(text), "{command:?}");
        }
        drop(client);
        let line = server.wait_for("¡Hola");
        assert!(line.ends_with("\"¡Hola, señor!\\n\" (16 bytes)"), "{line}");
        server.signal(Signal::SIGTERM);
        let (code, lines) = server.finish();
        let totals = lines.last().expect("totals at the end");
        assert!(code == Some(0) && totals.contains("datagrams=3 ") && totals.contains("answers=3 "), "{totals}");
    }
}

/// Asserts that the server that `server` returns for an address echoes what hebra sends.
fn assert_answers(server: impl Fn(SocketAddr) -> Command) {
    for host in LOOPBACK {
        let free = UdpSocket::bind((host, 0)).and_then(|socket| socket.local_addr()).expect("a free port");
        let mut command = server(free);
        let _server = Running(command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().expect("it is installed"));
        let began = Instant::now();
        let Output { status, stdout, stderr } = loop {
            let mut send = udp_command(&["send", &free.to_string(), "¡Hola,", "señor!", "--wait", "10s"]);
            let output = send.output().expect("it is built");
            // Code 5 means refused: the server does not listen yet.
            if output.status.code() != Some(5) || began.elapsed() > FUSE {
                break output;
            }
        };
        let stderr = String::from_utf8_lossy(&stderr);
        assert_eq!(
            (status.code(), String::from_utf8_lossy(&stdout).as_ref()),
            (Some(0), "¡Hola, señor!\n"),
            "{stderr}"
        );
    }
}

#[test]
fn hebra_echoes_to_ncat() {
    assert_served(|server| {
        let mut ncat = Command::new(tool("ncat"));
        ncat.args(["-u", &server.ip().to_string(), &server.port().to_string()]);
        ncat
    });
}

#[test]
fn hebra_echoes_to_socat() {
    assert_served(|server| {
        let mut socat = Command::new(tool("socat"));
        socat.args(["-", &format!("UDP:{server}")]);
        socat
    });
}

#[test]
fn ncat_echoes_to_hebra() {
    assert_answers(|address| {
        let mut ncat = Command::new(tool("ncat"));
        ncat.args(["-u", "-l", &address.ip().to_string(), &address.port().to_string(), "-e", "/bin/cat"]);
        ncat
    });
}

#[test]
fn socat_echoes_to_hebra() {
    assert_answers(|address| {
        let mut socat = Command::new(tool("socat"));
        let family = if address.is_ipv4() { 4 } else { 6 };
        let host = SocketAddr::new(address.ip(), 0).to_string();
        let host = host.trim_end_matches(":0");
        socat.args([&format!("UDP{family}-RECVFROM:{},bind={host}", address.port()), "EXEC:/bin/cat"]);
        socat
    });
}
