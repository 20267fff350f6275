//! How the connection of an ended session is closed so that what was sent arrives.
//!
//! Closing a socket that holds unread bytes resets the connection, and a reset can destroy the last reply before the
//! client has read it. So the write side is shut first, and what the client still sends is read and discarded until
//! it closes too. One thread does that for all connections, so that neither a worker nor an acceptor ever waits for a
//! client whose session has ended.

use std::io::{self, ErrorKind, Read};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded};
use socket2::SockRef;

use super::Session;
use crate::config::LINGERING;
use crate::events::{CloseReason, Closing};

/// How long a client has to close its side: a round trip across the world and then some. A stop waits for it too, and
/// should take less than a second.
pub(crate) const LINGER: Duration = Duration::from_millis(500);

/// The last reads that discard input, if a client still sends when its connection is due to be closed.
const LAST_READS: usize = 64;

/// Bytes that one read discards at most. The buffer is on the heap, because on a worker's stack it made each session
/// touch two more pages (ARCHITECTURE.md, *The stack page*).
const DISCARDED: usize = 8 * 1024;

/// The channel to the lingering thread: sessions, and when each is closed at the latest.
#[derive(Debug)]
pub(crate) struct Linger(Sender<(Arc<Session>, Instant)>);

impl Linger {
    /// The sending end, and the end for [`linger`].
    pub(crate) fn new() -> (Self, Receiver<(Arc<Session>, Instant)>) {
        let (sender, receiver) = bounded(LINGERING);
        (Self(sender), receiver)
    }
}

/// Closes a session's connection as its reason for ending requires. Never blocks.
pub(crate) fn close(session: Arc<Session>, closing: Closing, linger: &Linger) {
    let Some(socket) = session.socket() else { return };
    match closing {
        Closing::AtOnce => {}
        Closing::Reset => {
            let _: io::Result<()> = SockRef::from(socket).set_linger(Some(Duration::ZERO));
        }
        Closing::Discarding => {
            session.shut(Shutdown::Write);
            discard_received(socket);
        }
        Closing::Lingering => {
            session.shut(Shutdown::Write);
            if let Err(refused) = linger.0.try_send((session, Instant::now() + LINGER))
                && let Some(socket) = refused.into_inner().0.socket()
            {
                discard_received(socket);
            }
        }
    }
}

/// Lingers on the calling worker after a session that the stop has ended: all sessions may end at once, more than the
/// lingering thread takes, and no client waits for this worker.
pub(crate) fn linger_here(session: &Session, reason: CloseReason) {
    if reason == CloseReason::Shutdown
        && let Some(socket) = session.socket()
    {
        session.shut(Shutdown::Write);
        read_to_end(socket, Instant::now() + LINGER);
    }
}

/// The lingering thread. All connections linger equally long, so the first to come is the first that is due. While the
/// thread waits for one, the time of the others runs too, so none is held for longer than [`LINGER`].
pub(crate) fn linger(leaving: &Receiver<(Arc<Session>, Instant)>) {
    for (session, due) in leaving {
        if let Some(socket) = session.socket() {
            read_to_end(socket, due);
        }
    }
}

/// Reads and discards until the client closes or `due`.
fn read_to_end(mut stream: &TcpStream, due: Instant) {
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

/// Discards what has already arrived, without waiting.
fn discard_received(mut stream: &TcpStream) {
    let mut buffer = vec![0; DISCARDED];
    if stream.set_nonblocking(true).is_ok() {
        for _ in 0..LAST_READS {
            if !matches!(stream.read(&mut buffer), Ok(1..)) {
                return;
            }
        }
    }
}
