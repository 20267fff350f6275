//! Logging and panic set-up of the program: everything goes to standard error through `env_logger`.

use std::io::{self, IsTerminal, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::{env, panic};

use env_logger::{Builder, Env, Logger, Target};
use log::{LevelFilter, Log, Metadata, Record};

/// The target of the server's events. Their thread flushes when no more of them wait.
const EVENTS: &str = "hebra";

/// The target of a report that was asked for. It is shown even where events are not.
pub(super) const REPORTS: &str = "hebra::status";

/// Bytes of lines that wait to be written at most, give or take a line.
const BATCH: usize = 64 * 1024;

/// Sets both up, once. Without `RUST_LOG`, events below `level` are not logged.
pub(crate) fn init(level: LevelFilter) {
    let filter = format!("{level},{REPORTS}=info");
    let mut builder = Builder::from_env(Env::default().default_filter_or(filter.as_str()));
    // Treats an empty `RUST_LOG` as unset, because container settings pass empty ones.
    if env::var_os("RUST_LOG").is_some_and(|filter| filter.is_empty()) {
        builder.parse_filters(&filter);
    }
    if io::stderr().is_terminal() {
        builder.init();
    } else {
        // The builder was not built before, and no other logger is set.
        let _ = Batches::init(builder);
    }
    // The default hook prints several lines, and a backtrace if the environment asks for it, on a worker's
    // small stack. One line says what and where.
    panic::set_hook(Box::new(|info| {
        let location = info.location();
        // threadpool unwraps when the system refuses a thread; the server reports that as its error.
        if location.is_some_and(|location| location.file().contains("/threadpool-")) {
            return;
        }
        let message = info.payload_as_str().unwrap_or("not a text");
        match location {
            Some(location) => log::error!("panic at {location}: {}", message.escape_debug()),
            None => log::error!("panic: {}", message.escape_debug()),
        }
    }));
}

/// A logger that writes the lines of many events at once: a session has at least two, and a system call for each is a
/// good part of the cost of a short one.
struct Batches {
    logger: Logger,
    batch: Batch,
}

impl Batches {
    fn init(mut builder: Builder) -> Result<(), log::SetLoggerError> {
        let batch = Batch::default();
        let logger = builder.target(Target::Pipe(Box::new(batch.clone()))).build();
        let level = logger.filter();
        log::set_boxed_logger(Box::new(Self { logger, batch }))?;
        log::set_max_level(level);
        Ok(())
    }
}

impl Log for Batches {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        self.logger.enabled(metadata)
    }

    fn log(&self, record: &Record<'_>) {
        self.logger.log(record);
        // The threads of the events and of a report flush when they have logged all there is.
        if ![EVENTS, REPORTS].contains(&record.target()) || self.batch.lock().len() >= BATCH {
            self.flush();
        }
    }

    fn flush(&self) {
        // Locked until they are written, so that lines keep their order.
        let mut lines = self.batch.lock();
        let mut rest = lines.as_slice();
        while !rest.is_empty() {
            let (piece, next) = rest.split_at(whole_lines(rest));
            // A log that is not read is not missed.
            let _: io::Result<()> = io::stderr().write_all(piece);
            rest = next;
        }
        lines.clear();
    }
}

/// Returns how many bytes of `lines` are written at once: whole lines, and no more than a pipe takes in one piece, so
/// that other processes that write to it cut none; more only if one line is longer.
fn whole_lines(lines: &[u8]) -> usize {
    /// PIPE_BUF of Linux; POSIX asks for an eighth of it.
    const ATOMIC: usize = 4096;
    let is_end = |byte: &u8| *byte == b'\n';
    let fitting = &lines[..lines.len().min(ATOMIC)];
    let end = fitting.iter().rposition(is_end).or_else(|| lines.iter().position(is_end));
    end.map_or(lines.len(), |end| end + 1)
}

/// Lines that were logged and not written yet.
#[derive(Clone, Debug, Default)]
struct Batch(Arc<Mutex<Vec<u8>>>);

impl Batch {
    fn lock(&self) -> MutexGuard<'_, Vec<u8>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Write for Batch {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.lock().write(bytes)
    }

    /// After each line, which is not to be written yet.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_line_is_cut_and_a_pipe_takes_each_piece_whole() {
        let long = "x".repeat(5000);
        let text = format!("{}{long}\nlast\nno end", "a line\n".repeat(1000));
        let mut rest = text.as_bytes();
        let mut pieces = Vec::new();
        while !rest.is_empty() {
            let (piece, next) = rest.split_at(whole_lines(rest));
            pieces.push(piece);
            rest = next;
        }
        assert_eq!(pieces.concat(), text.as_bytes());
        let (whole, last) = (&pieces[..pieces.len() - 1], pieces[pieces.len() - 1]);
        assert!(whole.iter().all(|piece| piece.ends_with(b"\n") && (piece.len() <= 4096 || piece.len() == 5001)));
        assert_eq!((last, pieces.len()), (b"no end".as_slice(), 5));
    }
}
