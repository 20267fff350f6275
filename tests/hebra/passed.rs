//! Sockets that another process passed in (`LISTEN_FDS`), and restarts that keep them.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::Duration;
use std::{env, fs, process};

use nix::sys::signal::Signal;
use socket2::{Domain, SockRef, Socket, Type};

use crate::support::{FUSE, Program, connect_served, signal};

/// Returns `command`, with descriptor 3 being `first`, and 4 being `second` if there is one. Standard output goes where
/// standard error does. A shell numbers the descriptors, and knows the process that they are for.
fn with_sockets(command: &Command, first: impl Into<OwnedFd>, second: Option<OwnedFd>) -> Command {
    let count = if second.is_some() { "2" } else { "1" };
    let mut shell = Command::new("sh");
    shell.args(["-c", "exec 3<&0 4>&1 0</dev/null 1>&2; LISTEN_PID=$$ exec \"$@\"", "sh"]);
    shell.arg(command.get_program()).args(command.get_args()).env("LISTEN_FDS", count).env_remove("RUST_LOG");
    shell.stdin(first.into()).stdout(second.map_or(Stdio::null(), Stdio::from)).stderr(Stdio::piped());
    shell
}

/// Starts a server and waits until it listens on `sockets` sockets. Returns what it says that it listens on.
fn start(mut command: Command, sockets: usize) -> (Child, Vec<String>) {
    let mut child = command.spawn().expect("there is a shell");
    let mut lines = BufReader::new(child.stderr.take().expect("piped")).lines();
    let listening = |line: String| line.strip_prefix("listening on ").map(str::to_owned);
    let addresses: Vec<String> = lines.by_ref().map_while(Result::ok).filter_map(listening).take(sockets).collect();
    assert_eq!(addresses.len(), sockets);
    thread::spawn(move || lines.for_each(drop));
    (child, addresses)
}

fn stop(mut child: Child) {
    signal(&child, Signal::SIGTERM);
    assert_eq!(child.wait().expect("it was started").code(), Some(0));
}

#[test]
fn tcp_and_udp_sockets_are_served_in_place_of_the_default_address() {
    let tcp = TcpListener::bind("127.0.0.1:0").expect("loopback exists");
    let udp = UdpSocket::bind("127.0.0.1:0").expect("loopback exists");
    let address = |address: std::io::Result<SocketAddr>| address.expect("it is bound");
    let (tcp_address, udp_address) = (address(tcp.local_addr()), address(udp.local_addr()));
    for udp_first in [false, true] {
        let listener = tcp.try_clone().expect("a descriptor is free");
        let [tcp, udp] = [tcp.try_clone().map(OwnedFd::from), udp.try_clone().map(OwnedFd::from)];
        let (tcp, udp) = (tcp.expect("a descriptor is free"), udp.expect("a descriptor is free"));
        let (first, second) = if udp_first { (udp, tcp) } else { (tcp, udp) };
        let (server, mut listening) = start(with_sockets(&Program::command(), first, Some(second)), 2);
        if udp_first {
            listening.reverse();
        }
        assert_eq!(listening, [tcp_address.to_string(), format!("udp://{udp_address}")]);
        drop(connect_served(tcp_address));
        let client = UdpSocket::bind("127.0.0.1:0").expect("loopback exists");
        client.set_read_timeout(Some(FUSE)).expect("a valid timeout");
        client.send_to(b"ping", udp_address).expect("it is sent");
        assert_eq!(client.recv(&mut [0; 8]).expect("it answers"), 4);
        stop(server);
        // The next program that uses the listener waits for clients without a limit.
        assert_eq!(SockRef::from(&listener).read_timeout().expect("readable"), None);
    }
}

#[test]
fn a_udp_socket_is_served_by_whoami_and_not_by_an_echo_with_a_prefix() {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("loopback exists");
    let address = socket.local_addr().expect("it is bound");
    let mut whoami = Program::command();
    whoami.args(["--service", "whoami"]);
    let passed = socket.try_clone().expect("a descriptor is free");
    let (server, listening) = start(with_sockets(&whoami, passed, None), 1);
    assert_eq!(listening, [format!("udp://{address}")]);
    let client = UdpSocket::bind("127.0.0.1:0").expect("loopback exists");
    client.set_read_timeout(Some(FUSE)).expect("a valid timeout");
    client.send_to(b"who?", address).expect("it is sent");
    let mut answer = [0; 512];
    let length = client.recv(&mut answer).expect("it answers");
    let answer: serde_json::Value = serde_json::from_slice(&answer[..length]).expect("it is JSON");
    assert_eq!((answer["listener"].as_str(), answer["message"].as_str()), (Some(&*listening[0]), Some("who?")));
    stop(server);
    let mut prefixed = Program::command();
    prefixed.args(["--prefix", "one"]);
    let Output { status, stderr, .. } = with_sockets(&prefixed, socket, None).output().expect("there is a shell");
    let line = String::from_utf8_lossy(&stderr);
    assert!(line.starts_with("hebra: cannot listen on descriptor 3: it is no "), "{line}");
    assert_eq!(status.code(), Some(1));
}

