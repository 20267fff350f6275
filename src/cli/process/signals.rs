//! Signals: the first SIGINT or SIGTERM asks for a drain, the second ends the process.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::sleep;
use std::time::Duration;

use crossbeam_channel::{Receiver, bounded};
use hebra::Error;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;
use signal_hook::iterator::{Handle, Signals as Iterator};

use super::{CUT_OFF, threads};

const STOP_SIGNALS: [i32; 2] = [SIGINT, SIGTERM];

/// Asks for a stop as a signal does.
pub(crate) struct Stop(Handle);

impl Stop {
    /// Ends [`Signals::wait`].
    pub(crate) fn ask(&self) {
        self.0.close();
    }
}

/// How long a signal that comes again is the same request: some programs, such as GNU `timeout`, send it twice in a
/// row.
const AGAIN: Duration = Duration::from_millis(250);

/// The signals that stop the server.
pub(crate) struct Signals {
    handle: Handle,
    /// Disconnected when a stop is asked for.
    waiting: Receiver<()>,
    /// Whether one more signal ends the process.
    cuts: Arc<AtomicBool>,
}

impl Signals {
    /// Takes the signals over.
    ///
    /// # Errors
    ///
    /// If the system refuses a handler, or the thread that waits for the first one.
    pub(crate) fn install() -> Result<Self, Error> {
        let cuts = Arc::new(AtomicBool::new(false));
        let mut iterator =
            take_over(&cuts).map_err(|cause| Error::Thread { name: "hebra-signals".to_owned(), cause })?;
        let handle = iterator.handle();
        let (asking, waiting) = bounded(0);
        let later = Arc::clone(&cuts);
        threads::spawn("hebra-signals", move || {
            let _signal = iterator.forever().next();
            drop(asking);
            sleep(AGAIN);
            later.store(true, Relaxed);
        })?;
        Ok(Self { handle, waiting, cuts })
    }

    /// Returns another way to ask for a stop.
    pub(crate) fn stop(&self) -> Stop {
        Stop(self.handle.clone())
    }

    /// Blocks until the first signal, or until a stop is asked for.
    pub(crate) fn wait(&self) {
        // Nothing is ever sent.
        let _ = self.waiting.recv();
    }

    /// Makes a signal from now on end the process at once with exit code [`CUT_OFF`]. Otherwise a signal does so only
    /// [`AGAIN`] after the first.
    pub(crate) fn cut(&self) {
        self.cuts.store(true, Relaxed);
    }
}

/// With `cuts` a signal ends the process from within its handler, whatever the threads are stuck in.
fn take_over(cuts: &Arc<AtomicBool>) -> io::Result<Iterator> {
    for signal in STOP_SIGNALS {
        flag::register_conditional_shutdown(signal, CUT_OFF.into(), Arc::clone(cuts))?;
    }
    Iterator::new(STOP_SIGNALS)
}
