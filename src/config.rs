//! Everything that can be set for a server, with its defaults, and the one place that checks it.

use std::net::IpAddr;
use std::time::Duration;

use crate::error::Error;
use crate::network::{self, Network};
use crate::protocol::Framing;

/// What a server listens on, how many clients it takes, and how long it waits for them.
///
/// Begin with the defaults and change what you need. Each field has a method of its name, so that changes chain:
///
/// ```
/// use std::time::Duration;
///
/// use hebra::ServerConfig;
///
/// let config = ServerConfig::default()
///     .listen(["127.0.0.1:0"])
///     .workers(8)
///     .idle_timeout(Duration::from_secs(60))
///     .yield_after(None);
/// assert!(config.validate().is_ok());
/// ```
///
/// A time limit of `None` is no limit. The defaults fit a limit of 1,024 open descriptors: 512 clients that are
/// served, 256 that wait, and up to 128 connections that are being closed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerConfig {
    /// The addresses to listen on, each `HOST:PORT` or `tcp://HOST:PORT`. Every address that a name resolves to is used.
    /// Port 0 takes a free port. Broadcast and multicast addresses are refused. `unix:/path` listens on a Unix socket,
    /// and `unix:@name` on one without a file (Linux). A socket file on which no program answers is replaced, and the file
    /// is removed at the stop. Default: `localhost:1234`.
    pub listen: Vec<String>,
    /// The permissions of the socket files of `listen`: to connect takes the right to write. Default: 0o660.
    pub unix_mode: u32,
    /// Clients served at once: the size of the thread pool. A worker costs address space and about 10 KB of
    /// memory, idle ones included; a session whose client has sent much holds up to 256 KiB more for its read
    /// buffer. Default: 512.
    pub workers: usize,
    /// Clients that may wait for a worker. A longer queue refuses fewer clients and lets them wait longer.
    /// Default: 256.
    pub max_pending: usize,
    /// What happens to a client that finds the queue full. Default: [`WhenFull::Busy`].
    pub when_full: WhenFull,
    /// How long a client may wait for a worker before it is refused. Default: 10 s.
    pub queue_timeout: Option<Duration>,
    /// How long a session may receive nothing. A short limit ends forgotten connections sooner, and slow typists
    /// too. Default: 5 min.
    pub idle_timeout: Option<Duration>,
    /// When clients wait and no worker is free, a session that has received nothing for longer than this gives up
    /// its worker, the longest idle one first. Without a queue ([`max_pending`](Self::max_pending) of 0 and
    /// [`WhenFull::Busy`]) no client can wait, so no session gives up. Default: 60 s.
    pub yield_after: Option<Duration>,
    /// How long a session may last, however busy it is. A reply that is being sent is finished, or runs into its
    /// own limit. Default: `None`.
    pub max_lifetime: Option<Duration>,
    /// Connections that one peer may have at a time, waiting ones included. A peer is one IPv4 address, or one IPv6
    /// network of 64 bits. Default: `None`.
    pub max_per_ip: Option<usize>,
    /// Proxies that name their clients: connections from these networks must begin with a header of the PROXY protocol,
    /// version 1 or 2, within 3 seconds of the accept, or are closed. The address that it names is the client's from then
    /// on, for the log, `max_per_ip`, `allow` and `deny`. No header is looked for in connections from elsewhere. Default:
    /// none.
    pub proxy_protocol: Vec<Network>,
    /// If any are given, only clients from these networks are let in. It does not concern Unix sockets. Default: none.
    pub allow: Vec<Network>,
    /// Clients from these networks are not let in, whatever `allow` says. Default: none.
    pub deny: Vec<Network>,
    /// How long the client may take to accept one reply, however often it reads a little. Without a limit a client
    /// that does not read can hold its worker until the server stops. Default: 30 s.
    pub write_timeout: Option<Duration>,
    /// What a message is. Default: [`Framing::Message`].
    pub framing: Framing,
    /// The longest line in the line framings, in bytes, without its line feed. A session that receives one can
    /// hold a few times as much memory until it ends. Default: 64 KiB.
    pub max_line: usize,
    /// The bytes that may wait to be sent to a client that is pushed to ([`ClientHandle`](crate::ClientHandle)). A
    /// client that lets more wait is disconnected. A session can hold twice as much for a moment. Default: 256 KiB.
    pub max_outgoing: usize,
    /// Connections that the kernel may hold before they are accepted. The kernel may lower this without saying so
    /// (`net.core.somaxconn` on Linux). Default: 1,024.
    pub backlog: u32,
    /// The stack of each worker, and of each writer thread, in bytes. It is address space: only the pages that a
    /// handler touches take memory. Handlers that recurse or keep large arrays need more. Default: 256 KiB.
    pub stack_size: usize,
    /// How long a session polls for its next message before it sleeps: busy-polling. It saves the wake-up, so a
    /// client that answers within this time is answered sooner, and it keeps a core busy meanwhile. A session
    /// polls only while that pays, and fewer sessions poll at once than there are cores. Sessions that are pushed
    /// to never poll. Default: `None`.
    pub busy_poll: Option<Duration>,
    /// How many messages are logged, each with how it begins. Default: [`LogMessages::Off`], because what clients
    /// send to a service of yours may not belong in a log.
    pub log_messages: LogMessages,
    /// How many lines are logged of clients that connect, leave or are refused; what is left out is counted.
    /// Default: [`LogMessages::All`].
    pub log_sessions: LogMessages,
    /// How often totals are logged. Default: `None`, never.
    pub stats_interval: Option<Duration>,
    /// The target of its lines in the log, for a server that is only a part of a program, such as one that answers
    /// questions about another. What has level info is then logged at level debug. Default: `None`, which is `hebra` with
    /// the usual levels.
    pub log_target: Option<&'static str>,
    /// How often each acceptor and the reaper show that they run, for a watchdog ([`Monitor::stalled_for`]). It costs one
    /// system call for each TCP connection. Default: `None`, never.
    ///
    /// [`Monitor::stalled_for`]: crate::Monitor::stalled_for
    pub heartbeat: Option<Duration>,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            listen: vec!["localhost:1234".to_owned()],
            unix_mode: 0o660,
            workers: 512,
            max_pending: 256,
            when_full: WhenFull::Busy,
            queue_timeout: Some(Duration::from_secs(10)),
            idle_timeout: Some(Duration::from_secs(5 * 60)),
            write_timeout: Some(Duration::from_secs(30)),
            yield_after: Some(Duration::from_secs(60)),
            max_lifetime: None,
            max_per_ip: None,
            proxy_protocol: Vec::new(),
            allow: Vec::new(),
            deny: Vec::new(),
            framing: Framing::Message,
            max_line: 64 * 1024,
            max_outgoing: 256 * 1024,
            backlog: 1024,
            stack_size: 256 * 1024,
            busy_poll: None,
            log_messages: LogMessages::Off,
            log_sessions: LogMessages::All,
            stats_interval: None,
            log_target: None,
            heartbeat: None,
        }
    }
}

