//! Logging and panic set-up of the program: everything goes to standard error through `env_logger`.

use std::io::{self, IsTerminal, Write};
use std::panic;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use env_logger::{Builder, Env, Logger, Target};
use log::{LevelFilter, Log, Metadata, Record};

/// The target of the server's events. Their thread flushes when no more of them wait.
const EVENTS: &str = "hebra";

/// Bytes of lines that wait to be written at most, give or take a line.
const BATCH: usize = 64 * 1024;

/// Sets both up, once. Without `RUST_LOG`, what is below `level` is not logged.
pub(crate) fn init(level: LevelFilter) {
    let mut builder = Builder::from_env(Env::default().default_filter_or(level.as_str()));
    if io::stderr().is_terminal() {
        builder.init();
    } else {
        // The builder was not built before, and nobody else sets a logger.
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

/// A logger that writes the lines of many events at once: one system call for each would be a third of what a short
/// session costs.
struct Batches {
    logger: Logger,
    lines: Lines,
}

impl Batches {
    fn init(mut builder: Builder) -> Result<(), log::SetLoggerError> {
        let lines = Lines::default();
        let logger = builder.target(Target::Pipe(Box::new(lines.clone()))).build();
        let level = logger.filter();
        log::set_boxed_logger(Box::new(Self { logger, lines }))?;
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
        // Nobody flushes for whoever else logs.
        if record.target() != EVENTS || self.lines.lock().len() >= BATCH {
            self.flush();
        }
    }

    fn flush(&self) {
        // Locked until they are written, so that lines keep their order.
        let mut lines = self.lines.lock();
        // Who does not read its log does not miss it.
        let _: io::Result<()> = io::stderr().write_all(&lines);
        lines.clear();
    }
}

/// Lines that were logged and not written yet.
#[derive(Clone, Debug, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Lines {
    fn lock(&self) -> MutexGuard<'_, Vec<u8>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.lock().write(bytes)
    }

    /// After each line, which is not to be written yet.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
