//! What acceptors, workers and the reaper share, and a connection's way through it: arrival, refusal or
//! session, close.

use std::any::Any;
use std::io::{self, Write};
use std::mem;
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use socket2::SockRef;

use super::HandlerFactory;
use super::admission::{Admission, Admitted, Permit};
use super::busy_poll::{BusyPoll, Polled};
use super::connection::Connection;
use super::linger::{self, LINGER, Linger};
use super::peers::{PeerPlace, Peers};
use super::registry::Registry;
use super::session::{Counted, Session};
use super::shutdown::ShutdownToken;
use super::writer::Writers;
use crate::client_thread::{ClientThread, Surroundings};
use crate::events::{EventSink, SinkCounts};
use crate::{CloseReason, Event, Excerpt, RefuseReason, ServerConfig, Stats, WhenFull};

/// A connection that was let in: it waits, and then is served. Its peer's place is held as long.
pub(crate) struct Arrival {
    pub(crate) session: Arc<Session>,
    place: Option<PeerPlace>,
}

/// What acceptors, workers and the reaper share.
pub(crate) struct Core {
    pub(crate) config: ServerConfig,
    pub(crate) factory: Box<HandlerFactory>,
    pub(crate) admission: Arc<Admission<Arrival>>,
    /// None if a peer may have any number of connections.
    pub(crate) peers: Option<Arc<Peers>>,
    pub(crate) registry: Arc<Registry>,
    pub(crate) token: ShutdownToken,
    pub(crate) linger: Linger,
    pub(crate) sink: EventSink,
    pub(crate) busy_poll: Option<BusyPoll>,
    pub(crate) writers: Writers,
}

impl Core {
    /// Admits or refuses an accepted connection. Runs on an acceptor; waits only if the operator wants
    /// arrivals to wait in the kernel.
    pub(crate) fn arrive(&self, stream: TcpStream, peer: SocketAddr) {
        let session = self.registry.arrival(stream, peer);
        let place = match &self.peers {
            None => None,
            Some(peers) => match peers.enter(session.client.peer.ip()) {
                None => return self.refuse(session, RefuseReason::TooManyFromPeer),
                place => place,
            },
        };
        let mut arrival = Arrival { session, place };
        loop {
            match self.admission.admit(arrival) {
                Admitted::Waits => return,
                Admitted::Full(back) if self.config.when_full == WhenFull::Wait => {
                    self.admission.wait_for_place();
                    arrival = back;
                }
                Admitted::Full(arrival) => return self.refuse(arrival.session, RefuseReason::Full),
                Admitted::Closed(arrival) => return self.refuse(arrival.session, RefuseReason::Shutdown),
            }
        }
    }

    /// Turns a client away with one line and a clean close. Never blocks: nothing was sent on this
    /// connection before, so the line fits the socket's buffer.
    pub(crate) fn refuse(&self, session: Arc<Session>, reason: RefuseReason) {
        self.registry.count_refused();
        self.sink.send(Event::Refused { client: session.client, reason });
        // If the client is gone already, nobody misses the line.
        let _: io::Result<()> = (&session.stream).write_all(format!("busy: {reason}\r\n").as_bytes());
        self.linger.close(session);
    }

    /// A worker: serves one client after the other until the gate closes.
    pub(crate) fn work(&self) {
        while let Some((arrival, permit)) = self.admission.next() {
            // A panic is caught where it costs its session only, unless dropping what it carries panics again. Then it
            // gets here, and is not dropped a third time: no client can take a worker away.
            if let Err(panic) = catch_unwind(AssertUnwindSafe(|| self.serve_next(arrival, permit))) {
                mem::forget(panic);
            }
        }
    }

