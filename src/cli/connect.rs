//! `hebra connect`: what is typed or piped in goes to a server, what comes back is shown as it comes.
//!
//! The main thread prints until the server closes, which ends the program; another sends, and ends with it
//! wherever it is, because nothing can interrupt a read of standard input. In a pipe every byte passes as it is.
//! On a terminal lines are edited, and what comes is escaped: a server has no business with a terminal's settings.

use std::io::{self, ErrorKind, IsTerminal, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{self as channel, RecvTimeoutError};
use hebra::text::EscapedStream;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use signal_hook::low_level::emulate_default_handler;

use super::arguments::ConnectArguments;
use super::process::failure::{self, Failure};
use super::process::{FAILED, complain};
use super::terminal::{self, LineReader, NOT_TEXT, Printer};

/// How much is copied at once, in bytes.
const BUFFER: usize = 64 * 1024;

/// How long a pipe may have nothing to send after the server closed its sending side. It may still read; whether
/// it does only a write can tell.
const IDLE_TIMEOUT: Duration = Duration::from_millis(500);

/// How long a server that has closed its sending side may take nothing of what it is sent.
const STUCK_TIMEOUT: Duration = Duration::from_secs(5);

/// How long nothing may come within a line before what has come of it is shown above a prompt.
const PAUSE: Duration = Duration::from_millis(100);

/// Connects and talks until the server closes; the exit code.
pub(crate) fn run(arguments: &ConnectArguments) -> u8 {
    failure::exit_code(talk(arguments))
}

fn talk(arguments: &ConnectArguments) -> Result<(), Failure> {
    let addresses = failure::resolve(&arguments.address)?;
    let (stream, server) = connect(&addresses, arguments.timeout.0)?;
    let stream = Arc::new(stream);
    let local = |cause: &io::Error| Failure { code: FAILED, message: format!("cannot use the terminal: {cause}") };
    let (lines, mut output) = if terminal::is_interactive() {
        let (lines, printer) = terminal::open("> ").map_err(|cause| local(&cause))?;
        give_back_on_signal(printer.clone()).map_err(|cause| local(&cause))?;
        printer.print(&format!("connected to {server}; Ctrl-D ends\n")).map_err(|cause| local(&cause))?;
        (Some((lines, printer.clone())), Output::Screen(printer, EscapedStream::default()))
    } else if io::stdout().is_terminal() {
        let (_, printer) = terminal::open("").map_err(|cause| local(&cause))?;
        (None, Output::Screen(printer, EscapedStream::default()))
    } else {
        (None, Output::Bytes)
    };
    let is_typed = lines.is_some();
    let sender = Arc::new(Sender { stream: Arc::clone(&stream), failed: Mutex::new(None) });
    let sending = Arc::clone(&sender);
    let (sent, progress) = channel::bounded(1);
    thread::Builder::new()
        .name("hebra-input".to_owned())
        .spawn(move || sending.send(lines, &sent))
        .map_err(|cause| Failure::new("cannot start thread hebra-input", &cause))?;
    let ended = output.receive(&stream);
    output.close();
    if ended.is_ok() && !is_typed {
        sender.wait(&progress);
    }
    // A write that is stuck ends, so that its error, if it met the one that a read then does not, is known.
    let _ = stream.shutdown(Shutdown::Both);
    let cannot_send = sender.failed.lock().unwrap_or_else(PoisonError::into_inner).take();
    match ended {
        Err(Broken::Read(cause)) => Err(Failure::new(format_args!("connection to {server} broke"), &cause)),
        Err(Broken::Write(cause)) => failure::not_printed(&cause),
        Ok(()) => match cannot_send {
            Some(Broken::Read(cause)) => {
                Err(Failure { code: FAILED, message: format!("cannot read standard input: {cause}") })
            }
            // A server may close before it has read all that it is sent.
            Some(Broken::Write(cause)) if cause.kind() != ErrorKind::BrokenPipe => {
                Err(Failure::new(format_args!("connection to {server} broke"), &cause))
            }
            _ => {
                if is_typed {
                    complain(format_args!("connection to {server} closed"));
                }
                Ok(())
            }
        },
    }
}

/// Gives the terminal its settings back when a signal ends the program.
fn give_back_on_signal(printer: Printer) -> io::Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP])?;
    let wait = move || {
        for signal in signals.forever() {
            let _ = end_by(signal, &printer);
        }
    };
    thread::Builder::new().name("hebra-signals".to_owned()).spawn(wait).map(drop)
}

/// Gives the terminal back and ends as the signal ends any other program, which is what the shell is to see.
fn end_by(signal: i32, printer: &Printer) -> io::Result<()> {
    printer.close_in_time();
    emulate_default_handler(signal)
}

/// Connects to the first of `addresses` that answers; each may take up to `timeout`.
///
/// # Errors
///
/// The failure that is told of them all, as [`Failure::or_later`] has it.
fn connect(addresses: &[SocketAddr], timeout: Option<Duration>) -> Result<(TcpStream, SocketAddr), Failure> {
    let mut told = Failure { code: FAILED, message: "there is no address to connect to".to_owned() };
    for address in addresses {
        let attempt = match timeout {
            Some(timeout) => TcpStream::connect_timeout(address, timeout),
            None => TcpStream::connect(address),
        };
        match attempt {
            Ok(stream) => {
                // A line goes out as it is typed. Without the option it only goes later.
                let _ = stream.set_nodelay(true);
                return Ok((stream, *address));
            }
            Err(cause) => {
                told = told.or_later(Failure::new(format_args!("cannot connect to {address}"), &cause));
            }
        }
    }
    Err(told)
}

/// What stopped a copy.
#[derive(Debug)]
enum Broken {
    Read(io::Error),
    Write(io::Error),
}

