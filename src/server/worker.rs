//! The way of a connection, from its accept to its close: arrival, refusal or session, end.
//!
//! [`Core`] is what acceptors, workers and the reaper share.

use std::any::Any;
use std::io::{self, Read, Write};
use std::mem;
use std::net::TcpStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use super::admission::{Admission, Admitted, Permit};
use super::heartbeat::Beat;
use super::registry::{Registered, Registry};
use crate::client::{Client, ListenAddress, Peer};
use crate::config::{ServerConfig, WhenFull};
use crate::events::{CloseReason, Event, EventSink, Excerpt, LogCounts, RefuseReason, Stats};
use crate::net::listener::Listener;
use crate::net::per_peer::{PeerLimit, PeerPlace};
use crate::net::proxy::{self, NoHeader, Source};
use crate::service::Handler;
use crate::session::{BusyPoll, ClientThread, Linger, PolledStream, Session, Slots, SocketStream, run_with_writer};
use crate::shutdown::ShutdownToken;

/// Makes a session's handler.
pub(super) type HandlerFactory = dyn Fn(&Session) -> Box<dyn Handler> + Send + Sync;

/// An accepted connection that was let in and waits for a worker. It holds its peer's place from here to its end.
///
/// Its session is made by the worker, which also drops it: memory that another thread frees stays with that thread.
pub(crate) struct Arrival {
    client: Client,
    listener: Arc<ListenAddress>,
    stream: TcpStream,
    place: Option<PeerPlace>,
    /// Whether it must begin with a header that names the client.
    is_proxy: bool,
    since: Instant,
}

/// What acceptors, workers and the reaper share.
pub(crate) struct Core {
    pub(crate) config: ServerConfig,
    pub(crate) factory: Box<HandlerFactory>,
    pub(crate) admission: Arc<Admission<Arrival>>,
    /// `None` if a peer may have any number of connections.
    pub(crate) peers: Option<Arc<PeerLimit>>,
    pub(crate) registry: Arc<Registry>,
    pub(crate) token: ShutdownToken,
    /// Those of the acceptors, and then that of the reaper.
    pub(super) beats: Vec<Beat>,
    pub(crate) linger: Arc<Linger>,
    pub(crate) sink: EventSink<Event>,
    pub(crate) busy_poll: Option<BusyPoll>,
    /// How many writers may be started.
    pub(crate) spare_threads: Slots,
}

impl Core {
    /// Admits or refuses an accepted connection. Runs on an acceptor. Blocks only with [`WhenFull::Wait`], until there
    /// is a place.
    pub(super) fn arrive(&self, stream: TcpStream, peer: Peer, listener: &Listener, beat: &Beat) {
        let client = self.registry.number(peer);
        let is_proxy = peer.ip().is_some_and(|ip| self.config.is_proxy(ip));
        let listener = Arc::clone(&listener.address);
        let mut arrival = Arrival { client, listener, stream, place: None, is_proxy, since: Instant::now() };
        // The rules concern the client, and a proxy is still to name its own.
        if !is_proxy {
            match self.check(client.peer) {
                Ok(place) => arrival.place = place,
                Err(reason) => return self.refuse(arrival, reason),
            }
        }
        loop {
            match self.admission.admit(arrival) {
                Admitted::Waits => return,
                Admitted::Full(back) if self.token.is_set() => return self.refuse(back, RefuseReason::Shutdown),
                Admitted::Full(back) if self.config.when_full == WhenFull::Wait => {
                    beat.rest();
                    self.admission.wait_for_place();
                    beat.beat();
                    arrival = back;
                }
                Admitted::Full(arrival) => return self.refuse(arrival, RefuseReason::Full),
                Admitted::Closed(arrival) => return self.refuse(arrival, RefuseReason::Shutdown),
            }
        }
    }

    /// Refuses a client with a clean close, and with one line if that is owed. Never blocks.
    pub(crate) fn refuse(&self, arrival: Arrival, reason: RefuseReason) {
        let Arrival { client, listener, stream, place, .. } = arrival;
        // By the time the client sees the end, its place is free.
        drop(place);
        self.registry.count_refused(reason);
        self.sink.send(Event::Refused { client, reason });
        let line = if reason.is_told() { format!("busy: {reason}\r\n") } else { String::new() };
        self.linger.refuse(self.registry.session(client, listener, stream), &line);
    }

    /// Checks a peer against `allow` and `deny`, and takes its place if the connections of a peer are limited.
    fn check(&self, peer: Peer) -> Result<Option<PeerPlace>, RefuseReason> {
        self.check_address(peer)?;
        match (&self.peers, peer.ip()) {
            (Some(peers), Some(ip)) => peers.enter(ip).map(Some).ok_or(RefuseReason::TooManyFromPeer),
            _ => Ok(None),
        }
    }

    /// A Unix socket has permissions of its own.
    fn check_address(&self, peer: Peer) -> Result<(), RefuseReason> {
        let is_let_in = peer.ip().is_none_or(|ip| self.config.lets_in(ip));
        if is_let_in { Ok(()) } else { Err(RefuseReason::NotAllowed) }
    }

    /// A worker: serves one client after the other until admission closes.
    ///
    /// What comes before and after the conversation is not inlined here, for the reason that
    /// [`converse`](Self::converse) gives.
    pub(crate) fn work(&self) {
        while let Some((registered, place, permit)) = self.take_up() {
            let serve = || {
                let reason = self.serve(registered.session());
                self.end(registered, (place, permit), reason);
            };
            // `serve` catches a panic. If dropping what that panic carries panics too, the second panic ends here, and
            // what it carries is leaked, because dropping that could end the worker.
            if let Err(panic) = catch_unwind(AssertUnwindSafe(serve)) {
                mem::forget(panic);
            }
        }
    }

