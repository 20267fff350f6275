//! A process that has run out of descriptors.

use std::fs;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::support::{Program, connect, exchange};

/// How many descriptors the server may have. It needs some for itself, so fewer clients than this fit.
const LIMIT: &str = "40";
const CLIENTS: usize = 60;

/// Starts a server with more workers than [`LIMIT`] allows descriptors, as a soft and hard limit.
fn limited() -> Program {
    let serve = Program::command();
    let mut shell = std::process::Command::new("sh");
    shell.args(["-c", &format!("ulimit -n {LIMIT} && exec \"$0\" \"$@\"")]);
    shell.arg(serve.get_program()).args(serve.get_args()).env_remove("RUST_LOG");
    shell.args(["--listen", "127.0.0.1:0", "--workers", "128", "--log-messages", "off"]);
    Program::spawn(&mut shell, 1)
}

/// Returns the processor time that the process has used so far.
fn processor_time(program: &Program) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{}/stat", program.id())).expect("it runs");
    // User and system time are fields 12 and 13 after the name, which is in brackets. Their unit is a tick of 10 ms.
    let (_, fields) = stat.rsplit_once(')').expect("a name in brackets");
    let ticks = fields.split_whitespace().skip(11).take(2).map(|field| field.parse::<u64>().expect("a number"));
    Duration::from_millis(10 * ticks.sum::<u64>())
}

#[test]
fn a_server_out_of_descriptors_rests_recovers_and_loses_no_client() {
    let program = limited();
    let warning = program.wait_for("WARN");
    assert!(warning.contains("workers and max-pending can need 544, and the limit is 40"), "{warning}");
    let mut clients: Vec<TcpStream> = (0..CLIENTS).map(|_| connect(program.address())).collect();
    program.wait_for("cannot accept on 127.0.0.1");

    // While it is out of descriptors, it sleeps most of the time.
    let (before, asked) = (processor_time(&program), Instant::now());
    crossbeam_channel::after(Duration::from_secs(1)).recv().expect("it ticks");
    let share = (processor_time(&program) - before).as_secs_f64() / asked.elapsed().as_secs_f64();
    assert!(share < 0.05, "{share} of a core");

    // Clients that the kernel holds are served as others leave.
    let mut left = clients.split_off(CLIENTS / 2);
    for client in &mut clients {
        assert!(exchange(client, b"hello") == b"hello");
    }
    for client in &mut left {
        drop(clients.pop());
        assert!(exchange(client, b"hello") == b"hello");
    }
    // The log has one line at the start of the episode, and one at its end with the number of failures.
    drop(left);
    crossbeam_channel::after(Duration::from_millis(1_100)).recv().expect("it ticks");
    assert!(exchange(&mut connect(program.address()), b"hello") == b"hello");
    program.signal(Signal::SIGTERM);
    let (code, lines) = program.finish();
    assert_eq!(code, Some(0), "{lines:#?}");
    let count = |text: &str| lines.iter().filter(|line| line.contains(text)).count();
    assert_eq!((count("cannot accept on"), count("again; failed attempts")), (0, 1), "{lines:#?}");
    assert!(lines.last().is_some_and(|line| line.contains("accepted=61 refused=0")), "{lines:#?}");
}

#[test]
fn a_server_out_of_descriptors_stops_at_once() {
    let program = limited();
    let clients: Vec<TcpStream> = (0..CLIENTS).map(|_| connect(program.address())).collect();
    program.wait_for("cannot accept on 127.0.0.1");
    program.signal(Signal::SIGTERM);
    assert_eq!(program.finish().0, Some(0));
    drop(clients);
}
