//! A log that cannot be written, and one that must not fill up.

use std::fs::OpenOptions;
use std::io::{BufRead, BufReader};
use std::process::Stdio;

use nix::sys::signal::Signal;

use crate::assert_serves;
use crate::support::{Program, connect, connect_served, exchange, read_to_end, say_bye, serve_apart, signal};

/// This is more lines than the pipe and the event queue hold.
const MESSAGES: usize = 20_000;

#[test]
fn an_unread_log_slows_no_session_and_reports_what_it_lost() {
    let (mut child, _stdout, address) = serve_apart(&["--log-messages", "all"], Stdio::piped());

    // Standard error is not read. Every message is an event, and so are the start and end of every session.
    let mut client = connect(address);
    for _ in 0..MESSAGES {
        exchange(&mut client, b"hello");
    }
    for _ in 0..3_000 {
        assert_serves(address);
    }
    say_bye(&mut client);

    // When it is read again, the number of lost events is logged, and the log continues.
    let stderr = BufReader::new(child.stderr.take().expect("piped"));
    let mut lines = stderr.lines().map_while(Result::ok);
    assert!(lines.any(|line| line.contains("events lost because the log is too slow: ")));
    signal(&child, Signal::SIGTERM);
    let rest: Vec<String> = lines.collect();
    let is_logged = |text: &str| rest.iter().any(|line| line.contains(text));
    assert!(is_logged("totals: accepted=3001 refused=0"), "{:?}", rest.last());
    assert_eq!(child.wait().expect("it was started").code(), Some(0));
}

#[test]
fn a_server_whose_log_is_stalled_still_stops() {
    let (mut child, _stdout, address) = serve_apart(&["--log-messages", "all"], Stdio::piped());
    let mut client = connect(address);
    for _ in 0..MESSAGES {
        exchange(&mut client, b"hello");
    }
    signal(&child, Signal::SIGTERM);
    assert_eq!(read_to_end(&mut client), b"");
    // Standard error is still open and unread.
    assert_eq!(child.wait().expect("it was started").code(), Some(0));
}

#[test]
fn a_full_disk_under_the_log_harms_no_session() {
    let full = OpenOptions::new().write(true).open("/dev/full").expect("Linux has it");
    let (mut child, _stdout, address) = serve_apart(&[], full);
    for _ in 0..100 {
        assert_serves(address);
    }
    signal(&child, Signal::SIGTERM);
    assert_eq!(child.wait().expect("it was started").code(), Some(0));
}

#[test]
fn probes_that_send_nothing_are_counted_and_not_logged() {
    let program = Program::serve(&[]);
    for _ in 0..100 {
        let mut probe = connect(program.address());
        probe.shutdown(std::net::Shutdown::Write).expect("it is open");
        assert_eq!(read_to_end(&mut probe), b"");
    }
    // A connection that stays open is logged as a client, although it has sent nothing.
    let client = connect(program.address());
    let line = program.wait_for("connected");
    assert!(line.contains("client 101"), "{line}");
    drop(client);
    drop(connect_served(program.address()));
    program.wait_for("client 102");
    program.signal(Signal::SIGTERM);
    let (_, lines) = program.finish();
    let totals = lines.last().expect("totals at the end");
    assert!(totals.contains("finished=102 silent=101"), "{totals}");
}
