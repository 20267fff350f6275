//! `make bench-instructions`: how many instructions the server executes for one message, one event and one session,
//! compared with the numbers in `recorded.json`.
//!
//! The counts are those of the `hebra` program under valgrind, with clients in this process. They do not depend on what
//! else the machine does, so a loss of speed is seen without a quiet machine.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program prints its results")]

mod comparison;
mod server;

use std::net::Shutdown;
use std::process::{Command, ExitCode};
use std::{env, fs, io};

use comparison::Counts;
use server::{Server, exchange};

const RECORDED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/instructions/recorded.json");

const SIZES: [(&str, usize); 3] = [("64 B", 64), ("512 B", 512), ("16 KiB", 16 * 1024)];

/// The functions that threads of the server run as long as it serves.
const WORKER: &str = "hebra::server::worker::Core::work";
const ACCEPTOR: &str = "hebra::server::acceptor::run";
const LOG: &str = "hebra::events::log::EventLog<E>::run";

/// So many that what happens once does not matter.
const MESSAGES: u64 = 1000;
/// After these all threads must fall asleep, which takes some milliseconds.
const EVENTS: u64 = 200;
const SESSIONS: u64 = 100;

fn main() -> ExitCode {
    let (modes, arguments): (Vec<_>, Vec<_>) = env::args().skip(1).partition(|argument| argument == "--bench");
    let run = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        // `cargo test --benches` runs this program too.
        _ if modes.is_empty() => Ok(true),
        [] => compare(),
        ["--record"] => record(),
        _ => {
            eprintln!("instructions: {}: the only flag is --record", arguments.join(" "));
            return ExitCode::from(2);
        }
    };
    if let Err(error) = &run {
        eprintln!("instructions: {error}");
    }
    if run.is_ok_and(|is_same| is_same) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn record() -> io::Result<bool> {
    let counts = Counts { toolchain: toolchain()?, cases: count()? };
    fs::write(RECORDED, counts.to_json()).map(|()| true)
}

/// Counts anew. Returns `false` if the counts are not those that are recorded.
fn compare() -> io::Result<bool> {
    let recorded = Counts::parse(&fs::read_to_string(RECORDED)?);
    let recorded = recorded.ok_or_else(|| io::Error::other(format!("{RECORDED} makes no sense")))?;
    if let Some(reason) = recorded.incomparable(&toolchain()?) {
        println!("{reason}");
        return Ok(true);
    }
    let (table, is_same) = recorded.compare(&count()?);
    print!("{table}");
    Ok(is_same)
}

/// Returns what the counts depend on beside the source: compiler, target and C library.
fn toolchain() -> io::Result<String> {
    let script = "rustc -vV | sed -n '1p; s/^host: //p'; getconf GNU_LIBC_VERSION";
    let output = Command::new("sh").args(["-c", script]).output()?.stdout;
    Ok(String::from_utf8_lossy(&output).trim_end().replace('\n', ", "))
}

/// Counts the instructions of each case.
fn count() -> io::Result<Vec<(String, u64)>> {
    println!("counting instructions under valgrind, which takes about twenty seconds");
    let mut cases = Vec::new();
    for framing in ["message", "line", "raw"] {
        for (name, size) in SIZES {
            let count = measure(WORKER, &["--framing", framing, "--log-messages", "off"], MESSAGES, |server| {
                let mut client = server.connect()?;
                (0..MESSAGES).try_for_each(|_| exchange(&mut client, size))
            })?;
            cases.push((format!("{framing} framing, {name}"), count));
        }
    }
    for (name, function) in [("message framing, 64 B, and its event", WORKER), ("that event, logged", LOG)] {
        let count = measure(function, &["--log-messages", "all"], EVENTS, |server| {
            let mut client = server.connect()?;
            (0..EVENTS).try_for_each(|_| exchange(&mut client, 64).and_then(|()| server.settle()))
        })?;
        cases.push((name.to_owned(), count));
    }
    for (name, function) in [("session, its accept", ACCEPTOR), ("session, the rest, with one message", WORKER)] {
        let count = measure(function, &["--log-messages", "off"], SESSIONS, |server| {
            (0..SESSIONS).try_for_each(|_| {
                let mut client = server.connect()?;
                exchange(&mut client, 64)?;
                server.settle()?;
                client.shutdown(Shutdown::Write)?;
                server.settle()
            })
        })?;
        cases.push((name.to_owned(), count));
    }
    Ok(cases)
}

/// Returns how many instructions `function` executes for one of the `times` repetitions of which `load` consists.
fn measure(
    function: &str,
    flags: &[&str],
    times: u64,
    load: impl FnOnce(&Server) -> io::Result<()>,
) -> io::Result<u64> {
    let server = Server::start(function, flags)?;
    load(&server)?;
    match server.stop()? {
        0 => Err(io::Error::other(format!("{function} is inlined, or has another name now"))),
        total => Ok(total / times),
    }
}
