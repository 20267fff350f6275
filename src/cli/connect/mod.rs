//! `hebra connect`: sends what is typed or piped in to a server, and prints what comes back as it comes.
//!
//! The main thread prints until the server closes, which ends the program. Another thread sends. It ends with the
//! program wherever it is, because nothing can interrupt a read of standard input. In a pipe every byte passes unchanged.
//! On a terminal lines are edited, and what comes is escaped, because a server must not control it.

mod output;
mod sender;

use std::io::{self, ErrorKind, IsTerminal};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::thread;

use crossbeam_channel as channel;

use super::arguments::ConnectArguments;
use super::dial::dial;
use super::process::deadline::Deadline;
use super::process::failure::{self, Failure, RESET, TIMED_OUT};
use super::process::{FAILED, complain};
use super::terminal::{self, GiveBack};
use output::Output;
use sender::{IDLE_TIMEOUT, STUCK_TIMEOUT, Sender, TYPED_IDLE_TIMEOUT};

/// Bytes that are copied at once.
const BUFFER: usize = 64 * 1024;

/// Connects and talks until the server closes. Returns the exit code.
pub(crate) fn run(arguments: &ConnectArguments) -> u8 {
    failure::exit_code(talk(arguments))
}

/// What stopped a copy.
#[derive(Debug)]
enum Broken {
    Read(io::Error),
    Write(io::Error),
}

fn talk(arguments: &ConnectArguments) -> Result<(), Failure> {
    terminal::guard(&[]).map_err(|cause| Failure::no_thread("hebra-terminal", &cause))?;
    let deadline = Deadline::after(arguments.timeout.0);
    let (stream, server) = dial(&arguments.address, deadline)?;
    let _given_back = GiveBack;
    converse(arguments, Arc::new(stream), &server)
}

fn converse(arguments: &ConnectArguments, stream: Arc<TcpStream>, server: &str) -> Result<(), Failure> {
    let local = |cause: io::Error| Failure { code: FAILED, message: format!("cannot use the terminal: {cause}") };
    let (lines, mut output) = if terminal::is_interactive() {
        let (lines, printer) = terminal::open("> ").map_err(local)?;
        printer.print(&format!("connected to {server}; Ctrl-D ends\n")).map_err(local)?;
        (Some((lines, printer.clone())), Output::screen(printer))
    } else if io::stdout().is_terminal() {
        (None, Output::screen(terminal::open("").map_err(local)?.1))
    } else {
        (None, Output::Bytes)
    };
    let is_typed = lines.is_some();
    let sender = Arc::new(Sender::new(Arc::clone(&stream), arguments.crlf));
    let sending = Arc::clone(&sender);
    let (sent, progress) = channel::bounded(1);
    thread::Builder::new()
        .name("hebra-input".to_owned())
        .spawn(move || sending.send(lines, &sent))
        .map_err(|cause| Failure::no_thread("hebra-input", &cause))?;
    let ended = output.receive(&stream);
    output.close();
    let idle = if is_typed { TYPED_IDLE_TIMEOUT } else { IDLE_TIMEOUT };
    let is_sent = ended.is_err() || sender.wait(&progress, idle);
    // A write that is stuck ends, so that its error is known if it met the one that a read then does not.
    let _ = stream.shutdown(Shutdown::Both);
    match ended {
        Err(Broken::Read(cause)) => return Err(broke(server, &cause)),
        Err(Broken::Write(cause)) => return failure::not_printed(&cause),
        Ok(()) if !is_sent => {
            let patience = STUCK_TIMEOUT.as_secs();
            let message =
                format!("input was lost: {server} closed its side and took nothing for {patience} seconds");
            return Err(Failure { code: TIMED_OUT, message });
        }
        Ok(()) => {}
    }
    match sender.failure() {
        Some(Broken::Read(cause)) => {
            Err(Failure { code: FAILED, message: format!("cannot read standard input: {cause}") })
        }
        Some(Broken::Write(cause)) if cause.kind() == ErrorKind::BrokenPipe => {
            Err(Failure { code: RESET, message: format!("input was lost: {server} closed the connection") })
        }
        Some(Broken::Write(cause)) => Err(broke(server, &cause)),
        None => {
            if is_typed {
                complain(format_args!("connection to {server} closed"));
            }
            Ok(())
        }
    }
}

fn broke(server: &str, cause: &io::Error) -> Failure {
    Failure::new(format_args!("connection to {server} broke"), cause)
}
