//! Sockets from the real `systemd-socket-activate`, a log that jq reads, and a watchdog that a debugged thread starves.

use std::fs;
use std::net::{SocketAddr, UdpSocket};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use std::{env, io, process};

use nix::sys::ptrace::{self, Options};
use nix::sys::signal::Signal;
use nix::unistd::Pid;

use crate::support::{FUSE, Program, connect, connect_served, exchange, free_address, say_bye};
use crate::{pipe, tool};

/// `systemd-socket-activate` with flags of its own, which starts `hebra serve` at the first client.
fn activate(flags: &[&str]) -> Program {
    let hebra = Program::command();
    let mut command = Command::new(tool("systemd-socket-activate"));
    command.args(flags).arg(hebra.get_program()).args(hebra.get_args()).env_remove("RUST_LOG").stdin(Stdio::null());
    let program = Program::spawn(&mut command, 0);
    program.wait_for("Listening on ");
    program
}

#[test]
fn an_activated_socket_is_served() {
    let address = free_address("127.0.3.9");
    let program = activate(&["-l", &address.to_string()]);
    let mut client = connect(address);
    assert_eq!(exchange(&mut client, b"hello"), b"hello");
    assert_eq!(program.next_shown(), format!("listening on {address}"));
    say_bye(&mut client);
    program.signal(Signal::SIGTERM);
    assert_eq!(program.finish().0, Some(0));
}

#[test]
fn several_activated_sockets_are_served_and_announced_in_their_order() {
    let path = env::temp_dir().join(format!("hebra-{}-activated.sock", process::id()));
    let path = path.to_str().expect("text");
    let address = free_address("127.0.3.10");
    let program = activate(&["-l", path, "-l", &address.to_string()]);
    let mut client = connect(address);
    assert_eq!(exchange(&mut client, b"hello"), b"hello");
    assert_eq!(program.next_shown(), format!("listening on unix:{path}"));
    assert_eq!(program.next_shown(), format!("listening on {address}"));
    drop(UnixStream::connect(path).expect("it listens"));
    program.signal(Signal::SIGTERM);
    assert_eq!(program.finish().0, Some(0));
    fs::remove_file(path).expect("it is left to its owner");
}

#[test]
fn an_activated_udp_socket_is_served() {
    let address: SocketAddr = {
        let socket = UdpSocket::bind("127.0.3.11:0").expect("loopback exists");
        socket.local_addr().expect("it is bound")
    };
    let program = activate(&["--datagram", "-l", &address.to_string()]);
    let client = UdpSocket::bind("127.0.0.1:0").expect("loopback exists");
    client.set_read_timeout(Some(FUSE)).expect("a valid timeout");
    client.send_to(b"ping", address).expect("it is sent");
    assert_eq!(client.recv(&mut [0; 8]).expect("it answers"), 4);
    assert_eq!(program.next_shown(), format!("listening on udp://{address}"));
    program.signal(Signal::SIGTERM);
    assert_eq!(program.finish().0, Some(0));
}

#[test]
fn jq_reads_the_log() {
    let program = Program::serve(&["--log-format", "json"]);
    let mut client = connect(program.address());
    exchange(&mut client, "¡Hola! \"\\\x07ÿ".as_bytes());
    say_bye(&mut client);
    program.signal(Signal::SIGTERM);
    let (code, lines) = program.finish();
    assert_eq!(code, Some(0));
    let mut jq = Command::new(tool("jq"));
    jq.args(["-r", "[.level, .event, (.text // .reason // .accepted | tostring)] | join(\" \")"]);
    let shown = pipe(&mut jq, lines.join("\n").as_bytes());
    let shown = String::from_utf8(shown).expect("text");
    let expected = [
        "info connected null",
        "info message ¡Hola! \"\\\x07ÿ",
        "info disconnected bye",
        "info draining stopping; sessions to end: 0",
        "info totals 1",
    ];
    assert_eq!(shown.lines().collect::<Vec<_>>(), expected);
}

/// Returns the thread of a process that has this name.
fn thread(process: u32, name: &str) -> Pid {
    let threads = fs::read_dir(format!("/proc/{process}/task")).expect("it runs");
    let named = threads
        .map(|thread| thread.expect("it is listed").path())
        .find(|thread| fs::read_to_string(thread.join("comm")).is_ok_and(|comm| comm.trim_end() == name));
    let id = named.and_then(|thread| thread.file_name()?.to_str()?.parse().ok());
    Pid::from_raw(id.unwrap_or_else(|| panic!("there is no thread {name}")))
}

#[test]
fn a_thread_that_a_debugger_holds_starves_the_watchdog() {
    const INTERVAL: Duration = Duration::from_secs(1);
    for held in ["hebra-accept", "hebra-reaper"] {
        let path = env::temp_dir().join(format!("hebra-{}-{held}.notify", process::id()));
        let manager = UnixDatagram::bind(&path).expect("a temporary directory");
        let mut command = Program::command();
        command.args(["--listen", "127.0.0.1:0"]).env("NOTIFY_SOCKET", &path);
        let program = Program::spawn(command.env("WATCHDOG_USEC", INTERVAL.as_micros().to_string()), 1);
        // A client that talks does not hide it.
        let mut client = connect_served(program.address());
        let pings_in = |time: Duration| {
            let end = Instant::now() + time;
            let mut pings = 0;
            while let Some(left) = end.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) {
                manager.set_read_timeout(Some(left)).expect("a valid timeout");
                let mut buffer = [0; 1024];
                match manager.recv(&mut buffer) {
                    Ok(length) => pings += usize::from(buffer[..length].starts_with(b"WATCHDOG=1")),
                    Err(error) => assert_eq!(error.kind(), io::ErrorKind::WouldBlock),
                }
            }
            pings
        };
        assert!(pings_in(2 * INTERVAL) >= 2, "a healthy server pings");
        let thread = thread(program.id(), held);
        ptrace::seize(thread, Options::empty()).expect("a parent may trace its child");
        ptrace::interrupt(thread).expect("it is traced");
        pings_in(INTERVAL);
        assert_eq!(exchange(&mut client, b"hello"), b"hello");
        assert_eq!(pings_in(2 * INTERVAL), 0, "{held} is stuck");
        nix::sys::wait::waitpid(thread, Some(nix::sys::wait::WaitPidFlag::__WALL)).expect("it has stopped");
        ptrace::detach(thread, None).expect("it has stopped");
        assert!(pings_in(2 * INTERVAL) >= 2, "it runs again");
        program.signal(Signal::SIGTERM);
        assert_eq!(program.finish().0, Some(0));
        fs::remove_file(path).expect("it is ours");
    }
}
