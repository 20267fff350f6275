//! Starting and joining the threads of a server, and the logging thread, whose join needs a time limit.

use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};

use crate::Error;
use crate::events::{EventLog, Reckoning};

/// How long a stopping server waits for sessions that were cut off, and for a log that is stalled.
pub(crate) const LAST_WAIT: Duration = Duration::from_secs(1);

/// The logging thread. It may be stuck in a log that nobody reads.
pub(crate) struct LogThread {
    thread: JoinHandle<()>,
    ended: Receiver<()>,
}

impl LogThread {
    /// Starts it. It ends when the last sink is gone, so `log` must hold none.
    pub(crate) fn start<S: Reckoning>(log: EventLog<impl Fn() -> S + Send + 'static>) -> Result<Self, Error> {
        let (alive, ended): (Sender<()>, _) = bounded(0);
        let thread = spawn("hebra-log", move || {
            log.run();
            drop(alive);
        })?;
        Ok(Self { thread, ended })
    }

    /// Waits until all is logged, or for as long as a stalled log deserves.
    pub(crate) fn end(self) {
        if self.ended.recv_timeout(LAST_WAIT) == Err(RecvTimeoutError::Disconnected) {
            join(self.thread);
        }
    }
}

/// Starts a thread of the server's own.
pub(crate) fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, Error> {
    Builder::new().name(name.to_owned()).spawn(run).map_err(|cause| Error::Thread { name: name.to_owned(), cause })
}

/// Joins a thread. If it has panicked, the panic hook has told.
pub(crate) fn join(thread: JoinHandle<()>) {
    let _ = thread.join();
}
