//! The shortest echo server with an acceptor and a pool of threads: it shows what the hand-off between threads costs,
//! without limits, counters and logs.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::TcpListener;
use std::sync::{Mutex, PoisonError};
use std::thread::{self, Builder};

use super::bare;

/// Serves as many clients at once as there are `workers`, until the process ends.
pub(crate) fn serve(listener: &TcpListener, workers: usize) -> io::Result<()> {
    let arrived = Mutex::new(VecDeque::new());
    // The pipe gets a byte for each client: the fastest way found to wake one of many threads.
    let (wait, wake) = io::pipe()?;
    thread::scope(|scope| {
        // Dropped before the scope joins its threads, whose reads then end.
        let mut wake = wake;
        for _ in 0..workers {
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
