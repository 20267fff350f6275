//! Signals: the first SIGINT or SIGTERM asks for a drain, the second ends the process.

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

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
pub(crate) struct Signals(Iterator);

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
        let asked = Arc::new(AtomicBool::new(false));
        for signal in STOP_SIGNALS {
            // In this order: the first signal finds the flag down and puts it up. A second one ends the
            // process from within its handler, whatever the threads are stuck in.
            flag::register_conditional_shutdown(signal, CUT_OFF.into(), Arc::clone(&asked))?;
            flag::register(signal, Arc::clone(&asked))?;
        }
        Iterator::new(STOP_SIGNALS).map(Self)
    }

    /// Another way to ask for a stop.
    pub(crate) fn stop(&self) -> Stop {
        Stop(self.0.handle())
    }

    /// Sleeps until the first signal, or until a stop is asked for.
    pub(crate) fn wait(&mut self) {
        let _signal = self.0.forever().next();
    }
}
