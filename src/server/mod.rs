//! [`Server`] and [`RunningServer`]: how the parts are wired, and the only place with the stop order.
//!
//! The threads of a running server, all named `hebra-...`: an acceptor for each listener, the workers of the pool, the
//! reaper, the lingering thread, the logging thread. Only this module starts and ends them.

mod acceptor;
mod admission;
// Not inside `admission`, which `tests/model` builds a second time.
#[cfg(test)]
mod admission_tests;
mod worker;
mod registry;
mod reaper;
mod monitor;
mod heartbeat;
mod pool;
mod semaphore;
mod sync;

use std::fmt;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use threadpool::ThreadPool;

use self::admission::Admission;
use self::heartbeat::Beat;
pub use self::monitor::Monitor;
use self::registry::Registry;
pub use self::registry::SessionInfo;
use self::semaphore::Semaphore;
use self::worker::{Core, HandlerFactory};
use crate::client::{Client, ListenAddress};
use crate::config::ServerConfig;
use crate::error::Error;
use crate::events::{Event, EventLog, RefuseReason, Stats, Subscribers, Subscription};
use crate::net::limits;
use crate::net::listener::{self, Listener, Skipped};
use crate::net::outgoing::Outgoing;
use crate::net::per_peer::PeerLimit;
use crate::net::threads::{LAST_WAIT, LimitedThread, join, spawn};
use crate::service::Handler;
use crate::session::{BusyPoll, LINGER, Linger, Session, spare_threads};
use crate::shutdown::ShutdownToken;

/// How often a stop looks for idle sessions. It first does so after this time, because until then a session that waits
/// for its client may not have read yet what has arrived.
const SETTLE: Duration = Duration::from_millis(100);

/// How long the acknowledgement of what has arrived may take: 40 ms on Linux.
const DELAYED_ACKNOWLEDGEMENT: Duration = Duration::from_millis(50);

/// What a server listens on, with its position among the names that were given.
type Addresses = Vec<(usize, ListenAddress)>;

fn tcp(addresses: &Addresses) -> Vec<SocketAddr> {
    addresses.iter().filter_map(|(_, address)| address.tcp()).collect()
}

/// A server that listens and does not accept yet: the kernel holds the clients that connect.
pub struct Server {
    config: ServerConfig,
    factory: Box<HandlerFactory>,
    listeners: Vec<(usize, Listener)>,
    skipped: Skipped,
    addresses: Addresses,
    pool: ThreadPool,
}

