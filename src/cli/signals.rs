//! Signals: the first SIGINT or SIGTERM asks for a drain, the second ends the process if there is something to cut off.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use hebra::Error;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;
use signal_hook::iterator::{Handle, Signals as Iterator};

use super::CUT_OFF;

const STOP_SIGNALS: [i32; 2] = [SIGINT, SIGTERM];

/// Asks for a stop as a signal does.
pub(crate) struct Stop(Handle);

impl Stop {
    /// Ends [`Signals::wait`].
    pub(crate) fn ask(&self) {
        self.0.close();
    }
}

/// The signals that stop the server.
pub(crate) struct Signals {
    iterator: Iterator,
    /// Whether one more ends the process.
    cuts: Arc<AtomicBool>,
}

impl Signals {
    /// Takes the signals over.
    ///
    /// # Errors
    ///
    /// If the system refuses a handler.
    pub(crate) fn install() -> Result<Self, Error> {
        Self::take_over().map_err(|cause| Error::Thread { name: "signals".to_owned(), cause })
    }

    fn take_over() -> io::Result<Self> {
        let cuts = Arc::new(AtomicBool::new(false));
        for signal in STOP_SIGNALS {
            // From within its handler, whatever the threads are stuck in.
            flag::register_conditional_shutdown(signal, CUT_OFF.into(), Arc::clone(&cuts))?;
        }
        Ok(Self { iterator: Iterator::new(STOP_SIGNALS)?, cuts })
    }

    /// Another way to ask for a stop.
    pub(crate) fn stop(&self) -> Stop {
        Stop(self.iterator.handle())
    }

    /// Sleeps until the first signal, or until a stop is asked for.
    pub(crate) fn wait(&mut self) {
        let _signal = self.iterator.forever().next();
    }

    /// From now on a signal ends the process at once with exit code [`CUT_OFF`].
    ///
    /// Not before the first one was seen: some programs, `timeout` of GNU for one, send it twice in a row.
    pub(crate) fn cut(&self) {
        self.cuts.store(true, Relaxed);
    }
}