#[test]
fn a_unix_socket_is_served_and_its_file_is_left_to_its_owner() {
    let path = env::temp_dir().join(format!("hebra-{}-passed.sock", process::id()));
    let listener = UnixListener::bind(&path).expect("a temporary directory");
    let (server, listening) = start(with_sockets(&Program::command(), listener, None), 1);
    assert_eq!(listening, [format!("unix:{}", path.display())]);
    let mut client = UnixStream::connect(&path).expect("it listens");
    client.write_all(b"bye").expect("it is sent");
    client.set_read_timeout(Some(FUSE)).expect("a valid timeout");
    assert_eq!(client.read(&mut [0]).expect("a clean end"), 0);
    stop(server);
    fs::remove_file(path).expect("it is still there");
}

#[test]
fn a_udp_server_takes_its_sockets_too() {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("loopback exists");
    let address = socket.local_addr().expect("it is bound");
    let mut command = Command::new(Program::command().get_program());
    command.args(["udp", "serve"]);
    let (server, listening) = start(with_sockets(&command, socket, None), 1);
    assert_eq!(listening, [address.to_string()]);
    stop(server);
}

#[test]
fn a_descriptor_that_is_no_listening_socket_is_named() {
    let file: OwnedFd = File::open("/dev/null").expect("Linux has it").into();
    let listener = || TcpListener::bind("127.0.0.1:0").expect("loopback exists");
    let accepting = listener();
    let connected = TcpStream::connect(accepting.local_addr().expect("it is bound")).expect("it listens");
    let datagrams = || UdpSocket::bind("127.0.0.1:0").expect("loopback exists");
    let mut chat = Program::command();
    chat.args(["--service", "chat"]);
    let mut udp = Command::new(chat.get_program());
    udp.args(["udp", "serve"]);
    let echo = Program::command();
    for (mut command, descriptor) in [
        (with_sockets(&echo, listener(), Some(file)), 4),
        (with_sockets(&echo, connected, None), 3),
        (with_sockets(&chat, datagrams(), None), 3),
        (with_sockets(&udp, listener(), None), 3),
    ] {
        let Output { status, stderr, .. } = command.output().expect("there is a shell");
        let line = String::from_utf8_lossy(&stderr);
        assert!(line.starts_with(&format!("hebra: cannot listen on descriptor {descriptor}: it is no ")), "{line}");
        assert_eq!((status.code(), line.lines().count()), (Some(1), 1));
    }
}

#[test]
fn addresses_beside_sockets_that_were_passed_in_are_wrong_usage() {
    let listener = || TcpListener::bind("127.0.0.1:0").expect("loopback exists");
    let mut with_flag = Program::command();
    with_flag.args(["--listen", "127.0.0.1:0"]);
    let mut with_variable = with_sockets(&Program::command(), listener(), None);
    with_variable.env("HEBRA_LISTEN", "127.0.0.1:0");
    for (mut command, name) in
        [(with_sockets(&with_flag, listener(), None), "--listen"), (with_variable, "HEBRA_LISTEN")]
    {
        let Output { status, stderr, .. } = command.output().expect("there is a shell");
        let problem = "has no effect with sockets that were passed in (LISTEN_FDS)";
        let line = String::from_utf8_lossy(&stderr).into_owned();
        assert_eq!(line, format!("hebra: {name} {problem} (see hebra serve --help)\n"));
        assert_eq!(status.code(), Some(2));
    }
}

#[test]
fn sockets_for_another_process_are_none_of_ours() {
    let mut command = Program::command();
    command.env("LISTEN_FDS", "1").env("LISTEN_PID", "1").args(["--listen", "127.0.0.1:0"]);
    connect_served(Program::spawn(&mut command, 1).address());
}

