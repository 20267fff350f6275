//! A limit of address space (`ulimit -v`): a server that may not fit does not start, and no client ends one.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Command, Output, Stdio};

use nix::sys::signal::Signal;

use crate::support::{FUSE, Program};

/// The command, run by a shell under a limit of so many KiB. `TCP` and `UDP` servers listen on a free port.
fn limited(kibibytes: u64, arguments: &[&str]) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", &format!("ulimit -v {kibibytes}; exec \"$@\""), "sh"]);
    command.arg(Program::command().get_program()).args(arguments).args(["--listen", "127.0.0.1:0"]);
    command.env_remove("RUST_LOG").stdin(Stdio::piped());
    command
}

/// Returns the one line of a server that does not start, and the limit that it asks for, in KiB.
fn refused(kibibytes: u64, arguments: &[&str]) -> (String, u64) {
    let Output { status, stderr, .. } = limited(kibibytes, arguments).output().expect("it is built");
    let line = String::from_utf8(stderr).expect("text");
    assert_eq!((status.code(), line.lines().count()), (Some(1), 1), "{line}");
    let (_, needed) = line.split_once(": ").and_then(|(_, rest)| rest.rsplit_once(": ")).expect("the cause");
    let mebibytes: f64 = needed.split(' ').next().and_then(|number| number.parse().ok()).expect("a number");
    (line, (mebibytes * 1024.0) as u64)
}

#[test]
fn a_server_that_may_not_fit_does_not_start_and_names_the_limit() {
    for arguments in [&["serve"][..], &["serve", "--service", "chat"], &["udp", "serve"]] {
        let (line, _) = refused(40_000, arguments);
        assert!(line.contains(" MiB of address space may be needed, and ulimit -v leaves "), "{line}");
    }
}

#[test]
fn no_client_ends_a_server_that_has_started() {
    for service in [&["--service", "chat", "--room"][..], &["--service", "echo"]] {
        let arguments = [&["serve", "--workers", "40"], service].concat();
        let (_, needed) = refused(40_000, &arguments);
        // The program itself takes some, and the line is rounded.
        let program = Program::spawn(&mut limited(needed + 16_000, &arguments), 1);
        let mut clients: Vec<TcpStream> = (0..40)
            .map(|_| {
                let mut client = TcpStream::connect(program.address()).expect("it listens");
                client.set_read_timeout(Some(FUSE)).expect("a timeout");
                client.write_all(&[b"hello".as_slice(), &[b'x'; 60_000], b"\n"].concat()).expect("it is sent");
                client
            })
            .collect();
        program.signal(Signal::SIGTERM);
        for client in &mut clients {
            // Served or turned away.
            let _ = client.read_to_end(&mut Vec::new());
        }
        assert_eq!(program.finish().0, Some(0), "{service:?}");
    }
}
