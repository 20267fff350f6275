//! Busy-polling: a session whose client answers within microseconds looks for the next message again and again
//! instead of sleeping, because to be put to sleep and woken takes longer than that.
//!
//! It is for few clients: each that polls keeps a core busy, so one core at least is left to everybody else, and
//! a session polls only while that pays. All others pay one look at the clock for each message.

use std::io::{self, ErrorKind, Read, Write};
use std::thread;
use std::time::{Duration, Instant};

use super::slots::{Place, Places};
use super::{Counted, Session};

/// A wait is short if it is at most so many windows long. One that is slept through is longer than one that is
/// polled through, by the wake-ups of both sides.
const SHORT: u32 = 4;

/// Short waits in a row before a session polls. Doubled each time that the window was too short for the next
/// message, up to the most: then polling in vain is less than a thousandth of the time.
const LEAST_SHORT_WAITS: u32 = 16;
const MOST_SHORT_WAITS: u32 = 4096;

/// What the sessions of a server share: how long one polls for a message, and how many may at once.
#[derive(Debug)]
pub(crate) struct BusyPoll {
    window: Duration,
    cores: Places,
}

impl BusyPoll {
    /// Polling for up to `window`, on all cores but one.
    pub(crate) fn new(window: Duration) -> Self {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        Self { window, cores: Places::new(cores as u64 - 1) }
    }
}

/// A session's socket, which is polled while that pays. Nobody else may write to it meanwhile.
pub(crate) struct Polled<'a> {
    session: &'a Session,
    shared: &'a BusyPoll,
    /// While it polls, and its socket does not block.
    core: Option<Place<'a>>,
    short_waits: u32,
    /// Short waits that make it poll.
    enough: u32,
}

impl<'a> Polled<'a> {
    pub(crate) fn new(session: &'a Session, shared: &'a BusyPoll) -> Self {
        Self { session, shared, core: None, short_waits: 0, enough: LEAST_SHORT_WAITS }
    }

    /// Polls for the window; `WouldBlock` if nothing came.
    fn poll(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let until = Instant::now() + self.shared.window;
        loop {
            match Counted(self.session).read(buffer) {
                Err(error) if error.kind() == ErrorKind::WouldBlock && Instant::now() < until => {
                    // Whoever else has something to do on this core comes first.
                    thread::yield_now();
                }
                read => return read,
            }
        }
    }

    /// Waits for the client asleep, and begins to poll if it has answered quickly for a while.
    fn sleep(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = Counted(self.session).read(buffer)?;
        if self.session.pulse.waited() > self.shared.window * SHORT {
            self.short_waits = 0;
            return Ok(count);
        }
        self.short_waits += 1;
        if self.short_waits >= self.enough {
            self.core = self.shared.cores.take();
            if self.polls() {
                self.short_waits = 0;
                self.set_nonblocking(true);
            }
        }
        Ok(count)
    }

    fn polls(&self) -> bool {
        self.core.is_some()
    }

    fn stop_polling(&mut self) {
        if self.core.take().is_some() {
            self.set_nonblocking(false);
        }
    }

    fn set_nonblocking(&self, nonblocking: bool) {
        // It cannot fail on an open socket.
        let _: io::Result<()> = self.session.stream.set_nonblocking(nonblocking);
    }
}

impl Read for Polled<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.polls() {
            match self.poll(buffer) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.stop_polling();
                    self.enough = (self.enough * 2).min(MOST_SHORT_WAITS);
                }
                read => {
                    self.enough = LEAST_SHORT_WAITS;
                    return read;
                }
            }
        }
        self.sleep(buffer)
    }
}

impl Write for Polled<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match Counted(self.session).write(bytes) {
            Err(error) if self.polls() && error.kind() == ErrorKind::WouldBlock => {
                // A client that does not read is waited for asleep.
                self.stop_polling();
                Counted(self.session).write(bytes)
            }
            written => written,
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Polled<'_> {
    fn drop(&mut self) {
        // The socket may linger after this, and is to block then.
        self.stop_polling();
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Shutdown, TcpListener, TcpStream};

    use super::*;
    use crate::Client;

    /// Longer than any test, so that what was sent counts as sent at once.
    const EVER: Duration = Duration::from_secs(60);

    /// A client, and its session in a server with one core to poll on.
    fn connected(window: Duration) -> (TcpStream, Session, BusyPoll) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback exists");
        let client = TcpStream::connect(listener.local_addr().expect("it is bound")).expect("it listens");
        let (stream, peer) = listener.accept().expect("a client came");
        let session = Session::new(Client { id: 1, peer }, stream, Instant::now());
        (client, session, BusyPoll { window, cores: Places::new(1) })
    }

    /// Reads `count` messages, each of which is there when it is waited for.
    fn read(stream: &mut Polled<'_>, mut client: &TcpStream, count: u32) {
        for _ in 0..count {
            client.write_all(b"x").expect("it is sent");
            let since = stream.session.pulse.wait();
            assert_eq!(stream.read(&mut [0; 8]).expect("it arrived"), 1);
            stream.session.pulse.wake(since);
        }
    }

    #[test]
    fn a_quick_client_is_polled_for_and_the_core_comes_back() {
        let (client, session, shared) = connected(EVER);
        let mut stream = Polled::new(&session, &shared);
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
        let mut stream = Polled::new(&session, &shared);
        read(&mut stream, &client, 2 * LEAST_SHORT_WAITS);
        assert!(!stream.polls());
    }

    #[test]
    fn nobody_polls_without_a_free_core() {
        let (client, session, shared) = connected(EVER);
        let core = shared.cores.take();
        assert!(core.is_some());
        let mut stream = Polled::new(&session, &shared);
        read(&mut stream, &client, 2 * LEAST_SHORT_WAITS);
        assert!(!stream.polls());
        drop(core);
        read(&mut stream, &client, 1);
        assert!(stream.polls());
    }

    #[test]
    fn polling_in_vain_gives_the_core_up_and_is_tried_again_later() {
        let (client, session, shared) = connected(Duration::from_millis(1));
        let mut stream = Polled { core: shared.cores.take(), ..Polled::new(&session, &shared) };
        stream.set_nonblocking(true);
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
    fn a_client_that_does_not_read_is_waited_for_asleep() {
        let (client, session, shared) = connected(EVER);
        let mut stream = Polled::new(&session, &shared);
        read(&mut stream, &client, LEAST_SHORT_WAITS);
        assert!(stream.polls());
        session.stream.set_write_timeout(Some(Duration::from_millis(1))).expect("a valid timeout");
        let error = loop {
            if let Err(error) = stream.write(&[b'x'; 64 * 1024]) {
                break error;
            }
        };
        assert_eq!((error.kind(), stream.polls()), (ErrorKind::WouldBlock, false));
    }
}