/// The sending direction.
struct Sender {
    stream: Arc<TcpStream>,
    /// Why it ended early. Locked during each write, so that whoever sees the connection's end and then looks
    /// here misses nothing.
    failed: Mutex<Option<Broken>>,
}

impl Sender {
    /// Sends the lines that are typed, up to `bye`, or else all of standard input, then closes the sending side.
    fn send(&self, lines: Option<(LineReader, Printer)>, sent: &channel::Sender<()>) {
        let result = match lines {
            Some((lines, printer)) => self.send_lines(lines, &printer),
            None => self.send_bytes(io::stdin().lock(), sent),
        };
        if let Err(cause) = result {
            *self.failed.lock().unwrap_or_else(PoisonError::into_inner) = Some(Broken::Read(cause));
        }
        // It fails if the connection is gone, which the other direction tells.
        let _ = self.stream.shutdown(Shutdown::Write);
    }

    fn send_lines(&self, mut lines: LineReader, printer: &Printer) -> io::Result<()> {
        loop {
            match lines.read() {
                // What is said last, also to a server to which it means nothing.
                Ok(Some(line)) if self.write(format!("{line}\n").as_bytes()) && line.trim() != "bye" => {}
                Ok(_) => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => end_by(SIGINT, printer)?,
                Err(error) if error.kind() == ErrorKind::InvalidData => {
                    printer.print(&format!("hebra: {NOT_TEXT}\n"))?;
                }
                Err(error) => return Err(error),
            }
        }
    }

    fn send_bytes(&self, mut input: impl Read, sent: &channel::Sender<()>) -> io::Result<()> {
        let mut buffer = vec![0; BUFFER];
        loop {
            match input.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(count) if self.write(&buffer[..count]) => {
                    // One that was not taken yet tells as much.
                    let _ = sent.try_send(());
                }
                Ok(_) => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Waits until all input is sent, the server takes no more, or neither input nor a write has come to its end for
    /// [`IDLE_TIMEOUT`] or [`STUCK_TIMEOUT`].
    fn wait(&self, progress: &channel::Receiver<()>) {
        let mut moved = Instant::now();
        loop {
            match progress.recv_timeout(IDLE_TIMEOUT) {
                Ok(()) => moved = Instant::now(),
                // A write that takes long is one to a server that is slow to read.
                Err(RecvTimeoutError::Timeout)
                    if self.failed.try_lock().is_err() && moved.elapsed() < STUCK_TIMEOUT => {}
                Err(_) => return,
            }
        }
    }

    /// Sends `bytes`; false if the server takes no more.
    fn write(&self, bytes: &[u8]) -> bool {
        let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        *failed = (&*self.stream).write_all(bytes).map_err(Broken::Write).err();
        failed.is_none()
    }
}

/// The receiving direction.
enum Output {
    Screen(Printer, EscapedStream),
    Bytes,
}

impl Output {
    /// Prints what comes, as it comes, until the server closes.
    fn receive(&mut self, mut stream: &TcpStream) -> Result<(), Broken> {
        let mut buffer = vec![0; BUFFER];
        let (mut is_begun, mut is_timed) = (false, false);
        loop {
            if is_begun != is_timed {
                is_timed = is_begun;
                // Some systems refuse it when the connection is at its end, where nothing takes its time any more.
                let _ = stream.set_read_timeout(is_timed.then_some(PAUSE));
            }
            match stream.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(count) => is_begun = self.print(&buffer[..count]).map_err(Broken::Write)?,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // The rest of the line takes its time.
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    is_begun = false;
                    self.print_begun().map_err(Broken::Write)?;
                }
                Err(error) => return Err(Broken::Read(error)),
            }
        }
    }

    /// Prints what has come of a line.
    fn print_begun(&mut self) -> io::Result<()> {
        if let Self::Screen(printer, _) = self { printer.print_begun() } else { Ok(()) }
    }

    /// Prints `bytes`; whether the end of a line is waited for.
    fn print(&mut self, bytes: &[u8]) -> io::Result<bool> {
        match self {
            Self::Screen(printer, escaped) => printer.print_piece(&escaped.feed(bytes)),
            Self::Bytes => {
                let mut output = io::stdout().lock();
                output.write_all(bytes)?;
                output.flush().map(|()| false)
            }
        }
    }

    /// Prints what is left, and gives the terminal back.
    fn close(&mut self) {
        if let Self::Screen(printer, escaped) = self {
            // There is nobody to tell if it cannot be printed.
            let _ = printer.print_piece(&escaped.finish());
            let _ = printer.close();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;
    use crate::cli::process::failure::REFUSED;

    /// A listener that took a free port, and an address at which nobody listens.
    fn listener_and_nobody() -> (TcpListener, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback exists");
        let nobody = ([127, 0, 3, 7], listener.local_addr().expect("a socket").port()).into();
        (listener, nobody)
    }

    #[test]
    fn every_address_is_tried_in_turn() {
        let (listener, nobody) = listener_and_nobody();
        let address = listener.local_addr().expect("a socket");
        let (_stream, server) =
            connect(&[nobody, address], Some(Duration::from_secs(60))).expect("the second answers");
        assert_eq!(server, address);
    }

    #[test]
    fn what_is_told_is_the_failure_that_says_something_of_the_server() {
        let (_listener, nobody) = listener_and_nobody();
        // For documentation (RFC 3849): nobody has it, and there is no way there.
        let unreachable = "[2001:db8::1]:1".parse().expect("an address");
        let failure = connect(&[nobody, unreachable], Some(Duration::from_millis(10))).expect_err("nobody answers");
        // Where packets to it vanish, silence is the last answer.
        if failure.code == REFUSED {
            assert_eq!(failure.message, format!("cannot connect to {nobody}: connection refused"));
        }
    }
}
