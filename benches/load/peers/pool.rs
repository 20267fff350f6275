//! The shortest echo with an acceptor and a pool of threads: what the hand-off from thread to thread costs, without
//! limits, counters and logs.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::TcpListener;
use std::sync::{Mutex, PoisonError};
use std::thread::{self, Builder};

use super::{MOST, bare};

/// Serves [`MOST`] clients at once until the process ends.
pub(crate) fn serve(listener: &TcpListener) -> io::Result<()> {
    let arrived = Mutex::new(VecDeque::new());
    // A byte for each client: the quickest way to wake one of many threads that we know of.
    let (wait, wake) = io::pipe()?;
    thread::scope(|scope| {
        // Closed on the way out, on which the threads are waited for.
        let mut wake = wake;
        for _ in 0..MOST {
            Builder::new().stack_size(64 * 1024).spawn_scoped(scope, || {
                while (&wait).read_exact(&mut [0]).is_ok() {
                    let next = arrived.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
                    next.iter().for_each(bare::echo);
                }
            })?;
        }
        for stream in listener.incoming().flatten() {
            arrived.lock().unwrap_or_else(PoisonError::into_inner).push_back(stream);
            wake.write_all(&[0])?;
        }
        Ok(())
    })
}
