//! The program's own threads. They may wait for something that nothing can interrupt, so each ends with the process at
//! the latest, and a wait for one has a time limit.

use std::thread::Builder;

use crossbeam_channel::{Receiver, bounded};
use hebra::Error;

/// Starts a thread. The channel is disconnected when it ends; nothing is ever sent.
///
/// # Errors
///
/// If the system refuses to start one.
pub(crate) fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> Result<Receiver<()>, Error> {
    let (alive, ended) = bounded(0);
    let started = Builder::new().name(name.to_owned()).spawn(move || {
        run();
        drop(alive);
    });
    started.map(|_| ended).map_err(|cause| Error::Thread { name: name.to_owned(), cause })
}
