//! UDP: [`UdpServer`] reports each datagram and, if asked to, echoes it (RFC 862) or lets a service answer it.
//!
//! It is built like [`Server`](crate::Server) and of the same parts: shutdown token, logging thread, back-off, and
//! resolution of names. It adds one thread for each socket, `hebra-udp`, and a second one, `hebra-udp-delay`,
//! if faults on purpose let answers wait. Only this module starts and ends its threads.

mod config;
mod receiver;
mod answers;
mod senders;
mod faulty;
mod late;
mod service;
mod socket;
mod event;
mod payload;
mod stats;

use std::fmt;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::OwnedFd;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex};

pub use self::config::UdpConfig;
pub use self::event::UdpEvent;
use self::faulty::FaultyAnswers;
use self::late::LateAnswers;
pub use self::payload::Payload;
use self::receiver::Shared;
use self::senders::SenderRates;
pub use self::service::Datagram;
use self::service::Service;
pub use self::stats::UdpStats;
use crate::error::Error;
use crate::events::{EventLog, Subscribers, Subscription};
use crate::faults::{AnswerChance, DatagramFaults};
use crate::net::addresses::{self, Sockets};
use crate::net::threads::LimitedThread;
use crate::shutdown::ShutdownToken;

/// A UDP server that listens and does not receive yet: the kernel holds what arrives, as far as it fits.
///
/// ```
/// use std::net::UdpSocket;
///
/// use hebra::{UdpConfig, UdpServer};
///
/// let config = UdpConfig::default().listen(["127.0.0.1:0"]).echo(true);
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
    sockets: Vec<Sockets<UdpSocket>>,
    /// With their positions among the names to listen on.
    addresses: Vec<(usize, SocketAddr)>,
    service: Option<Service>,
    faults: DatagramFaults,
}

impl UdpServer {
    /// Binds a socket to every address of `config`.
    ///
    /// # Errors
    ///
    /// [`Error`] names the field or the address that is in the way.
    pub fn bind(config: UdpConfig) -> Result<Self, Error> {
        config.validate()?;
        let names: Vec<&str> =
            config.listen.iter().map(|name| name.strip_prefix("udp://").unwrap_or(name)).collect();
        let sockets = addresses::bind(&names, &socket::open)?;
        Ok(Self::with(config, sockets))
    }

    fn with(config: UdpConfig, sockets: Vec<Sockets<UdpSocket>>) -> Self {
        let of = |(name, sockets): (usize, &Sockets<UdpSocket>)| {
            sockets.bound.iter().map(move |(address, _)| (name, *address)).collect::<Vec<_>>()
        };
        let addresses = sockets.iter().enumerate().flat_map(of).collect();
        Self { config, sockets, addresses, service: None, faults: DatagramFaults::default() }
    }

    /// Serves sockets that the caller has bound, for example those that a service manager passed to the process. It ignores
    /// [`listen`](UdpConfig::listen).
    ///
    /// # Errors
    ///
    /// [`Error`] names the field or the socket that is in the way.
    pub fn from_sockets(
        config: UdpConfig,
        sockets: impl IntoIterator<Item = impl Into<OwnedFd>>,
    ) -> Result<Self, Error> {
        config.validate_all_but_addresses()?;
        let failed = |cause| Error::Listen { address: "a socket that was passed in".to_owned(), cause };
        let adopt = |socket: OwnedFd| Ok(Sockets { bound: vec![socket::adopt(socket)?], skipped: Vec::new() });
        let sockets = sockets.into_iter().map(|socket| adopt(socket.into()).map_err(failed));
        Ok(Self::with(config, sockets.collect::<Result<_, _>>()?))
    }

