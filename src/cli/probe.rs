//! `hebra probe`: one line to a server, its answer, and an exit code, for the health checks of images without a shell.
//!
//! One deadline covers it all. The connection is closed so that the server sees an ordinary end.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use hebra::text::{Escaped, incomplete};
use serde_json::Value;

use super::arguments::{ProbeArguments, Wanted};
use super::dial::dial;
use super::process::deadline::{Deadline, is_passing};
use super::process::failure::{self, Failure, RESET};
use super::process::{FAILED, resolve};
use super::stdio;
use super::udp::send;

/// Bytes that an answer may have beside the text that was sent: room for any prefix and for the JSON of whoami.
const MAX_ANSWER: usize = 64 * 1024;

/// What the line of a server begins with that cannot serve.
const BUSY: &[u8] = b"busy: ";

/// Bytes of a wrong answer that are shown.
const SHOWN: usize = 200;

/// How long the server may take to close its side. It is less than the quarter of a second within which hebra takes a
/// connection that sent nothing for a probe.
const LEAVING: Duration = Duration::from_millis(100);

/// Asks the server once. Returns the exit code.
pub(super) fn run(arguments: &ProbeArguments) -> u8 {
    let printed = probe(arguments)
        .and_then(|line| stdio::output().write_all(line.as_bytes()).or_else(|cause| failure::not_printed(&cause)));
    failure::exit_code(printed)
}

/// Returns the line that says how long it took.
fn probe(arguments: &ProbeArguments) -> Result<String, Failure> {
    let deadline = Deadline::after(arguments.timeout.0);
    let begun = Instant::now();
    let address = arguments.address.as_str();
    let Some((text, wanted)) = arguments.question() else {
        let (stream, server) = dial(address, deadline)?;
        let took = begun.elapsed();
        leave(stream, deadline);
        return Ok(report(&server, "connected", took));
    };
    match address.strip_prefix("udp://") {
        Some(address) => {
            send::require_fit("--send", text)?;
            let targets = resolve::within(address, deadline)?;
            let begun = Instant::now();
            let (target, answer) = send::send(&targets, text.as_bytes(), Some(deadline))?;
            let (server, took) = (format!("udp://{target}"), begun.elapsed());
            require_in_time(&server, deadline)?;
            judge(&server, answer.as_deref().unwrap_or_default(), text, wanted)?;
            Ok(report(&server, "answered", took))
        }
        None => {
            let (stream, server) = dial(address, deadline)?;
            let begun = Instant::now();
            let answer = ask(&stream, text, deadline);
            let took = begun.elapsed();
            let in_time = require_in_time(&server, deadline);
            leave(stream, deadline);
            judge_answer(&server, answer, text, wanted)?;
            in_time?;
            Ok(report(&server, "answered", took))
        }
    }
}

/// Fails if the answer came too late: a timeout of a socket may end some milliseconds after its time.
fn require_in_time(server: &str, deadline: Deadline) -> Result<(), Failure> {
    match deadline.socket_timeout() {
        Ok(_) => Ok(()),
        Err(cause) => Err(Failure::new(format_args!("no answer from {server}"), &cause)),
    }
}

fn report(server: &str, what: &str, took: Duration) -> String {
    format!("{server} {what} in {:.2} ms\n", took.as_secs_f64() * 1000.0)
}

/// What a server sent in place of a line, or before it stopped.
#[derive(Debug)]
enum Answer {
    /// A line, without its line feed.
    Line(Vec<u8>),
    /// The end of the stream, after these bytes.
    Closed(Vec<u8>),
    /// More bytes than an answer may have, these among them.
    Endless(Vec<u8>),
}

/// Sends a line, and returns the answer.
fn ask(mut stream: &TcpStream, text: &str, deadline: Deadline) -> io::Result<Answer> {
    let line = format!("{text}\n");
    let mut unsent = line.as_bytes();
    while !unsent.is_empty() {
        stream.set_write_timeout(deadline.socket_timeout()?)?;
        match stream.write(unsent) {
            Ok(count) => unsent = &unsent[count..],
            Err(error) if is_passing(&error) => {}
            // A server that refuses its clients says why and closes.
            Err(error) => {
                return match receive(stream, text.len(), deadline) {
                    Ok(Answer::Closed(bytes)) if bytes.is_empty() => Err(error),
                    answer => answer,
                };
            }
        }
    }
    receive(stream, text.len(), deadline)
}

