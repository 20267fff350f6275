//! Busy-polling: a session whose client answers within microseconds polls for the next message instead of sleeping,
//! because a sleep and a wake-up take longer than that.
//!
//! It is for few clients: each session that polls keeps a core busy, so at least one core is left to the others, and a
//! session polls only while that pays. All other sessions pay one look at the clock for each message.

use std::io::{self, ErrorKind, Read, Write};
use std::thread;
use std::time::{Duration, Instant};

use super::slots::{Slot, Slots};
use super::transport::SocketStream;

/// A wait is short if it is at most so many windows long. A wait that is slept through is longer than one that is
/// polled through, by the wake-ups of both sides.
const SHORT: u32 = 4;

/// Short waits in a row before a session polls. The number doubles each time that the window was too short for the
/// next message, up to the maximum: then polling in vain takes less than a thousandth of the time.
const LEAST_SHORT_WAITS: u32 = 16;
const MOST_SHORT_WAITS: u32 = 4096;

/// What the sessions of a server share: how long a session polls for a message, and how many may poll at once.
#[derive(Debug)]
pub(crate) struct BusyPoll {
    window: Duration,
    cores: Slots,
}

impl BusyPoll {
    /// Polling for up to `window`, on all cores but one.
    pub(crate) fn new(window: Duration) -> Self {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        Self { window, cores: Slots::new(cores as u64 - 1) }
    }
}

/// A session's socket, which is polled while that pays. Nothing else may write to it meanwhile.
pub(crate) struct PolledStream<'a> {
    socket: SocketStream<'a>,
    shared: &'a BusyPoll,
    /// Held while the session polls. Its socket does not block then.
    core: Option<Slot<'a>>,
    short_waits: u32,
    /// Short waits that make it poll.
    enough: u32,
}

impl<'a> PolledStream<'a> {
    pub(crate) fn new(socket: SocketStream<'a>, shared: &'a BusyPoll) -> Self {
        Self { socket, shared, core: None, short_waits: 0, enough: LEAST_SHORT_WAITS }
    }

    /// Polls for the window; `WouldBlock` if nothing came.
    fn poll(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let until = Instant::now() + self.shared.window;
        loop {
            match self.socket.read(buffer) {
                Err(error) if error.kind() == ErrorKind::WouldBlock && Instant::now() < until => {
                    // Other threads that have something to do on this core come first.
                    thread::yield_now();
                }
                read => return read,
            }
        }
    }

    /// Sleeps until the client sends, and begins to poll if it has answered quickly for a while.
    fn sleep(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.socket.read(buffer)?;
        if self.waited_long() {
            self.short_waits = 0;
            return Ok(count);
        }
        self.short_waits += 1;
        if self.short_waits >= self.enough {
            self.core = self.shared.cores.take();
            if self.polls() {
                self.short_waits = 0;
                self.socket.set_nonblocking(true);
            }
        }
        Ok(count)
    }

    /// Returns whether the wait that ends now was no short one. A yield may come back long after the message: then another
    /// program has had the core, which polling had kept from it, and a sleep would have been as good.
    fn waited_long(&self) -> bool {
        self.socket.session().state.waited() > self.shared.window * SHORT
    }

    fn polls(&self) -> bool {
        self.core.is_some()
    }

    fn stop_polling(&mut self) {
        if self.core.take().is_some() {
            self.socket.set_nonblocking(false);
        }
    }
}

impl Read for PolledStream<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.polls() {
            let read = self.poll(buffer);
            let came = !matches!(&read, Err(error) if error.kind() == ErrorKind::WouldBlock);
            if came && !self.waited_long() {
                self.enough = LEAST_SHORT_WAITS;
                return read;
            }
            self.stop_polling();
            self.enough = (self.enough * 2).min(MOST_SHORT_WAITS);
            if came {
                return read;
            }
        }
        self.sleep(buffer)
    }
}

impl Write for PolledStream<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.socket.write(bytes) {
            Err(error) if self.polls() && error.kind() == ErrorKind::WouldBlock => {
                // The client does not read, so the worker sleeps until it does.
                self.stop_polling();
                self.socket.write(bytes)
            }
            written => written,
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for PolledStream<'_> {
    fn drop(&mut self) {
        // The socket may linger after this, and must block then.
        self.stop_polling();
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Shutdown, TcpListener, TcpStream};
    use std::sync::Arc;

    use super::*;
    use crate::client::Client;
    use crate::session::Session;

    /// Longer than any test, so that what was sent counts as sent at once.
    const EVER: Duration = Duration::from_secs(60);

