//! The sending direction: what is typed or piped in goes to the server.

use std::borrow::Cow;
use std::fs;
use std::io::{self, ErrorKind, Read, Write};
use std::mem;
use std::net::{Shutdown, TcpStream};
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{self as channel, RecvTimeoutError};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::{BUFFER, Broken};
use crate::cli::stdio;
use crate::cli::terminal::{LineReader, NOT_TEXT, Printer};

/// How long a pipe may have nothing to send after the server closed its sending side. The server may still read; only a
/// write can tell.
pub(super) const IDLE_TIMEOUT: Duration = Duration::from_millis(500);

/// The same at a terminal: how long the next one of many pasted lines may take.
pub(super) const TYPED_IDLE_TIMEOUT: Duration = Duration::from_millis(20);

/// How long a server that has closed its sending side may take nothing of what it is sent.
pub(super) const STUCK_TIMEOUT: Duration = Duration::from_secs(5);

/// Sends on a thread of its own.
pub(super) struct Sender {
    stream: Arc<TcpStream>,
    /// Whether lines end in CR LF on the wire.
    crlf: bool,
    /// Why it ended early. Locked during each write, so that a thread which sees the connection's end and then looks here
    /// misses nothing.
    failed: Mutex<Option<Broken>>,
}

impl Sender {
    pub(super) fn new(stream: Arc<TcpStream>, crlf: bool) -> Self {
        Self { stream, crlf, failed: Mutex::new(None) }
    }

    /// Sends the lines that are typed, up to `bye`, or else all of standard input. Then it closes the sending side. A
    /// message on `sent` follows each write.
    pub(super) fn send(&self, lines: Option<(LineReader, Printer)>, sent: &channel::Sender<()>) {
        let result = match lines {
            Some((lines, printer)) => self.send_lines(lines, &printer, sent),
            None => self.send_bytes(stdio::input(), sent),
        };
        if let Err(cause) = result {
            *self.failed.lock().unwrap_or_else(PoisonError::into_inner) = Some(Broken::Read(cause));
        }
        // It fails if the connection is gone, which the other direction reports.
        let _ = self.stream.shutdown(Shutdown::Write);
    }

    fn send_lines(&self, mut lines: LineReader, printer: &Printer, sent: &channel::Sender<()>) -> io::Result<()> {
        let end = if self.crlf { "\r\n" } else { "\n" };
        loop {
            match lines.read() {
                // What is said last, also to a server to which it means nothing.
                Ok(Some(line)) if self.write(format!("{line}{end}").as_bytes(), sent) && line.trim() != "bye" => {}
                Ok(_) => return Ok(()),
                // Ends the program as Ctrl-C ends any other, unless the signal is ignored. Then there is another prompt.
                Err(error) if error.kind() == ErrorKind::Interrupted => {
                    kill(Pid::this(), Signal::SIGINT)?;
                    thread::sleep(IDLE_TIMEOUT);
                }
                Err(error) if error.kind() == ErrorKind::InvalidData => {
                    printer.print(&format!("hebra: {NOT_TEXT}\n"))?;
                }
                Err(error) => return Err(error),
            }
        }
    }

    fn send_bytes(&self, mut input: impl Read, sent: &channel::Sender<()>) -> io::Result<()> {
        let mut buffer = vec![0; BUFFER];
        let mut is_after_cr = false;
        loop {
            let count = input.read(&mut buffer)?;
            let bytes = &buffer[..count];
            let bytes = if self.crlf { end_in_crlf(bytes, &mut is_after_cr) } else { Cow::Borrowed(bytes) };
            if count == 0 || !self.write(&bytes, sent) {
                return Ok(());
            }
        }
    }

    /// Sends `bytes`. Returns `false` if the server takes no more.
    fn write(&self, bytes: &[u8], sent: &channel::Sender<()>) -> bool {
        let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        *failed = (&*self.stream).write_all(bytes).map_err(Broken::Write).err();
        // If one waits to be received, that says as much.
        let _ = sent.try_send(());
        failed.is_none()
    }