impl Server {
    /// Listens on every address of `config` and starts the workers. `factory` makes the handler of each session, on
    /// the worker that serves it.
    ///
    /// # Errors
    ///
    /// [`Error`] names the field, the address or the limit that is in the way.
    pub fn bind<H: Handler + 'static>(
        config: ServerConfig,
        factory: impl Fn(&Session) -> H + Send + Sync + 'static,
    ) -> Result<Self, Error> {
        config.validate()?;
        let (listeners, skipped) = listener::bind(&config)?;
        Self::with(config, listeners, skipped, factory)
    }

    /// Serves listeners that the caller has bound, TCP and Unix, for example sockets that a service manager passed to the
    /// process. It ignores [`listen`](ServerConfig::listen) and [`backlog`](ServerConfig::backlog), and makes the
    /// listeners blocking. A stop does not shut them: if another process has them too, the kernel holds the clients that
    /// connect meanwhile, and the next server takes them.
    ///
    /// # Errors
    ///
    /// [`Error`] names the field, the listener or the limit that is in the way.
    pub fn from_listeners<H: Handler + 'static>(
        config: ServerConfig,
        listeners: impl IntoIterator<Item = impl Into<OwnedFd>>,
        factory: impl Fn(&Session) -> H + Send + Sync + 'static,
    ) -> Result<Self, Error> {
        config.validate_all_but_addresses()?;
        let listeners = listener::adopt(listeners.into_iter().map(Into::into).collect(), &config)?;
        Self::with(config, listeners, Vec::new(), factory)
    }

    fn with<H: Handler + 'static>(
        config: ServerConfig,
        listeners: Vec<(usize, Listener)>,
        skipped: Skipped,
        factory: impl Fn(&Session) -> H + Send + Sync + 'static,
    ) -> Result<Self, Error> {
        let pool = pool::start(config.workers, config.stack_size)?;
        let factory = Box::new(move |session: &Session| -> Box<dyn Handler> { Box::new(factory(session)) });
        let addresses =
            listeners.iter().map(|(name, listener)| (*name, ListenAddress::clone(&listener.address))).collect();
        Ok(Self { config, factory, listeners, skipped, addresses, pool })
    }

    /// Returns the TCP addresses listened on, with the ports that they really have.
    #[must_use]
    pub fn local_addrs(&self) -> Vec<SocketAddr> {
        tcp(&self.addresses)
    }

    /// Returns everything that is listened on, with its position in [`listen`](ServerConfig::listen) or among the
    /// listeners that were passed in. A name may have several addresses.
    #[must_use]
    pub fn addresses(&self) -> &[(usize, ListenAddress)] {
        &self.addresses
    }

    /// Returns the TCP listeners, so that options can be set which neither std nor this crate has. What is set before the
    /// start holds for every client.
    pub fn tcp_listeners(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        let tcp = self.listeners.iter().filter(|(_, listener)| listener.address.tcp().is_some());
        tcp.map(|(_, listener)| listener.as_fd())
    }

    /// Begins to accept.
    ///
    /// # Errors
    ///
    /// [`Error::Thread`] if a thread cannot be started, [`Error::Workers`] if there are no descriptors left.
    pub fn start(self) -> Result<RunningServer, Error> {
        let Self { config, factory, listeners, skipped, addresses, pool } = self;
        let sleep = Semaphore::new()
            .map_err(|cause| Error::Workers { workers: config.workers, cause: cause.to_string() })?;
        let (sink, log) = EventLog::new(config.log_messages);
        let log = log.limit_sessions(config.log_sessions).with_target(config.log_target);
        let linger = Arc::new(Linger::new(config.write_timeout));
        let lingering = Arc::clone(&linger);
        let core = Arc::new(Core {
            admission: Arc::new(Admission::new(config.workers, config.max_pending, sleep)),
            peers: config.max_per_ip.map(|limit| Arc::new(PeerLimit::new(limit))),
            registry: Arc::new(Registry::new(config.max_outgoing)),
            token: ShutdownToken::default(),
            beats: (0..=listeners.len()).map(|_| Beat::new()).collect(),
            busy_poll: config.busy_poll.map(BusyPoll::new),
            spare_threads: spare_threads(config.workers),
            factory,
            config,
            linger,
            sink,
        });
        for warning in limits::warnings(&core.config) {
            core.sink.send(warning);
        }
        for (address, cause) in skipped {
            core.sink.send(Event::AddressSkipped { address, cause });
        }

        let subscribers = log.subscribers();
        let stats_interval = core.config.stats_interval;
        // No sink goes into this closure: the logging thread ends when the last sink is gone.
        let totals = {
            let (registry, admission) = (Arc::clone(&core.registry), Arc::clone(&core.admission));
            let counts = Arc::clone(core.sink.counts());
            move || worker::stats(&registry, &admission, &counts)
        };
        let mut threads = Threads {
            acceptors: Vec::new(),
            reaper: None,
            linger: spawn("hebra-linger", move || lingering.run())?,
            log: LimitedThread::start("hebra-log", move || log.run(stats_interval, totals))?,
            core,
            pool,
        };
        match threads.accept_on(listeners) {
            Ok(()) => {
                Ok(RunningServer { addresses, subscribers, stop: StopHandle::default(), threads: Some(threads) })
            }
            Err(error) => {
                threads.stop(Duration::ZERO);
                Err(error)
            }
        }
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("addresses", &self.addresses).finish_non_exhaustive()
    }
}