/// Defines a chainable method for each field of a configuration. A method of an `Option<Duration>` takes a
/// `Duration` or `None`.
macro_rules! setters {
    ($config:ident { listen, $($field:ident: $type:ty,)* }) => {
        impl $config {
            /// Sets the addresses to listen on.
            #[must_use]
            pub fn listen(mut self, addresses: impl IntoIterator<Item = impl Into<String>>) -> Self {
                self.listen = addresses.into_iter().map(Into::into).collect();
                self
            }
        }
        setters!($config { $($field: $type,)* });
    };
    ($config:ident { $($field:ident: $type:ty,)* }) => {
        impl $config {
            $(
                #[doc = concat!("Sets [`", stringify!($field), "`](#structfield.", stringify!($field), ").")]
                #[must_use]
                pub fn $field(mut self, $field: $type) -> Self {
                    self.$field = $field.into();
                    self
                }
            )*
        }
    };
}
pub(crate) use setters;

setters!(ServerConfig {
    listen,
    unix_mode: u32,
    workers: usize,
    max_pending: usize,
    when_full: WhenFull,
    queue_timeout: impl Into<Option<Duration>>,
    idle_timeout: impl Into<Option<Duration>>,
    yield_after: impl Into<Option<Duration>>,
    max_lifetime: impl Into<Option<Duration>>,
    max_per_ip: Option<usize>,
    proxy_protocol: Vec<Network>,
    allow: Vec<Network>,
    deny: Vec<Network>,
    write_timeout: impl Into<Option<Duration>>,
    framing: Framing,
    max_line: usize,
    max_outgoing: usize,
    backlog: u32,
    stack_size: usize,
    busy_poll: impl Into<Option<Duration>>,
    log_messages: LogMessages,
    log_sessions: LogMessages,
    stats_interval: impl Into<Option<Duration>>,
    log_target: impl Into<Option<&'static str>>,
    heartbeat: impl Into<Option<Duration>>,
});