#[test]
fn variables_that_make_no_sense_are_named() {
    let udp = || {
        let mut command = Command::new(Program::command().get_program());
        command.args(["udp", "serve"]);
        command
    };
    for command in [Program::command, udp] {
        for (variable, value) in [
            ("LISTEN_FDS", "abc"),
            ("LISTEN_FDS", "-1"),
            ("LISTEN_FDS", "65537"),
            ("LISTEN_FDS", "2000000000"),
            ("LISTEN_FDS", "99999999999999999999"),
            ("LISTEN_FDS_FIRST_FD", "0"),
            ("LISTEN_FDS_FIRST_FD", "-1"),
            ("LISTEN_FDS_FIRST_FD", "2147483647"),
        ] {
            // Standard input is a socket that could be served.
            let listener = TcpListener::bind("127.0.0.1:0").expect("loopback exists");
            let mut command = command();
            command.env("LISTEN_FDS", "1").env(variable, value).stdin(OwnedFd::from(listener));
            let Output { status, stderr, .. } = command.output().expect("it is built");
            let line = String::from_utf8_lossy(&stderr);
            assert!(
                line.starts_with(&format!("hebra: cannot listen on what was passed in: {variable} is ")),
                "{line}"
            );
            assert_eq!((status.code(), line.lines().count()), (Some(1), 1), "{line}");
        }
    }
    // What is for another process makes no difference, nor does a variable without sockets.
    for (pid, count) in [("1", "abc"), ("1", "2000000000"), ("", "0"), ("", "")] {
        let mut command = Program::command();
        command.env("LISTEN_FDS", count).env("LISTEN_FDS_FIRST_FD", "0").env("LISTEN_PID", pid);
        connect_served(Program::spawn(command.args(["--listen", "127.0.0.1:0"]), 1).address());
    }
}

/// The address of a proxy, which names each client in a header.
const PROXY: [u8; 4] = [127, 0, 0, 2];

/// One short session of the churn: an echo, and a clean end. Every other client comes through a proxy.
fn talk(address: SocketAddr, number: usize) -> Result<(), String> {
    let problem = |step: &'static str| move |error: std::io::Error| format!("{step}: {error}");
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).map_err(problem("socket"))?;
    let mut header = "";
    if number.is_multiple_of(2) {
        socket.bind(&SocketAddr::from((PROXY, 0)).into()).map_err(problem("bind"))?;
        header = "PROXY TCP4 203.0.113.7 192.0.2.1 5000 80\r\n";
    }
    socket.connect(&address.into()).map_err(problem("connect"))?;
    let mut stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(FUSE)).map_err(problem("timeout"))?;
    let message = format!("hello {number}\n");
    stream.write_all(format!("{header}{message}").as_bytes()).map_err(problem("write"))?;
    let mut echo = vec![0; message.len()];
    stream.read_exact(&mut echo).map_err(problem("read"))?;
    if echo != message.as_bytes() {
        return Err(format!("the echo is {:?}", String::from_utf8_lossy(&echo)));
    }
    stream.shutdown(Shutdown::Write).map_err(problem("shutdown"))?;
    let rest = stream.read_to_end(&mut echo).map_err(problem("end"))?;
    if rest == 0 { Ok(()) } else { Err(format!("{rest} bytes too many")) }
}

#[test]
fn a_restart_that_keeps_its_socket_loses_no_connection() {
    const CLIENTS: usize = 2000;
    /// A quarter of the clients each; together 200 a second.
    const THREADS: usize = 4;
    const PACE: Duration = Duration::from_millis(20);
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback exists");
    let address = listener.local_addr().expect("it is bound");
    let serve = || {
        let socket = listener.try_clone().expect("a descriptor is free");
        let mut command = Program::command();
        command.args(["--workers", "16", "--log-sessions", "off", "--log-messages", "off"]);
        command.args(["--proxy-protocol", "127.0.0.2"]);
        start(with_sockets(&command, socket, None), 1).0
    };
    let mut server = serve();
    let mut restarts = 0;
    let problems: Vec<String> = thread::scope(|scope| {
        let clients: Vec<_> = (0..THREADS)
            .map(|thread| {
                scope.spawn(move || {
                    let ticks = crossbeam_channel::tick(PACE);
                    let numbers = (0..CLIENTS / THREADS).map(|number| number * THREADS + thread);
                    let talk = |number| {
                        ticks.recv_timeout(FUSE).expect("it ticks");
                        talk(address, number).err()
                    };
                    numbers.filter_map(talk).collect::<Vec<_>>()
                })
            })
            .collect();
        while !clients.iter().all(|client| client.is_finished()) {
            stop(std::mem::replace(&mut server, serve()));
            restarts += 1;
        }
        clients.into_iter().flat_map(|client| client.join().expect("no panic")).collect()
    });
    stop(server);
    assert!(problems.is_empty(), "{} of {CLIENTS} in {restarts} restarts: {problems:#?}", problems.len());
    assert!(restarts > 1, "{restarts}");
}