    /// Returns why the input was not sent whole, if that is known. Waits for a write under way.
    pub(super) fn failure(&self) -> Option<Broken> {
        let failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner).take();
        // The server may refuse what was written before, and then no further write fails.
        failed.or_else(|| self.stream.take_error().ok()?.map(Broken::Write))
    }

    /// Waits, after the server has closed its sending side, until its system has all input, or until no input has come for
    /// `idle`. Returns `false` if the server took nothing of the input for [`STUCK_TIMEOUT`].
    pub(super) fn wait(&self, progress: &channel::Receiver<()>, idle: Duration) -> bool {
        let (mut moved, mut unsent) = (Instant::now(), self.unsent());
        let mut pause = Duration::from_millis(1);
        loop {
            let is_ended = match progress.recv_timeout(idle) {
                Ok(()) => {
                    moved = Instant::now();
                    continue;
                }
                Err(cause) => cause == RecvTimeoutError::Disconnected,
            };
            // The kernel lets a write go on only when a good part of its buffer is free. With a slow server that can take
            // minutes, in which only this number changes.
            let left = self.unsent();
            if left != unsent {
                (unsent, moved) = (left, Instant::now());
            }
            let is_writing = self.failed.try_lock().is_err();
            // The end of the stream counts as a byte.
            if !is_writing && left.unwrap_or(0) <= u64::from(is_ended) {
                return true;
            }
            if moved.elapsed() >= STUCK_TIMEOUT {
                return false;
            }
            thread::sleep(pause);
            pause = (2 * pause).min(IDLE_TIMEOUT);
        }
    }

    /// Returns how many bytes the server's system has not acknowledged, where the system says so: Linux does, in
    /// `/proc/net/tcp`. The other ways to ask need unsafe code.
    fn unsent(&self) -> Option<u64> {
        let inode = fs::metadata(format!("/proc/self/fd/{}", self.stream.as_raw_fd())).ok()?.ino().to_string();
        let tables =
            ["/proc/self/net/tcp", "/proc/self/net/tcp6"].map(|path| fs::read_to_string(path).unwrap_or_default());
        let queues = tables.iter().flat_map(|table| table.lines()).find_map(|line| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            (fields.get(9) == Some(&inode.as_str())).then(|| fields[4])
        })?;
        u64::from_str_radix(queues.split_once(':')?.0, 16).ok()
    }
}

/// Makes lines that end in LF end in CR LF, however they are cut into pieces. `is_after_cr` is whether the piece before
/// ended in CR.
fn end_in_crlf<'a>(bytes: &'a [u8], is_after_cr: &mut bool) -> Cow<'a, [u8]> {
    let Some(last) = bytes.last() else { return Cow::Borrowed(bytes) };
    let was_after_cr = mem::replace(is_after_cr, *last == b'\r');
    if !bytes.contains(&b'\n') {
        return Cow::Borrowed(bytes);
    }
    let mut converted = Vec::with_capacity(bytes.len() + bytes.len() / 8);
    for byte in bytes {
        let is_after_cr = converted.last().map_or(was_after_cr, |last| *last == b'\r');
        if *byte == b'\n' && !is_after_cr {
            converted.push(b'\r');
        }
        converted.push(*byte);
    }
    Cow::Owned(converted)
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn line_ends_are_the_same_however_the_input_is_cut() {
        let input = b"one\ntwo\r\n\n\rthree\r\r\nfour";
        for cut in 0..=input.len() {
            let mut is_after_cr = false;
            let (left, right) = input.split_at(cut);
            let converted = [left, b"", right].map(|piece| end_in_crlf(piece, &mut is_after_cr)).concat();
            assert_eq!(converted, b"one\r\ntwo\r\n\r\n\rthree\r\r\nfour", "{cut}");
        }
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn what_the_server_has_not_taken_is_known() {
        for host in ["127.0.0.1:0", "[::1]:0"] {
            let listener = TcpListener::bind(host).expect("loopback exists");
            let stream = TcpStream::connect(listener.local_addr().expect("a socket")).expect("it listens");
            let sender = Sender::new(Arc::new(stream), false);
            assert_eq!(sender.unsent(), Some(0));
            let (server, _) = listener.accept().expect("it is connected");
            sender.stream.set_nonblocking(true).expect("a socket");
            // As much as the kernel takes, of which the server reads nothing.
            while (&*sender.stream).write(&[0; 64 * 1024]).is_ok() {}
            assert!(sender.unsent() > Some(0), "{:?}", sender.unsent());
            drop(server);
        }
    }
}
