//! One connection that lingers: what is still to be sent, and when it can be closed without destroying anything.
//!
//! The reaper wakes the worker of an idle session by shutting the read side. Input that then arrives resets the
//! connection as soon as the write side is shut too (RFC 1122, 4.2.2.13). Such a connection is shut only when
//! everything that was sent is acknowledged.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, Shutdown};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Session;
use crate::net::outgoing::Outgoing;
use crate::net::per_peer::peer_of;

/// How long a client that has received everything and sends nothing has to close its side: a round trip across the world
/// and then some.
pub(crate) const LINGER: Duration = Duration::from_millis(500);

/// Bytes that one look at a connection discards at most, and one read of it. They are not on the stack: inlined into a
/// worker's, they made each session touch two more pages.
const DISCARDED: usize = 512 * 1024;
const DISCARDED_AT_ONCE: usize = 16 * 1024;

/// A connection that lingers.
#[derive(Debug)]
pub(super) struct Leaving {
    session: Arc<Session>,
    /// What is still to be sent.
    unsent: Vec<u8>,
    /// The server refused this client: it got one line and no session.
    pub(super) is_refused: bool,
    /// Whether the write side is shut.
    is_shut: bool,
    /// The client has closed its side, so no input can reset the connection any more.
    is_at_end: bool,
    /// The kernel has given the client up.
    is_given_up: bool,
    /// The client's system has acknowledged everything.
    pub(super) is_delivered: bool,
    pub(super) since: Instant,
    /// When something was last sent. What the system said before is out of date.
    sent: Instant,
    /// When input was last discarded.
    heard: Instant,
}

impl Leaving {
    pub(super) fn new(session: Arc<Session>, is_refused: bool, now: Instant) -> Self {
        Self {
            unsent: session.take_unsent(),
            session,
            is_refused,
            is_shut: false,
            is_at_end: false,
            is_given_up: false,
            is_delivered: false,
            since: now,
            sent: now,
            heard: now,
        }
    }

    /// Returns whose connection it is: those of Unix sockets are all of one peer, which is this machine.
    pub(super) fn peer(&self) -> Option<IpAddr> {
        self.session.client().peer.ip().map(peer_of)
    }

    /// Sends what is left, shuts the write side when that cannot destroy anything, and discards input. Returns whether
    /// the connection can be closed. While the server stops, `is_draining`, everything must have arrived before: the
    /// process may be the last of its network, which then ends with it.
    pub(super) fn advance(&mut self, now: Instant, outgoing: &Outgoing, is_draining: bool) -> bool {
        if let Err(error) = self.send_rest() {
            return self.fail(&error);
        }
        self.note_delivery(outgoing);
        let is_silent = self.is_silent(now);
        // The system was asked and does not know, so it never will. A client that says nothing must not wait for its end
        // of the stream until its patience is over.
        let is_unknown =
            !self.is_delivered && outgoing.is_newer_than(self.sent) && self.is_pending(outgoing).is_none();
        let is_read_shut = self.session.is_read_shut();
        let is_safe = !is_read_shut || self.is_delivered || (is_unknown && is_silent);
        if !self.is_shut && self.unsent.is_empty() && is_safe {
            self.is_shut = true;
            self.session.shut(Shutdown::Write);
        }
        if !self.is_at_end {
            match self.discard(now) {
                // A read side that is shut looks like the end of the stream.
                Ok(is_at_end) => self.is_at_end = is_at_end && !is_read_shut,
                Err(error) => return self.fail(&error),
            }
        }
        if self.is_at_end {
            // The kernel delivers the rest after the close.
            return self.unsent.is_empty() && (self.is_delivered || is_unknown || !is_draining);
        }
        self.is_shut && self.is_delivered && is_silent
    }

    /// Takes an error of the connection. Returns whether the connection can be closed: if the kernel has given the client
    /// up, that has to be counted first.
    fn fail(&mut self, error: &io::Error) -> bool {
        self.is_given_up |= error.kind() == ErrorKind::TimedOut;
        !self.is_given_up
    }

