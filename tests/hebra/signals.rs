//! Signals: what each one does, how often it has to come, and what a process inherits of them.

use std::ffi::OsStr;
use std::fs;
use std::io::{Read, Write};
use std::net::UdpSocket;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{SigSet, Signal, kill};
use nix::unistd::Pid;

use crate::support::{FUSE, Program, clog, connect_served, exchange, read_to_end, serve_apart, signal};

const DRAINED: Option<i32> = Some(0);
const CUT_OFF: Option<i32> = Some(3);

/// How often the tests that look for a race between signals repeat.
const RUNS: usize = 10;

/// How long a signal that comes again is part of the same request.
const AGAIN: Duration = Duration::from_millis(250);

/// The signals that stop a server, without those that this process was started to ignore: its children ignore them too.
fn stop_signals() -> Vec<Signal> {
    let status = fs::read_to_string("/proc/self/status").expect("Linux has it");
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).expect("Linux reports it");
    let ignored = u64::from_str_radix(mask.trim(), 16).expect("a number");
    let stops = [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP];
    stops.into_iter().filter(|signal| ignored >> (*signal as u64 - 1) & 1 == 0).collect()
}

/// `hebra serve` on a free port, started by a shell that runs `setup` first.
fn serve_after(setup: &str) -> Program {
    let hebra = Program::command();
    let mut command = Command::new("sh");
    command.args(["-c", &format!("{setup}; exec \"$@\""), "sh"]).arg(hebra.get_program()).args(hebra.get_args());
    command.args(["--listen", "127.0.0.1:0"]).env_remove("RUST_LOG").stdin(Stdio::null());
    Program::spawn(&mut command, 1)
}

fn serve_udp() -> Program {
    let mut command = Command::new(Program::command().get_program());
    command.args(["udp", "serve", "--listen", "127.0.0.1:0"]).env_remove("RUST_LOG").stdin(Stdio::null());
    Program::spawn(&mut command, 1)
}

#[test]
fn each_stop_signal_drains() {
    for signal in stop_signals() {
        let program = Program::serve(&[]);
        let mut client = connect_served(program.address());
        program.signal(signal);
        assert_eq!(read_to_end(&mut client), b"");
        drop(client);
        let (code, lines) = program.finish();
        assert_eq!(code, DRAINED, "{signal}");
        assert!(lines.last().is_some_and(|line| line.contains("totals: ")), "{signal}: {lines:#?}");

        let program = serve_udp();
        program.signal(signal);
        let (code, lines) = program.finish();
        assert_eq!(code, DRAINED, "{signal}");
        assert!(lines.last().is_some_and(|line| line.contains("totals: ")), "{signal}: {lines:#?}");
    }
}

#[test]
fn a_signal_that_comes_twice_in_a_row_is_one_request() {
    for _ in 0..RUNS {
        for clients in [0, 1] {
            let program = Program::serve(&[]);
            let clients: Vec<_> = (0..clients).map(|_| connect_served(program.address())).collect();
            program.signal(Signal::SIGTERM);
            program.signal(Signal::SIGTERM);
            for mut client in clients {
                assert_eq!(read_to_end(&mut client), b"");
            }
            let (code, lines) = program.finish();
            assert_eq!(code, DRAINED);
            assert!(lines.last().is_some_and(|line| line.contains("totals: ")), "{lines:#?}");
        }
    }
}

#[test]
fn a_stop_signal_that_comes_later_ends_the_process_at_once() {
    for later in stop_signals() {
        let program = Program::serve(&["--drain-timeout", "1h", "--stats-interval", "20ms"]);
        let _client = clog(program.address(), || program.next_totals());
        let asked = Instant::now();
        program.signal(Signal::SIGTERM);
        program.wait_for("stopping; sessions to end: 1");
        // Until it has ended: for a quarter of a second they are part of the first one.
        let pid = Pid::from_raw(program.id().try_into().expect("a process id"));
        let ended = thread::spawn(move || program.finish());
        while !ended.is_finished() {
            let _ = kill(pid, later);
            thread::sleep(Duration::from_millis(10));
        }
        assert_eq!(ended.join().expect("it waits").0, CUT_OFF);
        assert!(asked.elapsed() >= AGAIN, "{:?}", asked.elapsed());
    }
}

#[test]
fn a_server_that_is_stuck_before_it_serves_ends_at_a_later_signal() {
    let (mut full, _reader) = UnixStream::pair().expect("a pair of sockets");
    full.set_nonblocking(true).expect("it is open");
    while full.write(&[0; 4096]).is_ok() {}
    full.set_nonblocking(false).expect("it is open");
    let mut command = Program::command();
    command.args(["--listen", "127.0.0.1:0"]).stdout(OwnedFd::from(full)).stderr(Stdio::null());
    let mut child = command.spawn().expect("it is built");
    let fuse = Instant::now() + FUSE;
    let status = loop {
        if Instant::now() > fuse {
            child.kill().expect("it runs");
        }
        if let Some(status) = child.try_wait().expect("it was started") {
            break status;
        }
        // The first may come before it is ready for signals, which ends it too.
        signal(&child, Signal::SIGTERM);
        thread::sleep(Duration::from_millis(100));
    };
    assert!(status.code() == CUT_OFF || status.signal() == Some(Signal::SIGTERM as i32), "{status}");
}