/// Reads up to a line feed, however slowly it comes.
fn receive(mut stream: &TcpStream, length: usize, deadline: Deadline) -> io::Result<Answer> {
    let mut line = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        stream.set_read_timeout(deadline.socket_timeout()?)?;
        match stream.read(&mut buffer) {
            Ok(0) => return Ok(Answer::Closed(line)),
            Ok(count) => {
                let read = &buffer[..count];
                let end = read.iter().position(|byte| *byte == b'\n');
                line.extend_from_slice(&read[..end.unwrap_or(count)]);
                if end.is_some() {
                    return Ok(Answer::Line(line));
                }
                if line.len() > length + MAX_ANSWER {
                    return Ok(Answer::Endless(line));
                }
            }
            Err(error) if is_passing(&error) => {}
            Err(error) => return Err(error),
        }
    }
}

/// Closes the sending side, and discards what still comes until the server closes too. Bytes that are left unread at a
/// close would reset the connection.
fn leave(mut stream: TcpStream, deadline: Deadline) {
    let deadline = deadline.or_sooner(Deadline::after(Some(LEAVING)));
    if stream.shutdown(Shutdown::Write).is_err() {
        return;
    }
    while let Ok(left) = deadline.socket_timeout() {
        if stream.set_read_timeout(left).is_err() {
            return;
        }
        match stream.read(&mut [0; 4096]) {
            Ok(0) => return,
            Err(error) if !is_passing(&error) => return,
            _ => {}
        }
    }
}

fn judge_answer(server: &str, answer: io::Result<Answer>, text: &str, wanted: Wanted) -> Result<(), Failure> {
    match answer {
        Ok(Answer::Line(line)) => judge(server, &line, text, wanted),
        Ok(Answer::Closed(part)) if !part.is_empty() && !is_beginning(&part, text, wanted) => {
            judge(server, &part, text, wanted)
        }
        Ok(Answer::Closed(part)) => {
            let when = if part.is_empty() { "without an answer" } else { "in the middle of its answer" };
            Err(Failure { code: RESET, message: format!("{server} closed the connection {when}") })
        }
        Ok(Answer::Endless(bytes)) => {
            let message =
                format!("{server} sent {} bytes without a line feed, such as {}", bytes.len(), shown(&bytes));
            Err(Failure { code: FAILED, message })
        }
        Err(cause) if cause.kind() == ErrorKind::BrokenPipe => {
            Err(Failure { code: RESET, message: format!("{server} closed the connection without an answer") })
        }
        Err(cause) => Err(Failure::new(format_args!("no answer from {server}"), &cause)),
    }
}

/// Returns whether a right answer may begin with `part`, which is not all of it.
fn is_beginning(part: &[u8], text: &str, wanted: Wanted) -> bool {
    match wanted {
        Wanted::Same => part.len() < text.len() && text.as_bytes().starts_with(part),
        Wanted::Json => part.starts_with(b"{") && serde_json::from_slice::<Value>(part).is_err(),
        Wanted::Any => false,
    }
}

/// Decides whether a line is the answer that is wanted.
fn judge(server: &str, line: &[u8], text: &str, wanted: Wanted) -> Result<(), Failure> {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let (is_right, right) = match wanted {
        Wanted::Same => {
            let before = line.strip_suffix(text.as_bytes());
            let is_prefix = |before: &[u8]| before.ends_with(b" ") && !before.starts_with(BUSY);
            let is_same = before.is_some_and(|before| before.is_empty() || is_prefix(before));
            (is_same, shown(text.as_bytes()))
        }
        Wanted::Json => {
            let message = serde_json::from_slice::<Value>(line).ok().and_then(|object| {
                object.get("message").and_then(Value::as_str).map(|message| message.trim() == text.trim())
            });
            (message == Some(true), format!("JSON with the message {}", shown(text.as_bytes())))
        }
        Wanted::Any => (!line.starts_with(BUSY), "an answer".to_owned()),
    };
    match is_right {
        true => Ok(()),
        false => {
            let message = format!("{server} answered {}, not {right}", shown(line));
            Err(Failure { code: FAILED, message })
        }
    }
}

/// Returns the beginning of what a server sent, made safe to show.
fn shown(bytes: &[u8]) -> String {
    if bytes.len() <= SHOWN {
        return format!("\"{}\"", Escaped(bytes));
    }
    let start = &bytes[..SHOWN];
    format!("\"{}...\"", Escaped(&start[..SHOWN - incomplete(start)]))
}