/// A server that accepts. Dropping it stops it without a drain; [`RunningServer::shutdown`] drains.
pub struct RunningServer {
    addresses: Addresses,
    subscribers: Subscribers<Event>,
    stop: StopHandle,
    /// `None` once the server is stopped.
    threads: Option<Threads>,
}

impl RunningServer {
    /// Returns the TCP addresses listened on, with the ports that they really have.
    #[must_use]
    pub fn local_addrs(&self) -> Vec<SocketAddr> {
        tcp(&self.addresses)
    }

    /// Returns everything that is listened on, as [`Server::addresses`] does.
    #[must_use]
    pub fn addresses(&self) -> &[(usize, ListenAddress)] {
        &self.addresses
    }

    /// Returns the totals at this moment. They are exact: a session whose end a client has seen is counted.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.threads.as_ref().map(|threads| threads.core.stats()).unwrap_or_default()
    }

    /// Returns the clients that are being served, the oldest session first.
    #[must_use]
    pub fn clients(&self) -> Vec<Client> {
        self.threads.as_ref().map(|threads| threads.core.registry.clients()).unwrap_or_default()
    }

    /// Ends the session of client `id`: after its current message, or at once if the client is idle or its handler waits
    /// ([`Waiter`](crate::Waiter)). Returns whether the client is being served.
    pub fn disconnect(&self, id: u64) -> bool {
        self.threads.as_ref().is_some_and(|threads| threads.core.registry.disconnect(id))
    }

    /// Returns a copy of each event from now on, until the server has stopped.
    ///
    /// Messages are sampled as for the log ([`log_messages`](ServerConfig::log_messages), which is off by default),
    /// whatever the log's level is.
    #[must_use]
    pub fn subscribe(&self) -> Subscription<Event> {
        self.subscribers.subscribe()
    }

    /// Returns a view of the server that any thread may keep, for metrics and status pages.
    #[must_use]
    pub fn monitor(&self) -> Monitor {
        Monitor::new(self.threads.as_ref().map(|threads| &threads.core))
    }

    /// Returns a handle with which any thread can end [`wait`](Self::wait).
    #[must_use]
    pub fn stop_handle(&self) -> StopHandle {
        self.stop.clone()
    }

    /// Blocks until a [`StopHandle`] asks for a stop. The server still runs then: call
    /// [`shutdown`](Self::shutdown) next.
    pub fn wait(&self) {
        self.stop.wait();
    }

    /// Stops: accepts no client any more, answers what was received, and waits up to `grace` for the sessions to end
    /// before it closes the rest. Connections that the kernel still holds are reset.
    ///
    /// It takes at most `grace` and a few seconds, whatever clients, handlers and the log do.
    pub fn shutdown(mut self, grace: Duration) -> ShutdownReport {
        self.stop(grace)
    }

    fn stop(&mut self, grace: Duration) -> ShutdownReport {
        self.threads.take().map(|threads| threads.stop(grace)).unwrap_or_default()
    }
}

impl fmt::Debug for RunningServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunningServer").field("addresses", &self.addresses).finish_non_exhaustive()
    }
}

impl Drop for RunningServer {
    fn drop(&mut self) {
        self.stop(Duration::ZERO);
    }
}

/// Asks for a stop from any thread. Clones ask the same server.
#[derive(Clone, Debug, Default)]
pub struct StopHandle(Arc<(Mutex<bool>, Condvar)>);

impl StopHandle {
    /// Ends [`RunningServer::wait`], now and from now on.
    pub fn stop(&self) {
        *self.0.0.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.0.1.notify_all();
    }

    fn wait(&self) {
        let asked = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        drop(self.0.1.wait_while(asked, |asked| !*asked));
    }
}

/// The result of a shutdown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ShutdownReport {
    /// Sessions that had not ended by the deadline and were closed, and those whose clients may not have received
    /// everything.
    pub cut_off: usize,
    /// Sessions whose handler did not return even then. Their threads run until it does.
    pub abandoned: usize,
    /// The final totals.
    pub stats: Stats,
}

