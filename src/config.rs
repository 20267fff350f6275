//! Everything an operator may set, with its default, and the one place that checks it.

use std::time::Duration;

use crate::Error;
use crate::session::LINGERING;

/// What a server listens on, how many clients it takes, and where its patience ends.
///
/// ```
/// use hebra::ServerConfig;
///
/// let config = ServerConfig { listen: vec!["127.0.0.1:0".into()], workers: 8, ..ServerConfig::default() };
/// assert!(config.validate().is_ok());
/// ```
///
/// A time limit of `None` is no limit. The defaults fit a limit of 1,024 open descriptors: 512 running and
/// 256 waiting clients, and up to 128 connections on their way out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerConfig {
    /// Addresses to listen on, each `HOST:PORT`; every address a name resolves to is used. Port 0 takes a
    /// free one. Broadcast and multicast addresses are refused. Default: `localhost:1234`.
    pub listen: Vec<String>,
    /// Clients served at once: the size of the thread pool. More workers cost address space and about
    /// 10 KB of memory each, idle ones included, and a session whose client has sent much up to 256 KiB for its
    /// read buffer. Default: 512.
    pub workers: usize,
    /// Clients that may wait for a worker. A longer queue refuses fewer and lets them wait longer.
    /// Default: 256.
    pub max_pending: usize,
    /// What happens to a client that finds the queue full. Default: [`WhenFull::Busy`].
    pub when_full: WhenFull,
    /// How long a client may wait for a worker before it is refused. Default: 10 s.
    pub queue_timeout: Option<Duration>,
    /// How long a session may hear nothing from its client. It ends a forgotten connection; too short, it
    /// ends slow typists too. Default: 5 min.
    pub idle_timeout: Option<Duration>,
    /// When clients wait and no worker is free, a session that was last heard of longer ago than this gives its
    /// worker up, the longest silent one first. Without a queue ([`max_pending`](Self::max_pending) of 0 and
    /// [`WhenFull::Busy`]) nobody can wait, and nobody gives up. Shorter, newcomers wait less; longer, the silent are left
    /// alone. Default: 60 s.
    pub yield_after: Option<Duration>,
    /// How long a session may last, however busy it is; a reply that is being sent is finished, or runs into
    /// its own limit. Default: `None`.
    pub max_lifetime: Option<Duration>,
    /// Connections that one peer may have at a time, waiting ones included: one IPv4 address, or one IPv6
    /// network of 64 bits. Default: `None`, as many as there are.
    pub max_per_ip: Option<usize>,
    /// How long the client may take to accept one reply, however often it reads a little. Without a limit a
    /// client that does not read can hold its worker until the server stops. Default: 30 s.
    pub write_timeout: Option<Duration>,
    /// What a message is. Default: [`Framing::Message`].
    pub framing: Framing,
    /// The longest line in [`Framing::Line`], in bytes, its line feed not counted. A session that
    /// receives one can hold a few times as much memory until it ends. Default: 64 KiB.
    pub max_line: usize,
    /// What may wait to be sent to a client that others push to ([`ClientHandle`](crate::ClientHandle)), in
    /// bytes; a client that lets more wait is dropped. A session can hold twice as much for a moment. Default:
    /// 256 KiB.
    pub max_outgoing: usize,
    /// Connections the kernel may hold that were not accepted yet; it may cap this silently
    /// (`net.core.somaxconn` on Linux). Default: 1,024.
    pub backlog: u32,
    /// Stack of each worker, and of each writer beside one, in bytes. Handlers that recurse or keep large arrays need more.
    /// Default: 64 KiB.
    pub stack_size: usize,
    /// How long a session looks for its next message again and again before it sleeps: busy-polling. It saves
    /// the wake-up, so that a client that answers within this time is answered sooner, and keeps a core busy
    /// meanwhile. A session polls only while that pays, and fewer do at once than there are cores. Of no use to
    /// clients that are pushed to. Default: `None`, not at all.
    pub busy_poll: Option<Duration>,
    /// How many messages are logged. Default: [`LogMessages::PerSecond`] of 1,000.
    pub log_messages: LogMessages,
    /// How often totals are logged. Default: `None`, never.
    pub stats_interval: Option<Duration>,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            listen: vec!["localhost:1234".to_owned()],
            workers: 512,
            max_pending: 256,
            when_full: WhenFull::Busy,
            queue_timeout: Some(Duration::from_secs(10)),
            idle_timeout: Some(Duration::from_secs(5 * 60)),
            write_timeout: Some(Duration::from_secs(30)),
            yield_after: Some(Duration::from_secs(60)),
            max_lifetime: None,
            max_per_ip: None,
            framing: Framing::Message,
            max_line: 64 * 1024,
            max_outgoing: 256 * 1024,
            backlog: 1024,
            stack_size: 64 * 1024,
            busy_poll: None,
            log_messages: LogMessages::PerSecond(1000),
            stats_interval: None,
        }
    }
}

/// What happens to a client that finds all workers taken and the queue full.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WhenFull {
    /// It gets one line, `busy: ...`, and a clean close.
    #[default]
    Busy,
    /// Nobody is accepted until a place is free: the kernel's backlog holds the rest.
    Wait,
}

/// What a message is, and whether anything in the stream is special.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Framing {
    /// A message is what one read returned. `bye` ends the session; telnet commands pass, unseen by the
    /// search for `bye`.
    #[default]
    Message,
    /// A message is a line, its line feed included. `bye` ends the session; telnet commands are taken out
    /// and options refused; a line over [`ServerConfig::max_line`] ends the session.
    Line,
    /// A message is what one read returned and nothing is special (RFC 862).
    Raw,
}