/// What happens to a client that finds all workers taken and the queue full.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum WhenFull {
    /// It receives one line, `busy: ...`, and a clean close.
    #[default]
    Busy,
    /// No client is accepted until a place is free: the kernel's backlog holds the others.
    Wait,
}

/// How many messages, or lines of sessions, are logged. Totals are always exact.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LogMessages {
    /// As many as the log can take.
    All,
    /// Up to this many a second. The others are counted, and their number is logged.
    PerSecond(u32),
    /// None.
    Off,
}

/// Connections that may linger at once while they are closed; further ones are closed without waiting. It bounds
/// descriptors, and the defaults leave room for it.
pub(crate) const LINGERING: usize = 128;

/// The smallest stack of a worker: a session's calls and the report of a panic fit into it.
const MIN_STACK: usize = 32 * 1024;

/// The largest stack of a worker: more than any handler needs, and small enough to catch a typing error.
const MAX_STACK: usize = 1 << 30;

/// The longest time limit: it fits the kernel's socket timeouts on every platform.
pub(crate) const MAX_TIMEOUT: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// The longest busy-polling: after that long, the wake-up from a sleep no longer matters.
const MAX_BUSY_POLL: Duration = Duration::from_millis(1);

/// Descriptors for everything but clients: listeners, standard streams, a logger's file.
const OTHER_DESCRIPTORS: u64 = 32;

impl ServerConfig {
    /// Returns whether `allow` and `deny` let in a client at `address`.
    pub(crate) fn lets_in(&self, address: IpAddr) -> bool {
        network::lets_in(&self.allow, &self.deny, address)
    }

    /// Returns whether `address` is a proxy's.
    pub(crate) fn is_proxy(&self, address: IpAddr) -> bool {
        network::is_in_any(&self.proxy_protocol, address)
    }

    /// Returns how many descriptors a server with this configuration can need at most: for clients that are served
    /// and that wait, for connections that are being closed, and for the server itself.
    ///
    /// A program may raise its soft limit to that. A server logs a warning if the limit is lower.
    #[must_use]
    pub fn descriptors(&self) -> u64 {
        let clients = self.workers.saturating_add(self.max_pending).saturating_add(LINGERING);
        (clients as u64).saturating_add(OTHER_DESCRIPTORS)
    }

    /// Checks every field. [`Server::bind`](crate::Server::bind) does so too.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] with the first field that cannot work.
    pub fn validate(&self) -> Result<(), Error> {
        require_addresses(&self.listen)?;
        self.validate_all_but_addresses()
    }

    /// Checks every field but `listen`, for a server that is given its listeners.
    pub(crate) fn validate_all_but_addresses(&self) -> Result<(), Error> {
        require(self.unix_mode <= 0o777, "unix_mode", "must be at most 0777")?;
        require(self.workers > 0, "workers", "must be at least 1")?;
        require(self.workers.checked_add(self.max_pending).is_some(), "max_pending", "is too large")?;
        require(self.max_per_ip != Some(0), "max_per_ip", "must be at least 1, or off")?;
        require(self.max_line > 0, "max_line", "must be at least 1 byte")?;
        require(self.max_outgoing > 0, "max_outgoing", "must be at least 1 byte")?;
        require(self.backlog > 0, "backlog", "must be at least 1")?;
        require(i32::try_from(self.backlog).is_ok(), "backlog", "must be less than 2^31")?;
        require(self.stack_size >= MIN_STACK, "stack_size", "must be at least 32 KiB")?;
        require(self.stack_size <= MAX_STACK, "stack_size", "must be at most 1 GiB")?;
        let busy_poll = self.busy_poll.unwrap_or(MAX_BUSY_POLL);
        require(!busy_poll.is_zero(), "busy_poll", "must be more than 0, or off")?;
        require(busy_poll <= MAX_BUSY_POLL, "busy_poll", "must be at most 1 ms, or off")?;
        let limits = [
            ("queue_timeout", self.queue_timeout),
            ("idle_timeout", self.idle_timeout),
            ("write_timeout", self.write_timeout),
            ("yield_after", self.yield_after),
            ("max_lifetime", self.max_lifetime),
            ("stats_interval", self.stats_interval),
            ("heartbeat", self.heartbeat),
        ];
        limits.into_iter().try_for_each(|(field, limit)| require_limit(field, limit))
    }
}

