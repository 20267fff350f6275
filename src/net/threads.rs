//! Starting and joining the threads of a server.

use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};

use crate::error::Error;

/// How long a stopping server waits for sessions that were cut off, and for a thread that may be stuck.
pub(crate) const LAST_WAIT: Duration = Duration::from_secs(1);

/// A thread whose join has a time limit, because it may be stuck when the server stops: its log is not read, or nothing
/// can wake it.
pub(crate) struct LimitedThread {
    thread: JoinHandle<()>,
    ended: Receiver<()>,
}

impl LimitedThread {
    /// Starts the thread.
    pub(crate) fn start(name: &str, run: impl FnOnce() + Send + 'static) -> Result<Self, Error> {
        let (alive, ended): (Sender<()>, _) = bounded(0);
        let thread = spawn(name, move || {
            run();
            drop(alive);
        })?;
        Ok(Self { thread, ended })
    }

    /// Ends a [`park_timeout`](std::thread::park_timeout) of the thread.
    pub(crate) fn unpark(&self) {
        self.thread.thread().unpark();
    }

    /// Joins the thread, or abandons it if that takes too long.
    pub(crate) fn end(self) {
        if self.ended.recv_timeout(LAST_WAIT) == Err(RecvTimeoutError::Disconnected) {
            join(self.thread);
        }
    }
}

/// Starts one of the server's own threads.
pub(crate) fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, Error> {
    Builder::new().name(name.to_owned()).spawn(run).map_err(|cause| Error::Thread { name: name.to_owned(), cause })
}

/// Joins a thread. If it has panicked, the panic hook has reported that.
pub(crate) fn join(thread: JoinHandle<()>) {
    let _ = thread.join();
}
