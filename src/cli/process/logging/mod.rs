//! Logging and panic set-up of the program: everything goes to standard error through `env_logger`.
//!
//! Lines are written together: a session has at least two, and a system call for each is a good part of the cost of a
//! short one. On a terminal each line is written by itself.

mod format;
mod pending;

use std::io::{self, IsTerminal, Write};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::{env, panic};

use anstream::{AutoStream, ColorChoice};
use env_logger::{Builder, Env, Logger, Target, WriteStyle};
use log::{LevelFilter, Log, Metadata, Record};

pub(crate) use self::format::LogFormat;
use self::pending::Pending;
use crate::cli::stdio;

/// The target of the server's events. Their thread flushes when no more of them wait.
const EVENTS: &str = "hebra";

/// The target of a report that was asked for. It is shown even where events are not.
pub(super) const REPORTS: &str = "hebra::status";

/// The target of the admin server's events. It keeps its clients apart from those of the service.
pub(crate) const ADMIN: &str = "hebra::admin";

/// Bytes of lines that wait to be written at most, give or take a line.
const BATCH: usize = 64 * 1024;

/// The form of the log, once it is set up.
static FORMAT: OnceLock<LogFormat> = OnceLock::new();

/// Returns the line that reports why the program fails, in the form of the log.
pub(super) fn failure(message: &str) -> String {
    FORMAT.get().unwrap_or(&LogFormat::Text).failure(message)
}

/// Sets both up, once. Without `RUST_LOG`, events below `level` are not logged. Without a `format`, it is the one for where
/// standard error goes.
pub(crate) fn init(level: LevelFilter, format: Option<LogFormat>) {
    let format = *FORMAT.get_or_init(|| format.unwrap_or_else(LogFormat::of_stderr));
    let filter = format!("{level},{REPORTS}=info");
    let mut builder = Builder::new();
    builder.parse_env(Env::default().default_filter_or(filter.as_str()));
    // Treats an empty `RUST_LOG` as unset, because container settings pass empty ones.
    if env::var_os("RUST_LOG").is_some_and(|filter| filter.is_empty()) {
        builder.parse_filters(&filter);
    }
    // Otherwise env_logger looks for colours in each line that has none, to remove them.
    builder.write_style(WriteStyle::Always);
    // The program logs nothing before, so no other logger is set.
    let _ = Lines::init(builder, format);
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
            Some(location) => log::error!(event = "panic"; "panic at {location}: {}", message.escape_debug()),
            None => log::error!(event = "panic"; "panic: {}", message.escape_debug()),
        }
    }));
}

/// Returns whether lines have colours. They pass through a buffer, so env_logger does not know where they go.
fn is_coloured() -> bool {
    match env::var("RUST_LOG_STYLE").as_deref() {
        Ok("always") => true,
        Ok("never") => false,
        _ => AutoStream::choice(&io::stderr()) != ColorChoice::Never,
    }
}

/// The logger: `env_logger` makes the lines, and this writes them.
struct Lines {
    logger: Logger,
    pending: Shared,
    format: LogFormat,
    is_terminal: bool,
}

impl Lines {
    fn init(mut builder: Builder, format: LogFormat) -> Result<(), log::SetLoggerError> {
        let pending = Shared::default();
        let is_coloured = is_coloured();
        builder.format(move |buffer, record| format.write(buffer, record, is_coloured));
        let logger = builder.target(Target::Pipe(Box::new(pending.clone()))).build();
        let (level, is_terminal) = (logger.filter(), io::stderr().is_terminal());
        log::set_boxed_logger(Box::new(Self { logger, pending, format, is_terminal }))?;
        log::set_max_level(level);
        Ok(())
    }
}

impl Log for Lines {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        self.logger.enabled(metadata)
    }

    fn log(&self, record: &Record<'_>) {
        self.logger.log(record);
        // The threads of the events and of a report flush when they have logged all there is.
        let is_flushed = [EVENTS, REPORTS, ADMIN].contains(&record.target());
        if self.is_terminal || !is_flushed || self.pending.lock().len() >= BATCH {
            self.flush();
        }
    }

    /// Writes the lines. It keeps them locked meanwhile, so that they keep their order.
    fn flush(&self) {
        self.pending.lock().write_to(&mut stdio::error(), |lines| self.format.lost_lines(lines));
    }
}

/// The lines that wait, as `env_logger` writes to them.
#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Pending>>);

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Pending> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.lock().push(bytes);
        Ok(bytes.len())
    }

    /// Called after each line, which need not be written yet.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