    /// A client, and its session in a server with one core to poll on.
    fn connected(window: Duration) -> (TcpStream, Arc<Session>, BusyPoll) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback exists");
        let client = TcpStream::connect(listener.local_addr().expect("it is bound")).expect("it listens");
        let (stream, peer) = listener.accept().expect("a client came");
        let session = Session::new(
            Client::new(1, peer),
            Arc::new(crate::client::ListenAddress::Tcp(peer)),
            stream,
            Instant::now(),
            0,
        );
        (client, session, BusyPoll { window, cores: Slots::new(1) })
    }

    fn polled<'a>(session: &'a Session, shared: &'a BusyPoll) -> PolledStream<'a> {
        PolledStream::new(SocketStream::new(session).expect("it has a socket"), shared)
    }

    /// Reads `count` messages, each of which is there when it is waited for.
    fn read(stream: &mut PolledStream<'_>, mut client: &TcpStream, count: u32) {
        for _ in 0..count {
            client.write_all(b"x").expect("it is sent");
            let since = stream.socket.session().state.begin_wait().expect("no reason was given");
            assert_eq!(stream.read(&mut [0; 8]).expect("it arrived"), 1);
            assert_eq!(stream.socket.session().state.end_wait(since), Ok(()));
        }
    }

    #[test]
    fn a_quick_client_is_polled_for_and_the_core_comes_back() {
        let (client, session, shared) = connected(EVER);
        let mut stream = polled(&session, &shared);
        read(&mut stream, &client, LEAST_SHORT_WAITS - 1);
        assert!(!stream.polls());
        read(&mut stream, &client, 2);
        assert!(stream.polls());
        client.shutdown(Shutdown::Write).expect("it is open");
        assert_eq!(stream.read(&mut [0; 8]).expect("the end is polled for too"), 0);
        drop(stream);
        assert_eq!(shared.cores.free(), 1);
    }

    #[test]
    fn a_slow_client_is_not_polled_for() {
        let (client, session, shared) = connected(Duration::ZERO);
        let mut stream = polled(&session, &shared);
        read(&mut stream, &client, 2 * LEAST_SHORT_WAITS);
        assert!(!stream.polls());
    }

    #[test]
    fn no_session_polls_without_a_free_core() {
        let (client, session, shared) = connected(EVER);
        let core = shared.cores.take();
        assert!(core.is_some());
        let mut stream = polled(&session, &shared);
        read(&mut stream, &client, 2 * LEAST_SHORT_WAITS);
        assert!(!stream.polls());
        drop(core);
        read(&mut stream, &client, 1);
        assert!(stream.polls());
    }

    #[test]
    fn polling_in_vain_gives_the_core_up_and_is_tried_again_later() {
        let (client, session, shared) = connected(Duration::from_millis(1));
        let mut stream = polled(&session, &shared);
        stream.core = shared.cores.take();
        stream.socket.set_nonblocking(true);
        thread::scope(|scope| {
            scope.spawn(|| {
                // The core comes back while the session still waits, which now sleeps.
                while shared.cores.free() == 0 {
                    thread::yield_now();
                }
                (&client).write_all(b"x").expect("it is sent");
            });
            assert_eq!(stream.read(&mut [0; 8]).expect("it arrived"), 1);
        });
        assert_eq!((stream.polls(), stream.enough), (false, 2 * LEAST_SHORT_WAITS));
    }

    #[test]
    fn a_message_that_is_noticed_late_was_polled_for_in_vain() {
        // With no window at all any wait is a long one.
        let (client, session, shared) = connected(Duration::ZERO);
        let mut stream = polled(&session, &shared);
        stream.core = shared.cores.take();
        stream.socket.set_nonblocking(true);
        read(&mut stream, &client, 1);
        assert_eq!((stream.polls(), stream.enough, shared.cores.free()), (false, 2 * LEAST_SHORT_WAITS, 1));
    }

    #[test]
    fn the_worker_sleeps_for_a_client_that_does_not_read() {
        let (client, session, shared) = connected(EVER);
        let mut stream = polled(&session, &shared);
        read(&mut stream, &client, LEAST_SHORT_WAITS);
        assert!(stream.polls());
        session
            .socket()
            .expect("it has a socket")
            .set_write_timeout(Some(Duration::from_millis(1)))
            .expect("a valid timeout");
        let error = loop {
            if let Err(error) = stream.write(&[b'x'; 64 * 1024]) {
                break error;
            }
        };
        assert_eq!((error.kind(), stream.polls()), (ErrorKind::WouldBlock, false));
    }
}
