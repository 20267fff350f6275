//! The lingering close: connections whose client was told goodbye and may still be sending.
//!
//! Closing a socket that holds unread bytes resets the connection, and a reset can destroy the last reply
//! before the client has read it. So the write side is shut first, and what the client still sends is read
//! and thrown away until it closes too. One thread does that for all, so that neither a worker nor the
//! acceptor ever waits for a client that was dismissed.

use std::io::{ErrorKind, Read};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded};

use super::Session;

/// How long a dismissed client has to close its side: a round trip across the world and then some. A stop
/// waits for it too, and is to be over in less than a second.
pub(crate) const LINGER: Duration = Duration::from_millis(500);

/// Connections that may linger at once; further ones are closed without waiting. It bounds descriptors.
pub(crate) const LINGERING: usize = 128;

/// What is read at most from a client that does not stop sending when it is due.
const LAST_READS: usize = 64;

/// What one read throws away at most. It is not on the stack: inlined into a worker's, it made each session touch
/// two more pages.
const DISCARDED: usize = 8 * 1024;

/// A session, and when it is closed at the latest.
type Leaving = (Arc<Session>, Instant);

/// Where sessions go to be closed.
#[derive(Debug)]
pub(crate) struct Linger(Sender<Leaving>);

impl Linger {
    /// The sending end, and the end for [`linger`].
    pub(crate) fn new() -> (Self, Receiver<Leaving>) {
        let (sender, receiver) = bounded(LINGERING);
        (Self(sender), receiver)
    }

    /// Shuts the write side and leaves the rest to the lingering thread. Never blocks.
    pub(crate) fn close(&self, session: Arc<Session>) {
        session.shut(Shutdown::Write);
        if let Err(refused) = self.0.try_send((session, Instant::now() + LINGER)) {
            discard_received(&refused.into_inner().0.stream);
        }
    }
}

/// The lingering thread. All connections linger equally long, so the first to come is the first to be due,
/// and while this waits for one the time of the others runs too: nobody is held for more than [`LINGER`].
pub(crate) fn linger(leaving: &Receiver<Leaving>) {
    for (session, due) in leaving {
        read_to_end(&session.stream, due);
    }
}

/// Reads and throws away until the client closes or `due`.
pub(crate) fn read_to_end(mut stream: &TcpStream, due: Instant) {
    let mut buffer = vec![0; DISCARDED];
    loop {
        let left = due.saturating_duration_since(Instant::now());
        // A timeout of zero is an error, and less than a clock tick may become zero.
        if left < Duration::from_millis(1) || stream.set_read_timeout(Some(left)).is_err() {
            return discard_received(stream);
        }
        match stream.read(&mut buffer) {
            Ok(0) => return,
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => return,
        }
    }
}

/// Throws away what has already arrived, without waiting.
pub(crate) fn discard_received(mut stream: &TcpStream) {
    let mut buffer = vec![0; DISCARDED];
    if stream.set_nonblocking(true).is_ok() {
        for _ in 0..LAST_READS {
            if !matches!(stream.read(&mut buffer), Ok(1..)) {
                return;
            }
        }
    }
}