#[test]
fn a_signal_that_was_ignored_at_the_start_stays_ignored() {
    for (name, ignored) in [("HUP", Signal::SIGHUP), ("INT", Signal::SIGINT), ("USR1", Signal::SIGUSR1)] {
        let program = serve_after(&format!("trap '' {name}"));
        let mut client = connect_served(program.address());
        program.signal(ignored);
        assert_eq!(exchange(&mut client, b"still here"), b"still here");
        program.signal(Signal::SIGTERM);
        assert_eq!(read_to_end(&mut client), b"");
        let (code, lines) = program.finish();
        assert_eq!(code, DRAINED, "{name}");
        let totals = lines.iter().filter(|line| line.contains("totals: ")).count();
        assert_eq!(totals, 1, "{name}: {lines:#?}");
    }
}

#[test]
fn a_signal_that_was_blocked_at_the_start_is_unblocked() {
    let mut blocked = SigSet::empty();
    stop_signals().into_iter().chain([Signal::SIGUSR1]).for_each(|signal| blocked.add(signal));
    // The mask is this thread's, and its children inherit it.
    blocked.thread_block().expect("a valid mask");
    let (program, udp) = (Program::serve(&[]), serve_udp());
    blocked.thread_unblock().expect("a valid mask");
    for program in [program, udp] {
        program.signal(Signal::SIGUSR1);
        program.wait_for("totals: ");
        program.signal(Signal::SIGTERM);
        assert_eq!(program.finish().0, DRAINED);
    }
}

#[test]
fn sigusr1_reports_the_totals_and_who_is_connected() {
    let program = Program::serve(&[]);
    let clients: Vec<_> = (0..3).map(|_| connect_served(program.address())).collect();
    program.signal(Signal::SIGUSR1);
    let totals = program.wait_for("totals: ");
    assert!(totals.contains("accepted=3 refused=0 waiting=0 live=3"), "{totals}");
    for (number, client) in clients.iter().enumerate() {
        let line = program.wait_for(" is connected");
        let peer = client.local_addr().expect("a socket");
        let start = format!("] client {} ({peer}) is connected; age=", number + 1);
        assert!(line.contains(&start) && line.contains("s silence="), "{line}");
        // An answer may reach its client before it is counted as sent.
        let is_counted = |sent| line.ends_with(&format!(" messages=1 bytes_in=7 bytes_out={sent}"));
        assert!(is_counted(7) || is_counted(0), "{line}");
    }
}

#[test]
fn sigusr1_is_answered_where_events_are_not_logged() {
    let mut command = Program::command();
    command.args(["--listen", "127.0.0.1:0", "--service", "chat", "--room"]).stdin(Stdio::piped());
    let program = Program::spawn(&mut command, 1);
    program.signal(Signal::SIGUSR1);
    program.wait_for("totals: accepted=0");
    let program = serve_udp();
    let client = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    client.send_to(b"hello", program.address()).expect("it is sent");
    program.wait_for("datagram from");
    program.signal(Signal::SIGUSR1);
    program.wait_for("totals: datagrams=1");
}

#[test]
fn sigusr1_does_not_wait_for_the_log_and_sigusr2_does_nothing() {
    let (mut child, _stdout, address) = serve_apart(&["--log-messages", "all"], Stdio::piped());
    let mut client = connect_served(address);
    signal(&child, Signal::SIGUSR2);
    // Far more than standard error holds, which nobody reads.
    for _ in 0..2_000 {
        exchange(&mut client, b"hello");
        signal(&child, Signal::SIGUSR1);
    }
    signal(&child, Signal::SIGTERM);
    assert_eq!(read_to_end(&mut client), b"");
    assert_eq!(child.wait().expect("it was started").code(), DRAINED);
}

#[test]
fn a_log_that_reaches_the_limit_of_file_size_costs_no_session() {
    let path = std::env::temp_dir().join(format!("hebra-limit-{}", std::process::id()));
    let program = serve_after(&format!("ulimit -f 8; exec 2>'{}'", path.display()));
    let mut held = connect_served(program.address());
    for _ in 0..100 {
        connect_served(program.address());
    }
    assert_eq!(exchange(&mut held, b"still here"), b"still here");
    drop(held);
    program.signal(Signal::SIGTERM);
    assert_eq!(program.finish().0, DRAINED);
    let log = fs::read(&path).expect("it has logged");
    fs::remove_file(&path).expect("it is ours");
    // In blocks of 512 or 1,024 bytes, as the shell has it.
    assert!([4096, 8192].contains(&log.len()), "{}", log.len());
}

#[test]
fn gnu_timeout_drains_a_server() {
    let hebra = Program::command();
    let arguments = [OsStr::new("0.5"), hebra.get_program()].into_iter().chain(hebra.get_args());
    let mut command = Command::new("timeout");
    command.args(arguments).args(["--listen", "127.0.0.1:0"]).env_remove("RUST_LOG").stdin(Stdio::null());
    let program = Program::spawn(&mut command, 1);
    let mut client = connect_served(program.address());
    let mut rest = Vec::new();
    client.read_to_end(&mut rest).expect("a clean end of stream");
    assert_eq!(rest, b"");
    let (_, lines) = program.finish();
    assert!(lines.last().is_some_and(|line| line.contains("totals: ")), "{lines:#?}");
}