    /// Lets a service of your own answer, in place of the echo.
    ///
    /// It is called for each datagram that may be answered at all, on the thread of its socket, and writes the answer
    /// into an empty buffer, which is used again. It returns whether the answer is sent; if not, that is
    /// counted ([`UdpStats::declined`]). The limits of an echo hold:
    /// the sender must look like a client, and [`rate`](UdpConfig::rate) counts first. Besides,
    /// [`amplification`](UdpConfig::amplification) bounds the length of the answer; [`Datagram::longest_answer`] says
    /// what is left. A longer answer is not sent, but counted ([`UdpStats::too_long`]). A panic costs one answer
    /// ([`UdpStats::panicked`]).
    ///
    /// ```
    /// use std::net::UdpSocket;
    ///
    /// use hebra::{UdpConfig, UdpServer};
    ///
    /// let server = UdpServer::bind(UdpConfig::default().listen(["127.0.0.1:0"]))?
    ///     .answer_with(|datagram, answer| {
    ///         answer.extend(datagram.payload.iter().rev());
    ///         !answer.is_empty()
    ///     })
    ///     .start()?;
    ///
    /// let client = UdpSocket::bind("127.0.0.1:0")?;
    /// client.send_to(b"Hola", server.local_addrs()[0])?;
    /// let mut answer = [0; 16];
    /// let (length, _) = client.recv_from(&mut answer)?;
    /// assert_eq!(&answer[..length], b"aloH");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn answer_with(
        self,
        service: impl Fn(&Datagram<'_>, &mut Vec<u8>) -> bool + Send + Sync + 'static,
    ) -> Self {
        Self { service: Some(Service::new(service)), ..self }
    }

    /// Makes faults on purpose in the answers, those of the echo and those of a service of your own.
    #[must_use]
    pub fn with_faults(self, faults: DatagramFaults) -> Self {
        Self { faults, ..self }
    }

    /// Returns the addresses listened on, with the ports that they really have.
    #[must_use]
    pub fn local_addrs(&self) -> Vec<SocketAddr> {
        self.addresses.iter().map(|(_, address)| *address).collect()
    }

    /// Returns them with their positions in [`listen`](UdpConfig::listen) or among the sockets that were passed in. A name
    /// may have several addresses.
    #[must_use]
    pub fn addresses(&self) -> &[(usize, SocketAddr)] {
        &self.addresses
    }

