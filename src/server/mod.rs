//! [`Server`] and [`RunningServer`]: how the parts are wired, and the only place with the stop order.
//!
//! The threads of a running server, all named `hebra-...`: an acceptor for each listener, the workers of the
//! pool, the lingering thread, the reaper, the logging thread. Only this module starts and ends them.

mod acceptor;
mod admission;
// Not inside `admission`, which `tests/model` builds a second time.
#[cfg(test)]
mod admission_tests;
mod sync;
mod worker;
mod semaphore;
mod registry;
mod reaper;
mod pool;

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::Receiver;
use threadpool::ThreadPool;

use self::admission::Admission;
use self::semaphore::Semaphore;
use self::worker::Core;
use crate::events::{EventLog, EventSink, Subscribers};
use crate::net::addresses::Sockets;
use crate::net::per_peer::Peers;
use crate::net::threads::{LAST_WAIT, LimitedThread, join, spawn};
use crate::net::{limits, listener};
use crate::session::{BusyPoll, Connection, LINGER, Linger, Writers, linger};
use crate::shutdown::ShutdownToken;
use crate::{Error, Event, Handler, RefuseReason, ServerConfig, Stats};

/// How long the sessions of a stopping server have to take up what has arrived, before those that wait for
/// their clients count as silent; and how often that is looked at.
const SETTLE: Duration = Duration::from_millis(100);