/// Fails with `problem` unless a condition on a field holds.
pub(crate) fn require(holds: bool, field: &'static str, problem: &'static str) -> Result<(), Error> {
    if holds { Ok(()) } else { Err(Error::Config { field, problem }) }
}

/// Fails unless there is something to listen on.
pub(crate) fn require_addresses(listen: &[String]) -> Result<(), Error> {
    require(!listen.is_empty(), "listen", "needs at least one address")
}

/// Fails unless a time limit is within the range that sockets can keep.
pub(crate) fn require_limit(field: &'static str, limit: Option<Duration>) -> Result<(), Error> {
    let limit = limit.unwrap_or(MAX_TIMEOUT);
    require(limit >= Duration::from_millis(1), field, "must be at least 1 ms, or off")?;
    require(limit <= MAX_TIMEOUT, field, "must be at most a year, or off")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_valid() {
        assert!(ServerConfig::default().validate().is_ok());
    }

    #[test]
    fn the_defaults_fit_a_limit_of_1024_descriptors() {
        assert!(ServerConfig::default().descriptors() <= 1024);
    }

    #[test]
    fn the_limits_of_each_value_are_valid_and_one_step_beyond_is_not() {
        const KIB: usize = 1024;
        let year = Duration::from_secs(31_536_000);
        let config = ServerConfig::default;
        for valid in [
            config().stack_size(32 * KIB),
            config().stack_size(KIB * KIB * KIB),
            config().idle_timeout(year),
            config().idle_timeout(Duration::from_millis(1)),
            config().busy_poll(Duration::from_millis(1)),
            config().backlog(i32::MAX.unsigned_abs()),
        ] {
            assert!(valid.validate().is_ok(), "{valid:?}");
        }
        for invalid in [
            config().stack_size(32 * KIB - 1),
            config().stack_size(KIB * KIB * KIB + 1),
            config().idle_timeout(year + Duration::from_nanos(1)),
            config().idle_timeout(Duration::from_nanos(999_999)),
            config().busy_poll(Duration::from_nanos(1_000_001)),
            config().backlog(i32::MAX.unsigned_abs() + 1),
        ] {
            assert!(invalid.validate().is_err(), "{invalid:?}");
        }
    }

    #[test]
    fn descriptors_are_enough_for_all_clients_and_a_few_more() {
        let config = ServerConfig::default().workers(3).max_pending(5);
        assert_eq!(config.descriptors(), 3 + 5 + LINGERING as u64 + OTHER_DESCRIPTORS);
    }

    #[test]
    fn each_bad_value_is_named() {
        let config = ServerConfig::default;
        let cases = [
            ("listen", config().listen([""; 0])),
            ("workers", config().workers(0)),
            ("max_pending", config().max_pending(usize::MAX)),
            ("max_line", config().max_line(0)),
            ("max_outgoing", config().max_outgoing(0)),
            ("busy_poll", config().busy_poll(Duration::ZERO)),
            ("busy_poll", config().busy_poll(Duration::from_secs(1))),
            ("backlog", config().backlog(0)),
            ("backlog", config().backlog(u32::MAX)),
            ("stack_size", config().stack_size(1)),
            ("stack_size", config().stack_size(usize::MAX)),
            ("queue_timeout", config().queue_timeout(Duration::ZERO)),
            ("idle_timeout", config().idle_timeout(Duration::from_nanos(1))),
            ("write_timeout", config().write_timeout(Duration::MAX)),
            ("yield_after", config().yield_after(Duration::ZERO)),
            ("max_lifetime", config().max_lifetime(Duration::ZERO)),
            ("stats_interval", config().stats_interval(Duration::ZERO)),
            ("max_per_ip", config().max_per_ip(Some(0))),
        ];
        for (name, config) in cases {
            match config.validate() {
                Err(Error::Config { field, .. }) => assert_eq!(field, name),
                other => panic!("{name}: {other:?}"),
            }
        }
    }
}
