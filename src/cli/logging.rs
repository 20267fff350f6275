//! Logging and panic set-up of the program: everything goes to standard error through `env_logger`.

use std::panic;

use env_logger::Env;
use log::LevelFilter;

/// Sets both up, once. Without `RUST_LOG`, what is below `level` is not logged.
pub(crate) fn init(level: LevelFilter) {
    env_logger::Builder::from_env(Env::default().default_filter_or(level.as_str())).init();
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