    /// Serves a client from its registration to its close.
    fn serve_next(&self, Arrival { session, place }: Arrival, permit: Permit<Arrival>) {
        let reason = self.serve(&session);
        if reason == CloseReason::Shutdown {
            // All sessions may end at once, more than the lingering thread takes, and nobody else needs this
            // worker. The stop is to wait for it.
            session.shut(Shutdown::Write);
            linger::read_to_end(&session.stream, Instant::now() + LINGER);
        }
        // By the time the client sees the end, its places are free, its numbers are counted and the event is
        // on its way.
        drop((place, permit));
        self.close(session, reason);
    }

    /// Runs a session from its registration to its last event.
    fn serve(&self, session: &Arc<Session>) -> CloseReason {
        let client = session.client;
        let started = Instant::now();
        let registered = self.registry.register(session);
        self.sink.send(Event::Connected { client });
        // A panic costs this client only. What it may leave half done, the handler and the session's own
        // buffers, is dropped here.
        let reason = catch_unwind(AssertUnwindSafe(|| self.converse(session))).unwrap_or_else(|panic| {
            self.registry.count_panicked();
            self.sink.send(Event::Panicked { client, message: Excerpt::new(panic_message(&*panic).as_bytes()) });
            CloseReason::Panicked
        });
        drop(registered);
        let totals = session.counters.totals();
        self.sink.send(Event::Disconnected {
            client,
            reason,
            messages: totals.messages,
            bytes_in: totals.bytes_in,
            bytes_out: totals.bytes_out,
            duration: started.elapsed(),
        });
        reason
    }

    fn converse(&self, session: &Arc<Session>) -> CloseReason {
        // The write timeout is inherited from the listener. There is no read timeout: the kernel would start and stop a
        // timer at each read, and the reaper ends who is silent for too long.
        let handler = (self.factory)(&Connection::new(session, self.config.max_outgoing));
        let surroundings = Surroundings {
            client: session.client,
            counters: &session.counters,
            pulse: &session.pulse,
            sink: &self.sink,
            token: &self.token,
            read_what_has_arrived: &|| session.read_what_has_arrived(),
            write_what_fits: &|| session.write_what_fits(),
        };
        match session.outbox() {
            None => match &self.busy_poll {
                None => ClientThread::new(Counted(session), handler, &self.config).run_in(surroundings),
                Some(busy_poll) => {
                    let stream = Polled::new(session, busy_poll);
                    ClientThread::new(stream, handler, &self.config).run_in(surroundings)
                }
            },
            Some(outbox) => self.writers.converse(session, outbox, handler, &self.config, surroundings),
        }
    }

    /// Closes a session's connection so that what was sent arrives. Never blocks.
    fn close(&self, session: Arc<Session>, reason: CloseReason) {
        match reason {
            // Nothing is unread, or nobody is there, or it had its time: closing is enough.
            CloseReason::EndOfStream | CloseReason::Failed(_) | CloseReason::Shutdown => {}
            // The peer takes nothing, and the kernel would keep the reply for it for minutes: reset.
            CloseReason::WriteTimeout | CloseReason::TooSlow => {
                let _: io::Result<()> = SockRef::from(&session.stream).set_linger(Some(Duration::ZERO));
            }
            // The read side is shut, so there is no end of stream to wait for.
            CloseReason::CutOff | CloseReason::Yielded | CloseReason::Expired | CloseReason::IdleTimeout => {
                session.shut(Shutdown::Write);
                linger::discard_received(&session.stream);
            }
            // The client may still be sending.
            CloseReason::Bye
            | CloseReason::ServiceClosed
            | CloseReason::LineTooLong
            | CloseReason::ServiceFailed(_)
            | CloseReason::Panicked => self.linger.close(session),
        }
    }

    pub(crate) fn stats(&self) -> Stats {
        stats(&self.registry, &self.admission, self.sink.counts())
    }
}

/// The totals, from wherever they are kept.
pub(crate) fn stats(registry: &Registry, admission: &Admission<Arrival>, counts: &SinkCounts) -> Stats {
    Stats { waiting: admission.waiting(), events_dropped: counts.dropped(), ..registry.stats() }
}

/// The text of a panic, as far as it has one.
fn panic_message(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("not a text")
}