/// How many messages are logged. Connections are logged whatever this says, and totals are always exact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogMessages {
    /// All that the log can take.
    All,
    /// Up to so many a second; the others are counted and the count is logged.
    PerSecond(u32),
    /// None.
    Off,
}

/// The least stack a worker may have: a session's calls and a panic's report fit into it.
const MIN_STACK: usize = 32 * 1024;

/// More than any handler needs, and little enough that a typing error is told as one.
const MAX_STACK: usize = 1 << 30;

/// The longest time limit: what fits the kernel's socket timeouts on every platform.
const MAX_TIMEOUT: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// The longest busy-polling: beyond it a sleep costs nothing that one would notice.
const MAX_BUSY_POLL: Duration = Duration::from_millis(1);

/// Descriptors for everything but clients: listeners, standard streams, a logger's file.
const OTHER_DESCRIPTORS: u64 = 32;

impl ServerConfig {
    /// How many descriptors a server with this configuration can need at most: for clients served and
    /// waiting, connections on their way out, and the server itself.
    ///
    /// A program may raise its soft limit to that; a running server logs a warning if it is lower.
    pub fn descriptors(&self) -> u64 {
        let clients = self.workers.saturating_add(self.max_pending).saturating_add(LINGERING);
        (clients as u64).saturating_add(OTHER_DESCRIPTORS)
    }

    /// Checks every field.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] with the first field that cannot work.
    pub fn validate(&self) -> Result<(), Error> {
        require_addresses(&self.listen)?;
        require(self.workers > 0, "workers", "must be at least 1")?;
        require(self.workers.checked_add(self.max_pending).is_some(), "max-pending", "is too large")?;
        require(self.max_per_ip != Some(0), "max-per-ip", "must be at least 1, or off")?;
        require(self.max_line > 0, "max-line", "must be at least 1 byte")?;
        require(self.max_outgoing > 0, "max-outgoing", "must be at least 1 byte")?;
        require(self.backlog > 0, "backlog", "must be at least 1")?;
        require(i32::try_from(self.backlog).is_ok(), "backlog", "must be less than 2^31")?;
        require(self.stack_size >= MIN_STACK, "stack-size", "must be at least 32 KiB")?;
        require(self.stack_size <= MAX_STACK, "stack-size", "must be at most 1 GiB")?;
        let busy_poll = self.busy_poll.unwrap_or(MAX_BUSY_POLL);
        require(!busy_poll.is_zero(), "busy-poll", "must be more than 0, or off")?;
        require(busy_poll <= MAX_BUSY_POLL, "busy-poll", "must be at most 1 ms, or off")?;
        let limits = [
            ("queue-timeout", self.queue_timeout),
            ("idle-timeout", self.idle_timeout),
            ("write-timeout", self.write_timeout),
            ("yield-after", self.yield_after),
            ("max-lifetime", self.max_lifetime),
            ("stats-interval", self.stats_interval),
        ];
        limits.into_iter().try_for_each(|(option, limit)| require_limit(option, limit))
    }
}

/// Whether a condition on an option holds.
pub(crate) fn require(holds: bool, option: &'static str, problem: &'static str) -> Result<(), Error> {
    if holds { Ok(()) } else { Err(Error::Config { option, problem }) }
}

/// There must be something to listen on.
pub(crate) fn require_addresses(listen: &[String]) -> Result<(), Error> {
    require(!listen.is_empty(), "listen", "needs at least one address")
}

/// A time limit must be one that can be kept.
pub(crate) fn require_limit(option: &'static str, limit: Option<Duration>) -> Result<(), Error> {
    let limit = limit.unwrap_or(MAX_TIMEOUT);
    require(limit >= Duration::from_millis(1), option, "must be at least 1 ms, or off")?;
    require(limit <= MAX_TIMEOUT, option, "must be at most a year, or off")
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
    fn each_bad_value_is_named() {
        type Spoil = fn(&mut ServerConfig);
        let cases: [(&str, Spoil); 17] = [
            ("listen", |config| config.listen.clear()),
            ("workers", |config| config.workers = 0),
            ("max-pending", |config| config.max_pending = usize::MAX),
            ("max-line", |config| config.max_line = 0),
            ("max-outgoing", |config| config.max_outgoing = 0),
            ("busy-poll", |config| config.busy_poll = Some(Duration::ZERO)),
            ("busy-poll", |config| config.busy_poll = Some(Duration::from_secs(1))),
            ("backlog", |config| config.backlog = 0),
            ("backlog", |config| config.backlog = u32::MAX),
            ("stack-size", |config| config.stack_size = 1),
            ("stack-size", |config| config.stack_size = usize::MAX),
            ("queue-timeout", |config| config.queue_timeout = Some(Duration::ZERO)),
            ("idle-timeout", |config| config.idle_timeout = Some(Duration::from_nanos(1))),
            ("write-timeout", |config| config.write_timeout = Some(Duration::MAX)),
            ("yield-after", |config| config.yield_after = Some(Duration::ZERO)),
            ("max-lifetime", |config| config.max_lifetime = Some(Duration::ZERO)),
            ("max-per-ip", |config| config.max_per_ip = Some(0)),
        ];
        for (name, spoil) in cases {
            let mut config = ServerConfig::default();
            spoil(&mut config);
            match config.validate() {
                Err(Error::Config { option, .. }) => assert_eq!(option, name),
                other => panic!("{name}: {other:?}"),
            }
        }
    }
}