/// The threads of a running server, and what is needed to end them.
struct Threads {
    core: Arc<Core>,
    pool: ThreadPool,
    acceptors: Vec<(Arc<Listener>, JoinHandle<()>)>,
    reaper: Option<JoinHandle<()>>,
    linger: JoinHandle<()>,
    log: LimitedThread,
}

impl Threads {
    /// Gives the workers their jobs and starts the threads that admit clients.
    fn accept_on(&mut self, listeners: Vec<(usize, Listener)>) -> Result<(), Error> {
        for _ in 0..self.core.config.workers {
            let core = Arc::clone(&self.core);
            self.pool.execute(move || core.work());
        }
        let (core, number) = (Arc::clone(&self.core), listeners.len());
        self.reaper = Some(spawn("hebra-reaper", move || reaper::run(&core.beats[number], &core))?);
        for (number, (_, listener)) in listeners.into_iter().enumerate() {
            let listener = Arc::new(listener);
            let (accepting, core) = (Arc::clone(&listener), Arc::clone(&self.core));
            let thread = spawn("hebra-accept", move || acceptor::run(&accepting, &core.beats[number], &core))?;
            self.acceptors.push((listener, thread));
        }
        Ok(())
    }

    /// The stop order. Each step needs the ones before it.
    fn stop(self, grace: Duration) -> ShutdownReport {
        let Self { core, pool, acceptors, reaper, linger, log } = self;
        // 1. Every thread can see that the server stops. An acceptor that waits for a place is woken.
        core.token.trigger();
        core.linger.begin_drain();
        core.admission.begin_stop();
        // 2. The acceptors end and the listeners close. A client that was accepted is served if a worker is free, because
        // nobody else can serve it. Any other is refused.
        for (listener, _) in &acceptors {
            listener.wake();
        }
        for (listener, thread) in acceptors {
            join(thread);
            drop(listener);
        }
        let waiting = core.admission.close();
        if let Some(reaper) = reaper {
            join(reaper);
        }
        for arrival in waiting {
            core.refuse(arrival, RefuseReason::Shutdown);
        }
        // 3. Busy sessions answer what has arrived and end. Idle clients receive the end of the stream: their sessions
        // end when the clients close, or are ended a little later.
        let sessions = core.registry.begin_drain();
        core.sink.send(Event::Draining { sessions });
        let began = Instant::now();
        let mut outgoing = Outgoing::default();
        let left = || grace.saturating_sub(began.elapsed());
        let mut idle = false;
        while !idle && !left().is_zero() {
            idle = core.admission.wait_idle(SETTLE.min(left()));
            core.registry.half_close_idle();
            // An older reading does not know what was sent to the sessions that have just become idle.
            if began.elapsed() > SETTLE + LINGER && outgoing.refresh() {
                core.registry.end_half_closed(&outgoing);
            }
        }
        // What was sent by sessions that have ended is on its way to their clients. A worker hands its connection over
        // after it counts as idle, so the pool is joined first. That has no time limit, so only an idle pool is joined.
        if idle {
            pool.join();
        }
        core.linger.wait_empty(left());
        // 4. The other sessions are cut off, and what lingers is closed.
        let mut cut_off = 0;
        if !idle {
            core.token.cut();
            thread::sleep(DELAYED_ACKNOWLEDGEMENT);
            core.registry.half_close_idle();
            outgoing.read();
            cut_off = core.registry.cut(&outgoing);
            // Their connections are handed over first, so that the lingering thread asks the system once for all.
            if core.admission.wait_idle(LAST_WAIT) {
                pool.join();
            }
        }
        core.linger.finish();
        join(linger);
        cut_off += core.linger.undelivered();
        if cut_off > 0 {
            core.sink.send(Event::CutOff { sessions: cut_off });
        }
        let stats = core.stats();
        let report = ShutdownReport { cut_off, abandoned: stats.live, stats };
        drop(pool);
        // 5. The logging thread ends when its last sender is gone: this one, unless a handler still runs and holds
        // another.
        drop(core);
        log.end();
        report
    }
}