/// Makes a client's handler.
type HandlerFactory = dyn Fn(&Connection<'_>) -> Box<dyn Handler> + Send + Sync;

/// A server that listens and does not accept yet: clients that connect are held by the kernel.
pub struct Server {
    config: ServerConfig,
    factory: Box<HandlerFactory>,
    listeners: Sockets<TcpListener>,
    addresses: Vec<SocketAddr>,
    pool: ThreadPool,
}

impl Server {
    /// Listens on every address of `config` and starts the workers. `factory` makes the handler of each
    /// client, on the worker that serves it.
    ///
    /// # Errors
    ///
    /// [`Error`] names the option, the address or the limit that stands in the way.
    pub fn bind<H: Handler + 'static>(
        config: ServerConfig,
        factory: impl Fn(&Connection<'_>) -> H + Send + Sync + 'static,
    ) -> Result<Self, Error> {
        config.validate()?;
        let listeners = listener::bind(&config.listen, config.backlog, config.write_timeout)?;
        let pool = pool::start(config.workers, config.stack_size)?;
        let factory =
            Box::new(move |connection: &Connection<'_>| -> Box<dyn Handler> { Box::new(factory(connection)) });
        let addresses = listeners.addresses();
        Ok(Self { config, factory, listeners, addresses, pool })
    }

    /// The addresses listened on, with the ports they really have.
    pub fn local_addrs(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Begins to accept.
    ///
    /// # Errors
    ///
    /// [`Error::Thread`] if a thread cannot be started, [`Error::Workers`] if there are no descriptors left.
    pub fn start(self) -> Result<RunningServer, Error> {
        let Self { config, factory, listeners, addresses, pool } = self;
        let sleep = Semaphore::new()
            .map_err(|cause| Error::Workers { workers: config.workers, cause: cause.to_string() })?;
        let (sink, events) = EventSink::new(config.log_messages);
        let (lingering, leaving) = Linger::new();
        let core = Arc::new(Core {
            admission: Arc::new(Admission::new(config.workers, config.max_pending, sleep)),
            peers: config.max_per_ip.map(|limit| Arc::new(Peers::new(limit))),
            registry: Arc::default(),
            token: ShutdownToken::default(),
            busy_poll: config.busy_poll.map(BusyPoll::new),
            writers: Writers::new(config.workers),
            factory,
            config,
            linger: lingering,
            sink,
        });
        for warning in limits::warnings(&core.config) {
            core.sink.send(warning);
        }
        for (address, cause) in listeners.skipped {
            core.sink.send(Event::AddressSkipped { address, cause });
        }

        let subscribers = Subscribers::new(core.sink.counts());
        let counts = Arc::clone(core.sink.counts());
        // No sink goes into this closure: the logging thread ends when the last sink is gone.
        let stats = {
            let (registry, admission) = (Arc::clone(&core.registry), Arc::clone(&core.admission));
            let counts = Arc::clone(&counts);
            move || worker::stats(&registry, &admission, &counts)
        };
        let log = EventLog::new(events, counts, subscribers.clone(), core.config.stats_interval, stats);
        let mut threads = Threads {
            acceptors: Vec::new(),
            reaper: None,
            linger: spawn("hebra-linger", move || linger(&leaving))?,
            log: LimitedThread::start("hebra-log", move || log.run())?,
            core,
            pool,
        };
        match threads.accept_on(listeners.bound) {
            Ok(()) => Ok(RunningServer { addresses, subscribers, threads: Some(threads) }),
            Err(error) => {
                threads.stop(Duration::ZERO);
                Err(error)
            }
        }
    }
}

/// A server that accepts. Dropping it stops it without a drain; [`RunningServer::shutdown`] drains.
pub struct RunningServer {
    addresses: Vec<SocketAddr>,
    subscribers: Subscribers,
    /// Taken when the server is stopped.
    threads: Option<Threads>,
}

impl RunningServer {
    /// The addresses listened on, with the ports they really have.
    pub fn local_addrs(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// The totals at this moment. They are exact: what a client has seen the end of is counted.
    pub fn stats(&self) -> Stats {
        self.threads.as_ref().map(|threads| threads.core.stats()).unwrap_or_default()
    }

    /// A copy of each event from now on, until the server has stopped.
    ///
    /// A subscriber that lets 4,096 events wait misses the next. Messages are sampled as for the log
    /// ([`log_messages`](ServerConfig::log_messages)), whatever the log's level.
    pub fn subscribe(&self) -> Receiver<Event> {
        self.subscribers.subscribe()
    }

    /// Stops: accepts nobody any more, answers what has been received, and waits up to `grace` for the
    /// sessions to end before it closes the rest. Connections that the kernel still holds are reset.
    ///
    /// It takes at most `grace` and a few seconds, whatever clients, handlers and the log do.
    pub fn shutdown(mut self, grace: Duration) -> ShutdownReport {
        self.stop(grace)
    }

    fn stop(&mut self, grace: Duration) -> ShutdownReport {
        self.threads.take().map(|threads| threads.stop(grace)).unwrap_or_default()
    }
}

impl Drop for RunningServer {
    fn drop(&mut self) {
        self.stop(Duration::ZERO);
    }
}

/// How a shutdown went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ShutdownReport {
    /// Sessions that had not ended by the deadline and were closed.
    pub cut_off: usize,
    /// Sessions whose handler did not return even then. Their threads go on until it does.
    pub abandoned: usize,
    /// The final totals.
    pub stats: Stats,
}

/// The threads of a running server, and what it takes to end them.
struct Threads {
    core: Arc<Core>,
    pool: ThreadPool,
    acceptors: Vec<(SocketAddr, Arc<TcpListener>, JoinHandle<()>)>,
    reaper: Option<JoinHandle<()>>,
    linger: JoinHandle<()>,
    log: LimitedThread,
}

impl Threads {
    /// Sets the workers to work and starts the threads that let clients in.
    fn accept_on(&mut self, listeners: Vec<(SocketAddr, TcpListener)>) -> Result<(), Error> {
        for _ in 0..self.core.config.workers {
            let core = Arc::clone(&self.core);
            self.pool.execute(move || core.work());
        }
        let core = Arc::clone(&self.core);
        self.reaper = Some(spawn("hebra-reaper", move || reaper::run(&core))?);
        for (address, listener) in listeners {
            let listener = Arc::new(listener);
            let (accepting, core) = (Arc::clone(&listener), Arc::clone(&self.core));
            let thread = spawn("hebra-accept", move || acceptor::run(&accepting, address, &core))?;
            self.acceptors.push((address, listener, thread));
        }
        Ok(())
    }

    /// The stop order. Each step needs the ones before it.
    fn stop(self, grace: Duration) -> ShutdownReport {
        let Self { core, pool, acceptors, reaper, linger, log } = self;
        // 1. Everyone can see it; nobody new gets in, and an acceptor that waits for a place is woken.
        core.token.trigger();
        let waiting = core.admission.close();
        // 2. The acceptors end and the listeners close.
        for (address, listener, thread) in acceptors {
            listener::wake(&listener, address);
            join(thread);
        }
        if let Some(reaper) = reaper {
            join(reaper);
        }
        for arrival in waiting {
            core.refuse(arrival, RefuseReason::Shutdown);
        }
        // 3. Busy sessions answer what has arrived and end. Clients that are silent once that has settled are
        // told the end; they close, or have their sessions ended.
        let sessions = core.registry.begin_drain();
        core.sink.send(Event::Draining { sessions });
        let began = Instant::now();
        let mut idle = false;
        while !idle && began.elapsed() < grace {
            idle = core.admission.wait_idle(SETTLE.min(grace.saturating_sub(began.elapsed())));
            core.registry.finish_silent();
            if began.elapsed() > SETTLE + LINGER {
                core.registry.end_finished();
            }
        }
        // 4. The rest is closed.
        let mut cut_off = 0;
        if !idle {
            core.token.cut();
            cut_off = core.registry.cut();
            if cut_off > 0 {
                core.sink.send(Event::CutOff { sessions: cut_off });
            }
            idle = core.admission.wait_idle(LAST_WAIT);
        }
        let stats = core.stats();
        let report = ShutdownReport { cut_off, abandoned: stats.live, stats };
        // 5. The pool. Its join has no time limit, so it is for an idle pool only.
        if idle {
            pool.join();
        }
        drop(pool);
        // 6. The lingering and the logging thread end when their last sender is gone: with this, unless a
        // handler still runs and holds one.
        drop(core);
        if idle {
            join(linger);
        }
        log.end();
        report
    }
}
