//! UDP: [`UdpServer`] tells each datagram and, if asked to, echoes it (RFC 862).
//!
//! It has the shape of [`Server`](crate::Server), and its token, logging thread, pauses and names; a thread
//! for each socket, `hebra-udp`, is all it adds. Only this module starts and ends them.

mod config;
mod receiver;
mod answers;
mod rate;
mod socket;

use std::net::{SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex};

use crossbeam_channel::Receiver;

pub use self::config::UdpConfig;
use self::rate::RateLimit;
use self::receiver::{Echo, Shared};
use crate::events::{EventLog, EventSink, Subscribers};
use crate::net::addresses::{self, Sockets};
use crate::net::threads::LimitedThread;
use crate::shutdown::ShutdownToken;
use crate::{Error, Event, UdpStats};

/// A UDP server that listens and does not receive yet: the kernel holds what arrives, as far as it fits.
///
/// ```
/// use std::net::UdpSocket;
///
/// use hebra::{UdpConfig, UdpServer};
///
/// let config = UdpConfig { listen: vec!["127.0.0.1:0".into()], echo: true, ..UdpConfig::default() };
/// let server = UdpServer::bind(config)?.start()?;
///
/// let client = UdpSocket::bind("127.0.0.1:0")?;
/// client.send_to("¡Hola!".as_bytes(), server.local_addrs()[0])?;
/// let mut answer = [0; 16];
/// let (length, _) = client.recv_from(&mut answer)?;
/// assert_eq!(&answer[..length], "¡Hola!".as_bytes());
///
/// assert_eq!(server.shutdown().answers, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct UdpServer {
    config: UdpConfig,
    sockets: Sockets<UdpSocket>,
    addresses: Vec<SocketAddr>,
}

impl UdpServer {
    /// Binds a socket to every address of `config`.
    ///
    /// # Errors
    ///
    /// [`Error`] names the option or the address that stands in the way.
    pub fn bind(config: UdpConfig) -> Result<Self, Error> {
        config.validate()?;
        let sockets = addresses::bind(&config.listen, &socket::open)?;
        let addresses = sockets.addresses();
        Ok(Self { config, sockets, addresses })
    }

    /// The addresses listened on, with the ports they really have.
    pub fn local_addrs(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Begins to receive.
    ///
    /// # Errors
    ///
    /// [`Error::Thread`] if a thread cannot be started.
    pub fn start(self) -> Result<RunningUdpServer, Error> {
        let Self { config, sockets, addresses } = self;
        let (sink, events) = EventSink::new(config.log_messages);
        let shared = Arc::new(Shared {
            echo: config.echo.then(|| Echo {
                own_ports: addresses.iter().map(SocketAddr::port).collect(),
                rate_limit: config.rate.map(|rate| Mutex::new(RateLimit::new(rate))),
            }),
            token: ShutdownToken::default(),
            counters: Arc::default(),
            sink,
        });
        for (address, cause) in sockets.skipped {
            shared.sink.send(Event::AddressSkipped { address, cause });
        }

        let counts = Arc::clone(shared.sink.counts());
        let subscribers = Subscribers::new(&counts);
        // No sink goes into this closure: the logging thread ends when the last sink is gone.
        let stats = {
            let (counters, counts) = (Arc::clone(&shared.counters), Arc::clone(&counts));
            move || counters.totals(counts.dropped())
        };
        let log = EventLog::new(events, counts, subscribers.clone(), config.stats_interval, stats);
        let mut threads =
            Threads { receivers: Vec::new(), log: LimitedThread::start("hebra-log", move || log.run())?, shared };
        match threads.receive_on(sockets.bound) {
            Ok(()) => Ok(RunningUdpServer { addresses, subscribers, threads: Some(threads) }),
            Err(error) => {
                threads.stop();
                Err(error)
            }
        }
    }
}

/// A UDP server that receives, until it is shut down or dropped.
pub struct RunningUdpServer {
    addresses: Vec<SocketAddr>,
    subscribers: Subscribers,
    /// Taken when the server is stopped.
    threads: Option<Threads>,
}

impl RunningUdpServer {
    /// The addresses listened on, with the ports they really have.
    pub fn local_addrs(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// The totals at this moment. An answer may reach its sender before it is counted.
    pub fn stats(&self) -> UdpStats {
        self.threads.as_ref().map(|threads| threads.shared.stats()).unwrap_or_default()
    }

    /// A copy of each event from now on, until the server has stopped, as
    /// [`RunningServer::subscribe`](crate::RunningServer::subscribe) gives.
    pub fn subscribe(&self) -> Receiver<Event> {
        self.subscribers.subscribe()
    }

    /// Stops at once, and returns the final totals. Datagrams that the kernel still holds are lost.
    pub fn shutdown(mut self) -> UdpStats {
        self.stop()
    }

    fn stop(&mut self) -> UdpStats {
        self.threads.take().map(Threads::stop).unwrap_or_default()
    }
}

impl Drop for RunningUdpServer {
    fn drop(&mut self) {
        self.stop();
    }
}

/// The threads of a running UDP server, and what it takes to end them.
struct Threads {
    shared: Arc<Shared>,
    receivers: Vec<(SocketAddr, LimitedThread)>,
    log: LimitedThread,
}

impl Threads {
    fn receive_on(&mut self, sockets: Vec<(SocketAddr, UdpSocket)>) -> Result<(), Error> {
        for (address, socket) in sockets {
            let shared = Arc::clone(&self.shared);
            let thread = LimitedThread::start("hebra-udp", move || receiver::run(&socket, address, &shared))?;
            self.receivers.push((address, thread));
        }
        Ok(())
    }

    /// The stop order: token, receivers, log.
    fn stop(self) -> UdpStats {
        let Self { shared, receivers, log } = self;
        shared.token.trigger();
        for (address, thread) in receivers {
            socket::wake(address);
            thread.unpark();
            thread.end();
        }
        let stats = shared.stats();
        // The last sink, unless a receiver could not be woken.
        drop(shared);
        log.end();
        stats
    }
}
