//! The receiving direction: what comes is printed as it comes.

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use hebra::text::EscapedStream;

use super::{BUFFER, Broken};
use crate::cli::stdio;
use crate::cli::terminal::Printer;

/// How long nothing may come within a line before the beginning of the line is shown above a prompt.
const PAUSE: Duration = Duration::from_millis(100);

/// Where the output goes.
pub(super) enum Output {
    /// A terminal. What comes is escaped.
    Screen(Printer, EscapedStream),
    /// A pipe or a file. What comes is printed unchanged.
    Bytes,
}

impl Output {
    pub(super) fn screen(printer: Printer) -> Self {
        Self::Screen(printer, EscapedStream::default())
    }

    /// Prints what comes, until the server closes.
    pub(super) fn receive(&mut self, mut stream: &TcpStream) -> Result<(), Broken> {
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

    /// Prints the beginning of a line.
    fn print_begun(&mut self) -> io::Result<()> {
        if let Self::Screen(printer, _) = self { printer.print_begun() } else { Ok(()) }
    }

    /// Prints `bytes`. Returns whether a line has begun and not ended.
    fn print(&mut self, bytes: &[u8]) -> io::Result<bool> {
        match self {
            Self::Screen(printer, escaped) => printer.print_piece(&escaped.feed(bytes)),
            Self::Bytes => stdio::output().write_all(bytes).map(|()| false),
        }
    }

    /// Prints what is left, and gives the terminal back.
    pub(super) fn close(&mut self) {
        if let Self::Screen(printer, escaped) = self {
            // If it cannot be printed, nobody sees a message either.
            let _ = printer.print_piece(&escaped.finish());
            let _ = printer.close();
        }
    }
}
