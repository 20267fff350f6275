//! What `hebra serve` listens on: TCP, UDP and Unix sockets in one process.

use std::env;
use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::{SocketAddr as UnixAddress, UnixStream};
use std::path::PathBuf;
use std::process::{self, Output};

use nix::sys::signal::Signal;

use crate::support::{FUSE, Program, connect_command, connect_served, run, udp_command};

/// A path for a socket file, which no other test uses.
fn path(name: &str) -> PathBuf {
    env::temp_dir().join(format!("hebra-{}-{name}.sock", process::id()))
}

/// Returns what the next line of standard output says that the program listens on.
fn next_listener(program: &Program) -> String {
    program.next_shown().strip_prefix("listening on ").expect("that is what it prints").to_owned()
}

fn assert_echoes(mut stream: UnixStream) {
    stream.set_read_timeout(Some(FUSE)).expect("a valid timeout");
    stream.write_all(b"hello\n").expect("it is sent");
    let mut echo = [0; 6];
    stream.read_exact(&mut echo).expect("it is echoed");
    assert_eq!(&echo, b"hello\n");
    stream.write_all(b"bye").expect("it is sent");
    assert_eq!(stream.read(&mut echo).expect("a clean end"), 0);
}

fn assert_answers(address: SocketAddr) {
    let client = UdpSocket::bind("127.0.0.1:0").expect("loopback exists");
    client.set_read_timeout(Some(FUSE)).expect("a valid timeout");
    client.send_to(b"ping", address).expect("it is sent");
    let mut answer = [0; 8];
    assert_eq!(client.recv(&mut answer).expect("it answers"), 4);
}

#[test]
fn a_client_that_stays_silent_is_accepted_in_the_end_although_accepts_are_deferred() {
    let program = Program::serve(&["--defer-accept"]);
    let mut client = TcpStream::connect(program.address()).expect("the kernel accepts it");
    // Nothing is sent before the server has accepted.
    program.wait_for("client 1 (127.0.0.1:");
    client.set_read_timeout(Some(FUSE)).expect("a valid timeout");
    client.write_all(b"hello").expect("it is sent");
    let mut echo = [0; 5];
    client.read_exact(&mut echo).expect("it is echoed");
    client.write_all(b"bye").expect("it is sent");
    assert_eq!(client.read(&mut echo).expect("a clean end"), 0);
    program.signal(Signal::SIGTERM);
    assert_eq!(program.finish().0, Some(0));
}

#[test]
fn sockets_of_every_kind_are_served_and_announced_in_the_order_of_the_flags() {
    let (file, name) = (path("kinds"), format!("hebra-{}-kinds", process::id()));
    let unix = format!("unix:{}", file.display());
    let mut command = Program::command();
    command.args(["--listen", "udp://127.0.0.1:0", "--listen", &unix, "--listen", "tcp://127.0.0.1:0"]);
    command.args(["--listen", &format!("unix:@{name},udp://[::1]:0"), "--unix-mode", "0600"]);
    let program = Program::spawn(&mut command, 0);
    let udp = next_listener(&program).strip_prefix("udp://").expect("its scheme").parse().expect("an address");
    assert_eq!(next_listener(&program), unix);
    let tcp = next_listener(&program).parse().expect("an address");
    assert_eq!(next_listener(&program), format!("unix:@{name}"));
    assert!(next_listener(&program).starts_with("udp://[::1]:"));

    let metadata = fs::symlink_metadata(&file).expect("it listens");
    assert!(metadata.file_type().is_socket());
    assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
    assert_answers(udp);
    assert_echoes(UnixStream::connect(&file).expect("it listens"));
    let address = UnixAddress::from_abstract_name(&name).expect("a short name");
    assert_echoes(UnixStream::connect_addr(&address).expect("it listens"));
    drop(connect_served(tcp));
    let line = program.wait_for("client 1 ");
    assert!(line.ends_with("client 1 (unix) connected"), "{line}");

    program.signal(Signal::SIGTERM);
    let (code, lines) = program.finish();
    let totals = |field: &str| lines.iter().any(|line| line.contains("totals: ") && line.contains(field));
    assert_eq!(code, Some(0));
    assert!(totals("accepted=3 ") && totals("datagrams=1 "), "{lines:#?}");
    assert!(!file.exists());
}

#[test]
fn a_server_may_be_for_datagrams_alone() {
    let program = Program::spawn(Program::command().args(["--listen", "udp://127.0.0.1:0"]), 0);
    assert_answers(
        next_listener(&program).strip_prefix("udp://").expect("its scheme").parse().expect("an address"),
    );
    program.signal(Signal::SIGUSR1);
    program.wait_for("totals: datagrams=1 ");
    program.signal(Signal::SIGTERM);
    assert_eq!(program.finish().0, Some(0));
}

#[test]
fn a_socket_on_which_a_program_answers_is_not_taken_from_it() {
    let unix = format!("unix:{}", path("taken").display());
    let first = Program::spawn(Program::command().args(["--listen", &unix]), 0);
    assert_eq!(next_listener(&first), unix);
    let second = run(Program::command().args(["--listen", &unix]), b"");
    assert_eq!(second.status.code(), Some(1));
    let line = String::from_utf8_lossy(&second.stderr).into_owned();
    assert!(line.starts_with(&format!("hebra: cannot listen on {unix}: ")), "{line}");
}

#[test]
fn the_clients_take_the_same_forms() {
    let unix = format!("unix:{}", path("clients").display());
    let program = Program::spawn(Program::command().args(["--listen", &unix, "--listen", "udp://127.0.0.1:0"]), 0);
    assert_eq!(next_listener(&program), unix);
    let udp = next_listener(&program);
    let output = run(&mut connect_command(&[&unix]), b"hello");
    assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(0), b"hello".as_slice()));
    let output = run(&mut udp_command(&["send", &udp, "ping", "--wait", "10s"]), b"");
    assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(0), b"ping\n".as_slice()));
    let Output { status, stderr, .. } = run(&mut connect_command(&["unix:/nowhere"]), b"");
    let line = String::from_utf8_lossy(&stderr);
    assert_eq!(
        (status.code(), line.as_ref()),
        (Some(5), "hebra: cannot connect to unix:/nowhere: there is no such socket\n")
    );
}
