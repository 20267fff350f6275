//! `--admin`: what platforms and people ask a running server, over HTTP.
//!
//! It is a service of the library like any other: a [`Handler`](hebra::Handler) on a [`Server`] of its own, with its own
//! workers. So it answers while every worker of the service is taken, and its connections are in no total of the service.
//! What HTTP means is in `exchange` and `answer`; the other files each make one page.

mod exchange;
mod answer;
mod metrics;
mod sessions;
mod history;
mod page;

use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded};
use hebra::{Error, Framing, ListenAddress, Monitor, RunningServer, Server, ServerConfig, Stats, WhenFull};

use self::answer::Pages;
use self::exchange::Exchange;
use self::history::History;
use super::process::logging;
use super::process::signals::Stop;
use super::process::threads::spawn;

/// How long a stop waits for answers that are under way.
const GRACE: Duration = Duration::from_millis(500);

/// How long the end waits for the thread that samples, which never takes long.
const LAST_WAIT: Duration = Duration::from_secs(1);

/// Returns the configuration of the admin server at `address`.
///
/// A request is one packet, so a client that is silent gives its worker up soon ([`Exchange`] does the same with slow
/// ones). There are so many workers that a few hundred such clients, who come back at once, do not make a probe wait for
/// the second that Kubernetes allows: with 200 of them it takes a tenth of that. Further connections wait in the kernel: what is refused here would get a line that is not HTTP.
pub(in crate::cli) fn config(address: &str) -> ServerConfig {
    ServerConfig::default()
        .listen([address])
        .workers(64)
        .stack_size(128 * 1024)
        .max_pending(16)
        .when_full(WhenFull::Wait)
        .queue_timeout(None)
        .idle_timeout(Duration::from_secs(5))
        .yield_after(Duration::from_millis(25))
        .max_lifetime(Duration::from_secs(5))
        .write_timeout(Duration::from_secs(10))
        .framing(Framing::Raw)
        .log_target(logging::ADMIN)
}

/// What the pages are made of.
#[derive(Debug)]
struct Source {
    /// The service. It is set before the first request.
    service: OnceLock<Monitor>,
    /// The admin server itself.
    own: OnceLock<Monitor>,
    /// The totals when they were last looked at: the service may have stopped since.
    last: Mutex<Stats>,
    workers: usize,
    stop: Stop,
}

impl Source {
    /// Returns the totals of the service, which stay after its end.
    fn stats(&self) -> Stats {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(stats) = self.service.get().and_then(Monitor::stats) {
            *last = stats;
        }
        *last
    }

    /// Returns whether clients of the admin server wait for a worker.
    fn is_busy(&self) -> bool {
        self.own.get().and_then(Monitor::stats).is_some_and(|stats| stats.waiting > 0)
    }

    /// Returns whether new clients are welcome: no stop was asked for.
    fn is_ready(&self) -> bool {
        !self.stop.is_asked()
    }
}

/// An admin server that listens and does not answer yet.
pub(in crate::cli) struct BoundAdmin {
    server: Server,
    source: Arc<Source>,
    history: Arc<History>,
}

impl BoundAdmin {
    /// Listens on every address of `address`. It is about a service with so many `workers`, which is asked to end with
    /// `stop`.
    ///
    /// # Errors
    ///
    /// As for [`Server::bind`].
    pub(in crate::cli) fn bind(address: &str, workers: usize, stop: Stop) -> Result<Self, Error> {
        let source = Arc::new(Source {
            service: OnceLock::new(),
            own: OnceLock::new(),
            last: Mutex::default(),
            workers,
            stop,
        });
        let history = Arc::new(History::new(Arc::clone(&source)));
        let pages = Arc::new(Pages::new(Arc::clone(&source), Arc::clone(&history)));
        let server =
            Server::bind(config(address), move |session| Exchange::new(Arc::clone(&pages), session.listener()))?;
        Ok(Self { server, source, history })
    }

    /// Returns the addresses listened on.
    pub(in crate::cli) fn addresses(&self) -> impl Iterator<Item = &ListenAddress> {
        self.server.addresses().iter().map(|(_, address)| address)
    }

    /// Begins to answer, about `service`.
    ///
    /// # Errors
    ///
    /// If the system refuses a thread or a descriptor.
    pub(in crate::cli) fn start(self, service: Monitor) -> Result<Admin, Error> {
        let Self { server, source, history } = self;
        // Each is set once.
        let _ = source.service.set(service);
        let (alive, end) = bounded(0);
        let sampled = spawn("hebra-admin", move || history.run(&end))?;
        let server = server.start()?;
        let _ = source.own.set(server.monitor());
        Ok(Admin { server, source, alive, sampled })
    }
}

/// An admin server that answers.
pub(in crate::cli) struct Admin {
    server: RunningServer,
    source: Arc<Source>,
    /// The thread that samples ends when this is dropped.
    alive: Sender<()>,
    sampled: Receiver<()>,
}

impl Admin {
    /// Stops. It is called last, with the final totals of the service.
    pub(in crate::cli) fn end(self, totals: Stats) {
        *self.source.last.lock().unwrap_or_else(PoisonError::into_inner) = totals;
        drop(self.alive);
        self.server.shutdown(GRACE);
        // Nothing is sent: the wait ends with the thread.
        let _ = self.sampled.recv_timeout(LAST_WAIT);
    }
}