    /// Sends as much of what is left as fits.
    fn send_rest(&mut self) -> io::Result<()> {
        let Some(mut socket) = self.session.socket() else { return Err(ErrorKind::NotConnected.into()) };
        while !self.unsent.is_empty() {
            match socket.write(&self.unsent) {
                Ok(count) => {
                    self.unsent.drain(..count);
                    self.sent = Instant::now();
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Records whether the client has received everything.
    fn note_delivery(&mut self, outgoing: &Outgoing) {
        let is_known = !self.session.has_sent() || outgoing.is_newer_than(self.sent);
        self.is_delivered |=
            !self.is_given_up && self.unsent.is_empty() && is_known && self.session.is_delivered(outgoing);
    }

    /// Returns whether the connection had bytes on their way at the last reading, if the system told.
    fn is_pending(&self, outgoing: &Outgoing) -> Option<bool> {
        outgoing.is_pending(self.session.socket()?)
    }

    /// Discards what has arrived. Returns whether the stream is at its end.
    fn discard(&mut self, now: Instant) -> io::Result<bool> {
        let Some(mut socket) = self.session.socket() else { return Ok(true) };
        let mut buffer = vec![0; DISCARDED_AT_ONCE];
        let mut discarded = 0;
        while discarded < DISCARDED {
            match socket.read(&mut buffer) {
                Ok(0) => return Ok(true),
                Ok(count) => {
                    self.heard = now;
                    discarded += count;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        Ok(false)
    }

    /// Returns whether the next step depends on what the system tells.
    pub(super) fn asks_system(&self, now: Instant) -> bool {
        !self.is_delivered && (!self.is_shut || self.is_at_end || self.is_silent(now))
    }

    fn is_silent(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.heard) >= LINGER
    }

    /// Returns whether the client has had `patience`, if that has an end.
    pub(super) fn is_late(&self, now: Instant, patience: Option<Duration>) -> bool {
        self.is_given_up || patience.is_some_and(|patience| now.saturating_duration_since(self.since) >= patience)
    }

    /// Does not count `time`, in which this process did not run.
    pub(super) fn excuse(&mut self, time: Duration) {
        self.since += time;
        self.heard += time;
    }

    /// Prepares the connection for a close whatever its client has received. Returns whether something may be missing
    /// that was not counted before.
    pub(super) fn cut(&mut self, now: Instant, outgoing: &Outgoing) -> bool {
        self.note_delivery(outgoing);
        if !self.is_shut {
            self.session.shut(Shutdown::Write);
        }
        // Input that was not read would reset the connection.
        let _: io::Result<bool> = self.discard(now);
        !self.is_delivered && self.session.is_first_cut()
    }
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;
    use crate::client::{Client, ListenAddress};

    /// A client that reads nothing, and a session that has sent it `count` bytes.
    fn session(count: usize) -> (TcpStream, Arc<Session>) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback exists");
        let client = TcpStream::connect(listener.local_addr().expect("it is bound")).expect("it listens");
        let (mut stream, peer) = listener.accept().expect("a client came");
        stream.set_nonblocking(true).expect("a socket");
        let (mut left, mut sent) = (count, 0);
        while left > 0
            && let Ok(taken) = stream.write(&vec![b'x'; left])
        {
            (left, sent) = (left - taken, sent + taken);
        }
        let session =
            Session::new(Client::new(1, peer), Arc::new(ListenAddress::Tcp(peer)), stream, Instant::now(), 0);
        session.counters.add_out(sent);
        (client, session)
    }

    const MUCH: usize = 64 << 20;

    fn read_now() -> Outgoing {
        let mut outgoing = Outgoing::default();
        outgoing.read();
        outgoing
    }

    #[test]
    fn a_reading_from_before_the_end_of_the_session_decides_nothing() {
        let (_client, session) = session(1);
        let old = read_now();
        session.shut(Shutdown::Read);
        let now = Instant::now();
        let mut leaving = Leaving::new(session, false, now);
        let late = now + LINGER;
        assert!(!leaving.advance(late, &old, false));
        assert!(!leaving.is_shut && !leaving.is_delivered, "the client may miss something");
        assert!(leaving.asks_system(late));
        if cfg!(target_os = "linux") {
            // The acknowledgement may take 40 ms.
            while !leaving.is_delivered {
                leaving.advance(now, &read_now(), false);
            }
            assert!(leaving.is_shut);
            assert!(leaving.advance(late, &old, false), "it received everything and is silent");
        }
    }

    #[test]
    fn without_a_word_from_the_system_a_silent_client_gets_its_end_and_keeps_its_connection() {
        for count in [0, 1] {
            let (_client, session) = session(count);
            session.shut(Shutdown::Read);
            let now = Instant::now();
            let mut leaving = Leaving::new(session, false, now);
            let unknown = Outgoing::without_rows();
            leaving.advance(now, &unknown, false);
            assert_eq!(leaving.is_shut, count == 0, "it may be reading and talking");
            assert_eq!(leaving.advance(now + LINGER, &unknown, false), count == 0);
            assert!(leaving.is_shut, "or it waits for its end");
            assert_eq!(leaving.cut(now, &unknown), count > 0, "what is not known counts as missing");
            assert!(!leaving.cut(now, &unknown), "once");
        }
    }

    #[test]
    fn a_client_that_has_closed_its_side_still_gets_the_rest() {
        let (mut client, session) = session(0);
        session.keep_unsent(&vec![b'x'; MUCH]);
        client.shutdown(Shutdown::Write).expect("it is connected");
        let mut leaving = Leaving::new(session, false, Instant::now());
        let reader = std::thread::spawn(move || client.read_to_end(&mut Vec::new()));
        let unknown = Outgoing::default();
        while !leaving.advance(Instant::now(), &unknown, false) {
            std::thread::yield_now();
        }
        drop(leaving);
        assert_eq!(reader.join().expect("it reads").ok(), Some(MUCH));
    }

    #[test]
    fn while_the_server_stops_the_rest_must_arrive_before_the_close() {
        if !cfg!(target_os = "linux") {
            return;
        }
        let (mut client, session) = session(MUCH);
        client.shutdown(Shutdown::Write).expect("it is connected");
        let sent = session.counters.totals().bytes_out;
        let mut leaving = Leaving::new(session, false, Instant::now());
        // The end of the client's stream may take a moment.
        while !leaving.is_at_end {
            assert!(!leaving.advance(Instant::now(), &read_now(), true));
        }
        assert!(!leaving.advance(Instant::now(), &read_now(), true));
        client.read_exact(&mut vec![0; sent as usize]).expect("all of it comes");
        while !leaving.advance(Instant::now(), &read_now(), true) {}
        assert!(!leaving.cut(Instant::now(), &read_now()), "nothing is missing");
    }

    #[test]
    fn time_in_which_the_process_did_not_run_is_not_the_clients() {
        let (_client, session) = session(0);
        let now = Instant::now();
        let mut leaving = Leaving::new(session, false, now);
        let (later, patience) = (now + 2 * LINGER, Some(2 * LINGER));
        assert!(leaving.is_late(later, patience) && leaving.is_silent(later));
        leaving.excuse(2 * LINGER);
        assert!(!leaving.is_late(later, patience) && !leaving.is_silent(later));
    }
}