    /// Begins to receive.
    ///
    /// # Errors
    ///
    /// [`Error::Thread`] if a thread cannot be started, and [`Error::Config`] if a fault on purpose cannot work.
    pub fn start(self) -> Result<RunningUdpServer, Error> {
        self.faults.validate()?;
        let addresses = self.local_addrs();
        let Self { config, sockets, service, faults, .. } = self;
        let (sink, log) = EventLog::new(config.log_messages);
        let shared = Arc::new(Shared {
            addresses: addresses.clone(),
            rates: config.rate.map(|rate| Mutex::new(SenderRates::new(rate))),
            token: ShutdownToken::default(),
            counters: Arc::default(),
            sink,
            held: Arc::default(),
            service,
            config,
        });
        let (bound, skipped): (Vec<_>, Vec<_>) = sockets.into_iter().map(|of| (of.bound, of.skipped)).unzip();
        for (address, cause) in skipped.into_iter().flatten() {
            shared.sink.send(UdpEvent::AddressSkipped { address, cause });
        }

        let subscribers = log.subscribers();
        let stats_interval = shared.config.stats_interval;
        // No sink goes into this closure: the logging thread ends when the last sink is gone.
        let totals = {
            let (counters, counts) = (Arc::clone(&shared.counters), Arc::clone(shared.sink.counts()));
            let addresses = addresses.clone();
            move || counters.totals(counts.dropped(), &addresses)
        };
        let mut threads = Threads {
            receivers: Vec::new(),
            delays: Vec::new(),
            log: LimitedThread::start("hebra-log", move || log.run(stats_interval, totals))?,
            shared,
        };
        match threads.receive_on(bound.into_iter().flatten(), &faults) {
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
    subscribers: Subscribers<UdpEvent>,
    /// `None` once the server is stopped.
    threads: Option<Threads>,
}

impl RunningUdpServer {
    /// Returns the addresses listened on, with the ports that they really have.
    #[must_use]
    pub fn local_addrs(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Returns the totals at this moment. An answer may reach its sender before it is counted.
    #[must_use]
    pub fn stats(&self) -> UdpStats {
        self.threads.as_ref().map(|threads| threads.shared.stats()).unwrap_or_default()
    }

    /// Returns a copy of each event from now on, until the server has stopped. Datagrams are sampled as for the log
    /// ([`log_messages`](UdpConfig::log_messages), which is off by default), whatever the log's level is.
    #[must_use]
    pub fn subscribe(&self) -> Subscription<UdpEvent> {
        self.subscribers.subscribe()
    }

    /// Stops at once, and returns the final totals. Datagrams that the kernel still holds are lost, and so are answers that
    /// wait for faults on purpose.
    pub fn shutdown(mut self) -> UdpStats {
        self.stop()
    }

    fn stop(&mut self) -> UdpStats {
        self.threads.take().map(Threads::stop).unwrap_or_default()
    }
}

impl fmt::Debug for RunningUdpServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunningUdpServer").field("addresses", &self.addresses).finish_non_exhaustive()
    }
}

impl Drop for RunningUdpServer {
    fn drop(&mut self) {
        self.stop();
    }
}

/// The threads of a running UDP server, and what is needed to end them.
struct Threads {
    shared: Arc<Shared>,
    /// The sockets stay open until the kernel's drops are counted.
    receivers: Vec<(SocketAddr, Arc<UdpSocket>, LimitedThread)>,
    /// Send the answers that wait for faults on purpose.
    delays: Vec<(Arc<LateAnswers>, LimitedThread)>,
    log: LimitedThread,
}

impl Threads {
    fn receive_on(
        &mut self,
        sockets: impl Iterator<Item = (SocketAddr, UdpSocket)>,
        faults: &DatagramFaults,
    ) -> Result<(), Error> {
        for (number, (address, socket)) in (1..).zip(sockets) {
            let socket = Arc::new(socket);
            let chance = AnswerChance::new(faults, number);
            let can_wait = chance.as_ref().is_some_and(AnswerChance::can_wait);
            let late = can_wait.then(|| self.delay_on(&socket)).transpose()?;
            let faulty = chance.map(|chance| FaultyAnswers::new(chance, late));
            let (receiving, shared) = (Arc::clone(&socket), Arc::clone(&self.shared));
            let thread =
                LimitedThread::start("hebra-udp", move || receiver::run(&receiving, address, &shared, faulty))?;
            self.receivers.push((address, socket, thread));
        }
        Ok(())
    }

    /// Starts the thread that sends the late answers of a socket.
    fn delay_on(&mut self, socket: &Arc<UdpSocket>) -> Result<Arc<LateAnswers>, Error> {
        let late = Arc::new(LateAnswers::default());
        let (sent, socket, counters) = (Arc::clone(&late), Arc::clone(socket), Arc::clone(&self.shared.counters));
        let send =
            move |late: &late::Late| faulty::transmit(&socket, &counters, late.to, &late.answer, late.copies);
        self.delays.push((Arc::clone(&late), LimitedThread::start("hebra-udp-delay", move || sent.run(send))?));
        Ok(late)
    }

    /// The stop order: token, receivers, late answers, log.
    fn stop(self) -> UdpStats {
        let Self { shared, receivers, delays, log } = self;
        shared.token.trigger();
        let mut sockets = Vec::new();
        for (address, socket, thread) in receivers {
            socket::wake(address);
            thread.unpark();
            thread.end();
            sockets.push(socket);
        }
        for (late, thread) in delays {
            shared.counters.discarded.fetch_add(late.close() as u64, Relaxed);
            thread.end();
        }
        let stats = shared.stats();
        // The last sink, unless a receiver could not be woken.
        drop(shared);
        log.end();
        stats
    }
}