    /// Waits for a client and begins its session. The permit and the peer's place are guards.
    #[inline(never)]
    fn take_up(&self) -> Option<(Registered<'_>, Option<PeerPlace>, Permit<Arrival>)> {
        loop {
            let (mut arrival, permit) = self.admission.next()?;
            if arrival.is_proxy
                && let Err(reason) = self.identify(&mut arrival)
            {
                // As at the end of a session, the places are free before the client sees the end.
                drop(permit);
                self.refuse(arrival, reason);
                continue;
            }
            let Arrival { client, listener, stream, place, since, .. } = arrival;
            let waited = since.elapsed();
            let registered = self.registry.register(self.registry.session(client, listener, stream), waited);
            self.sink.send(Event::Connected { client, waited });
            return Some((registered, place, permit));
        }
    }

    /// Reads from a proxy's header who its client is, and checks that client as [`arrive`](Self::arrive) checks others.
    /// The connection counts as waiting meanwhile.
    #[inline(never)]
    fn identify(&self, arrival: &mut Arrival) -> Result<(), RefuseReason> {
        let _awaited = self.registry.await_header();
        let header = proxy::read(&arrival.stream, arrival.since, || self.token.is_set());
        let client = &mut arrival.client;
        client.is_probe = matches!(header, Ok(Source::Probe) | Err(NoHeader::Left));
        match header {
            // At a stop a client that has a worker is served. Once sessions are cut off it is not, because nothing would
            // end its session.
            Ok(_) if self.token.is_cutting() => Err(RefuseReason::Shutdown),
            Ok(Source::Probe) => Ok(()),
            // A proxy that names itself is no client of its own.
            Ok(Source::Client(peer)) if peer == client.peer => Ok(()),
            // The clients that a proxy does not name are many, so no limit for one peer fits them.
            Ok(Source::Unnamed) => self.check_address(client.peer),
            Ok(Source::Client(peer)) => {
                (client.peer, client.proxied_by) = (peer, Some(client.peer));
                arrival.place = self.check(peer)?;
                Ok(())
            }
            Err(NoHeader::Left) => Err(RefuseReason::Probe),
            Err(NoHeader::Invalid) => Err(RefuseReason::NoProxyHeader),
            Err(NoHeader::Stopped) => Err(RefuseReason::Shutdown),
        }
    }

    /// Serves a client. A panic costs this client only: what it may leave half done, the handler and the session's own
    /// buffers, is dropped here.
    fn serve(&self, session: &Session) -> CloseReason {
        catch_unwind(AssertUnwindSafe(|| self.converse(session)))
            .unwrap_or_else(|panic| self.panicked(session, &*panic))
    }

    #[inline(never)]
    fn panicked(&self, session: &Session, panic: &(dyn Any + Send)) -> CloseReason {
        self.registry.count_panicked();
        let message = Excerpt::of_panic(panic);
        self.sink.send(Event::Panicked { client: session.client(), message });
        CloseReason::Panicked
    }

    /// Runs the conversation.
    ///
    /// While thousands of sessions wait for their clients, each keeps these frames and those above them on its stack.
    /// With the read buffer and the calls of a message they fit a page of 4 KiB, because rare calls are kept out of
    /// them (ARCHITECTURE.md, *The stack page*).
    #[inline(never)]
    fn converse(&self, session: &Session) -> CloseReason {
        // The write timeout is inherited from the listener. Reads have no timeout, because the kernel would start and
        // stop a timer at each read, and the reaper ends idle sessions. Only a session that holds much memory sets one.
        let handler = (self.factory)(session);
        if let Some(outbox) = session.outbox() {
            let slot = self.spare_threads.take();
            return run_with_writer((session, outbox), slot, handler, &self.config, &self.sink, &self.token);
        }
        match (SocketStream::new(session), &self.busy_poll) {
            (Some(socket), Some(busy_poll)) => self.run(PolledStream::new(socket, busy_poll), handler, session),
            (Some(socket), None) => self.run(socket, handler, session),
            // Only tests make sessions without a connection, and not in a server.
            (None, _) => CloseReason::Failed(io::ErrorKind::NotConnected),
        }
    }

    #[inline(never)]
    fn run(&self, stream: impl Read + Write, handler: Box<dyn Handler>, session: &Session) -> CloseReason {
        ClientThread::new(stream, handler, &self.config).run_in(session, &self.sink, &self.token)
    }

    /// Ends a session: by the time the client sees the end, its places are free, its numbers are counted and its last
    /// event is on its way.
    #[inline(never)]
    fn end(&self, registered: Registered<'_>, places: (Option<PeerPlace>, Permit<Arrival>), reason: CloseReason) {
        let session = Arc::clone(registered.session());
        let duration = registered.age();
        registered.end(reason);
        let totals = session.counters.totals();
        self.sink.send(Event::Disconnected {
            client: session.client(),
            reason,
            messages: totals.messages,
            bytes_in: totals.bytes_in,
            bytes_out: totals.bytes_out,
            duration,
            faults: session.faults(),
        });
        drop(places);
        self.linger.close(session, reason.closing());
    }

    pub(crate) fn stats(&self) -> Stats {
        stats(&self.registry, &self.admission, self.sink.counts())
    }
}

/// Returns the totals, from the places where they are kept.
pub(crate) fn stats(registry: &Registry, admission: &Admission<Arrival>, counts: &LogCounts) -> Stats {
    let stats = registry.stats();
    // In the reverse order of a client's way, so that none counts twice: one that moves on meanwhile is only in `accepted`.
    let waiting = stats.waiting + admission.waiting();
    Stats { waiting, accepted: registry.accepted(), events_dropped: counts.dropped(), ..stats }
}
