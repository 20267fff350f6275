//! What acceptors, workers and the reaper share, and a connection's way through it: arrival, refusal or
//! session, close.

use std::any::Any;
use std::io::{self, Read, Write};
use std::mem;
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use socket2::SockRef;

use super::HandlerFactory;
use super::admission::{Admission, Admitted, Permit};
use super::registry::{Registered, Registry};
use crate::events::{EventSink, SinkCounts};
use crate::net::per_peer::{PeerPlace, Peers};
use crate::session::{
    BusyPoll, ClientThread, Connection, Counted, LINGER, Linger, Polled, Session, Surroundings, Writers,
    discard_received, read_to_end,
};
use crate::shutdown::ShutdownToken;
use crate::{Client, CloseReason, Event, Excerpt, Handler, RefuseReason, ServerConfig, Stats, WhenFull};

/// A connection that was let in: it waits, and then is served. Its peer's place is held as long.
///
/// Its session begins on the worker, which then also frees what it has allocated: memory freed by another thread
/// than its own stays with that thread.
pub(crate) struct Arrival {
    client: Client,
    stream: TcpStream,
    place: Option<PeerPlace>,
}

/// A client's turn on a worker, and the places that it holds.
struct Turn<'a> {
    registered: Registered<'a>,
    place: Option<PeerPlace>,
    permit: Permit<Arrival>,
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
        let client = self.registry.number(peer);
        let mut arrival = Arrival { client, stream, place: None };
        if let Some(peers) = &self.peers {
            arrival.place = peers.enter(client.peer.ip());
            if arrival.place.is_none() {
                return self.refuse(arrival, RefuseReason::TooManyFromPeer);
            }
        }
        loop {
            match self.admission.admit(arrival) {
                Admitted::Waits => return,
                Admitted::Full(back) if self.config.when_full == WhenFull::Wait => {
                    self.admission.wait_for_place();
                    arrival = back;
                }
                Admitted::Full(arrival) => return self.refuse(arrival, RefuseReason::Full),
                Admitted::Closed(arrival) => return self.refuse(arrival, RefuseReason::Shutdown),
            }
        }
    }

    /// Turns a client away with one line and a clean close. Never blocks: nothing was sent on this
    /// connection before, so the line fits the socket's buffer.
    pub(crate) fn refuse(&self, Arrival { client, stream, place: _place }: Arrival, reason: RefuseReason) {
        self.registry.count_refused();
        self.sink.send(Event::Refused { client, reason });
        let session = self.registry.session(client, stream);
        // If the client is gone already, nobody misses the line.
        let _: io::Result<()> = (&session.stream).write_all(format!("busy: {reason}\r\n").as_bytes());
        self.linger.close(session);
    }

    /// A worker: serves one client after the other until the gate closes.
    ///
    /// What is done before and after the conversation is not inlined here: see [`Core::converse`].
    pub(crate) fn work(&self) {
        while let Some(turn) = self.take_up() {
            // A panic is caught where it costs its session only, unless dropping what it carries panics again. Then it
            // gets here, and is not dropped a third time: no client can take a worker away.
            if let Err(panic) = catch_unwind(AssertUnwindSafe(|| self.serve(turn))) {
                mem::forget(panic);
            }
        }
    }

    /// Waits for a client and begins its session.
    #[inline(never)]
    fn take_up(&self) -> Option<Turn<'_>> {
        let (Arrival { client, stream, place }, permit) = self.admission.next()?;
        let registered = self.registry.register(client, stream);
        self.sink.send(Event::Connected { client });
        Some(Turn { registered, place, permit })
    }

    /// Serves a client until its connection is closed.
    fn serve(&self, turn: Turn<'_>) {
        let session = turn.registered.session();
        // A panic costs this client only. What it may leave half done, the handler and the session's own
        // buffers, is dropped here.
        let reason = catch_unwind(AssertUnwindSafe(|| self.converse(session)))
            .unwrap_or_else(|panic| self.panicked(session, &*panic));
        self.end(turn, reason);
    }

    #[inline(never)]
    fn panicked(&self, session: &Session, panic: &(dyn Any + Send)) -> CloseReason {
        self.registry.count_panicked();
        let message = Excerpt::new(panic_message(panic).as_bytes());
        self.sink.send(Event::Panicked { client: session.client, message });
        CloseReason::Panicked
    }

    #[inline(never)]
    fn end(&self, Turn { registered, place, permit }: Turn<'_>, reason: CloseReason) {
        let session = Arc::clone(registered.session());
        let duration = registered.age();
        drop(registered);
        let totals = session.counters.totals();
        self.sink.send(Event::Disconnected {
            client: session.client,
            reason,
            messages: totals.messages,
            bytes_in: totals.bytes_in,
            bytes_out: totals.bytes_out,
            duration,
        });
        if reason == CloseReason::Shutdown {
            // All sessions may end at once, more than the lingering thread takes, and nobody else needs this
            // worker. The stop is to wait for it.
            session.shut(Shutdown::Write);
            read_to_end(&session.stream, Instant::now() + LINGER);
        }
        // By the time the client sees the end, its places are free, its numbers are counted and the event is
        // on its way.
        drop((place, permit));
        self.close(session, reason);
    }

    /// The conversation.
    ///
    /// Its frames and those that wait above it are all that thousands of sessions keep of their stacks: with the read
    /// buffer and what a message needs they fit a page of 4 KiB, and a call that is only made now and then is kept out
    /// of them.
    #[inline(never)]
    fn converse(&self, session: &Arc<Session>) -> CloseReason {
        // The write timeout is inherited from the listener. There is no read timeout but after a flood: the kernel
        // would start and stop a timer at each read, and the reaper ends who is silent for too long.
        let handler = (self.factory)(&Connection::new(session, self.config.max_outgoing));
        let surroundings = Surroundings {
            client: &session.client,
            counters: &session.counters,
            pulse: &session.pulse,
            sink: &self.sink,
            token: &self.token,
            read_what_has_arrived: &|| session.read_what_has_arrived(),
            limit_silence: &|limited| session.limit_silence(limited),
            write_what_fits: &|| session.write_what_fits(),
        };
        match (session.outbox(), &self.busy_poll) {
            (Some(outbox), _) => self.writers.converse(session, outbox, handler, &self.config, &surroundings),
            (None, Some(busy_poll)) => self.run(Polled::new(session, busy_poll), handler, &surroundings),
            (None, None) => self.run(Counted(session), handler, &surroundings),
        }
    }

    #[inline(never)]
    fn run(
        &self,
        stream: impl Read + Write,
        handler: Box<dyn Handler>,
        surroundings: &Surroundings<'_>,
    ) -> CloseReason {
        ClientThread::new(stream, handler, &self.config).run_in(surroundings)
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
                discard_received(&session.stream);
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
