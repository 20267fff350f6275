//! What was typed after `hebra serve`.
//!
//! The defaults are those of [`ServerConfig`], written out here for `--help`; a test keeps them equal. Only
//! `log_messages` differs: a program's log shows messages, a library's does not.

use std::time::Duration;

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use hebra::{Error, LogMessages, Network, ServerConfig, UdpConfig, WhenFull};

use super::faults::FaultArguments;
use super::service::{Service, ServiceArguments};
use super::units::{self, Limit};
use super::{GateArguments, LogArguments, address};
use crate::cli::process::passed;

/// The least that may wait for a client of a chat: the longest line of another, escaped, fits.
const MIN_OUTGOING: usize = 8 * 1024;

/// The flags of `hebra serve`.
#[derive(Debug, Args)]
#[command(after_help = "\
Times take units (250ms, 10s, 5m), and so do sizes (64KiB). A limit that is off is none.
A CIDR is a network (10.0.0.0/8, 2001:db8::/32) or one address; repeat the flag or use commas.
Each flag has an environment variable: --max-line is HEBRA_MAX_LINE. A flag that can have
no effect is an error; such a variable is ignored.

--listen takes HOST:PORT, udp://HOST:PORT (echo and whoami), unix:/path and unix:@name.
Sockets that a service manager passes in (LISTEN_FDS) are served in its place.
With udp:// and other listeners, each fault applies to those for which it has a meaning.

SIGTERM, SIGINT or SIGHUP stops the server; a second one, later, cuts sessions off. SIGUSR1
logs the totals and who is connected. Exit codes: 0 stopped, 1 cannot run, 2 wrong command
line, 3 sessions were cut off.")]
pub(crate) struct ServeArguments {
    #[command(flatten)]
    pub(crate) service: ServiceArguments,

    /// Where to listen (see below); repeatable
    #[arg(
        long,
        env = "HEBRA_LISTEN",
        value_name = "ADDR",
        value_delimiter = ',',
        value_parser = address::listener,
        default_value = "localhost:1234"
    )]
    listen: Vec<String>,

    /// Permissions of the files of Unix sockets
    #[arg(long, env = "HEBRA_UNIX_MODE", value_name = "MODE", value_parser = units::mode, default_value = "0660")]
    unix_mode: u32,

    /// Clients served at once
    #[arg(long, env = "HEBRA_WORKERS", value_name = "N", value_parser = units::number, default_value = "512")]
    workers: usize,

    /// Clients that may wait for a worker
    #[arg(long, env = "HEBRA_MAX_PENDING", value_name = "N", value_parser = units::number, default_value = "256")]
    max_pending: usize,

    /// Further clients: busy refuses them, wait holds them
    #[arg(
        long,
        env = "HEBRA_WHEN_FULL",
        value_name = "WHAT",
        value_parser = when_full(),
        default_value = "busy",
        hide_possible_values = true
    )]
    when_full: WhenFull,

    /// Longest wait for a worker, or off
    #[arg(long, env = "HEBRA_QUEUE_TIMEOUT", value_parser = units::limit, value_name = "TIME", default_value = "10s")]
    queue_timeout: Limit,

    /// Longest silence of a client, or off [default: 5m; off for chat]
    #[arg(long, env = "HEBRA_IDLE_TIMEOUT", value_parser = units::limit, value_name = "TIME")]
    idle_timeout: Option<Limit>,

    /// Longest time for a client to take a reply, or off
    #[arg(long, env = "HEBRA_WRITE_TIMEOUT", value_parser = units::limit, value_name = "TIME", default_value = "30s")]
    write_timeout: Limit,

    /// Longest silence while another client waits, or off
    #[arg(long, env = "HEBRA_YIELD_AFTER", value_parser = units::limit, value_name = "TIME", default_value = "60s")]
    yield_after: Limit,

    /// Longest session, or off
    #[arg(long, env = "HEBRA_MAX_LIFETIME", value_parser = units::limit, value_name = "TIME", default_value = "off")]
    max_lifetime: Limit,

    /// Connections of one IPv4 address or IPv6 /64, or off
    #[arg(long, env = "HEBRA_MAX_PER_IP", value_parser = units::count, value_name = "N", default_value = "off")]
    max_per_ip: Limit<usize>,

    #[command(flatten)]
    gate: GateArguments,

    /// Networks of proxies, which name each client in a PROXY header
    #[arg(
        long,
        env = "HEBRA_PROXY_PROTOCOL",
        value_name = "CIDR",
        value_delimiter = ',',
        value_parser = address::network
    )]
    proxy_protocol: Vec<Network>,

    /// How long a stop waits for sessions to end
    #[arg(
        long,
        env = "HEBRA_DRAIN_TIMEOUT",
        value_name = "TIME",
        value_parser = units::duration,
        default_value = "10s"
    )]
    pub(crate) drain_timeout: Duration,

    /// How long a stop first goes on accepting, unready
    #[arg(
        long,
        env = "HEBRA_DRAIN_DELAY",
        value_name = "TIME",
        value_parser = units::duration,
        default_value = "0s"
    )]
    pub(crate) drain_delay: Duration,

    /// HOST:PORT of metrics, health and a page over HTTP
    #[arg(long, env = "HEBRA_ADMIN", value_name = "ADDR", value_parser = address::address)]
    pub(crate) admin: Option<String>,

    /// Bytes that may wait for a client of a chat
    #[arg(
        long,
        env = "HEBRA_MAX_OUTGOING",
        value_name = "SIZE",
        value_parser = units::size,
        default_value = "256KiB"
    )]
    pub(crate) max_outgoing: usize,

    /// Connections that the kernel holds before their accept
    #[arg(long, env = "HEBRA_BACKLOG", value_name = "N", value_parser = units::small_number, default_value = "1024")]
    backlog: u32,

    /// Stack of each worker
    #[arg(
        long,
        env = "HEBRA_STACK_SIZE",
        value_name = "SIZE",
        value_parser = units::size,
        default_value = "256KiB"
    )]
    stack_size: usize,

    /// How long to poll for the next message, or off
    #[arg(long, env = "HEBRA_BUSY_POLL", value_parser = units::limit, value_name = "TIME", default_value = "off")]
    busy_poll: Limit,

    /// Accept a client only when it has sent something, or after a second
    #[arg(long, env = "HEBRA_DEFER_ACCEPT", value_parser = units::switch)]
    defer_accept: bool,

    #[command(flatten)]
    pub(crate) log: LogArguments,

    /// Lines of sessions logged a second, or all, or off
    #[arg(
        long,
        env = "HEBRA_LOG_SESSIONS",
        value_name = "N",
        value_parser = units::log_messages,
        default_value = "all"
    )]
    log_sessions: LogMessages,

    #[command(flatten)]
    pub(crate) faults: FaultArguments,
}

impl ServeArguments {
    /// Returns what the flags mean.
    pub(crate) fn config(&self) -> ServerConfig {
        let default = ServerConfig::default();
        // In a chat silence is normal.
        let idle_timeout = if self.service.is_chat() { None } else { default.idle_timeout };
        default
            .listen(self.named(false).map(|(_, name)| name))
            .unix_mode(self.unix_mode)
            .workers(self.workers)
            .max_pending(self.max_pending)
            .when_full(self.when_full)
            .queue_timeout(self.queue_timeout.0)
            .idle_timeout(self.idle_timeout.map_or(idle_timeout, |limit| limit.0))
            .write_timeout(self.write_timeout.0)
            .yield_after(self.yield_after.0)
            .max_lifetime(self.max_lifetime.0)
            .max_per_ip(self.max_per_ip.0)
            .allow(self.gate.allow.clone())
            .deny(self.gate.deny.clone())
            .proxy_protocol(self.proxy_protocol.clone())
            .framing(self.service.framing())
            .max_line(self.service.max_line)
            .max_outgoing(self.max_outgoing)
            .backlog(self.backlog)
            .stack_size(self.stack_size)
            .busy_poll(self.busy_poll.0)
            .log_messages(self.log.log_messages)
            .log_sessions(self.log_sessions)
            .stats_interval(self.log.stats_interval.0)
    }

    /// Returns whether clients are accepted when they have sent something: not in a chat, which speaks first.
    pub(crate) fn defers_accept(&self) -> bool {
        self.defer_accept && !self.service.is_chat()
    }

    /// Returns what the flags mean for the service on UDP.
    pub(crate) fn udp_config(&self) -> UdpConfig {
        UdpConfig::default()
            .listen(self.named(true).map(|(_, name)| name))
            .echo(self.service.kind == Service::Echo)
            .allow(self.gate.allow.clone())
            .deny(self.gate.deny.clone())
            .log_messages(self.log.log_messages)
            .stats_interval(self.log.stats_interval.0)
    }

    /// Returns the names to listen on, either those for datagrams or the others, each with its position.
    pub(crate) fn named(&self, is_udp: bool) -> impl Iterator<Item = (usize, &str)> {
        let names = self.listen.iter().map(String::as_str).enumerate();
        names.filter(move |(_, name)| name.starts_with("udp://") == is_udp)
    }

    /// Checks what the flags mean.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] with the first value that cannot work.
    pub(super) fn validate(&self) -> Result<(), Error> {
        let config = self.config();
        // A server can be for datagrams alone.
        let is_for_datagrams = config.listen.is_empty();
        if is_for_datagrams { config.listen(["localhost:0"]).validate() } else { config.validate() }?;
        self.faults.validate()?;
        let wrong = |field, problem| Err(Error::Config { field, problem });
        let has_datagrams = self.named(true).next().is_some();
        // The answer would be longer than the question.
        if self.service.prefix().is_some() && has_datagrams {
            return wrong("prefix", "cannot be used with udp:// listeners");
        }
        if !self.service.serves_datagrams() && has_datagrams {
            return wrong("listen", "takes udp:// only with --service echo or whoami");
        }
        self.service.validate()?;
        if self.service.is_chat() && self.max_outgoing < MIN_OUTGOING {
            return wrong("max_outgoing", "must be at least 8 KiB in a chat");
        }
        Ok(())
    }

    /// Returns the flags that have an effect only together with others: the flag, whether it has one, and what is
    /// missing.
    pub(super) fn dependent(&self) -> Vec<(&'static str, bool, &'static str)> {
        let is_chat = self.service.is_chat();
        let is_queued = self.max_pending > 0;
        let waits = self.when_full == WhenFull::Wait;
        let has_file = |(_, name): (usize, &str)| name.starts_with("unix:") && !name.starts_with("unix:@");
        let has_tcp = self.named(false).any(|(_, name)| !name.starts_with("unix:"));
        let has_addresses = has_tcp || self.named(true).next().is_some();
        let mut dependent = vec![
            // A Unix socket has permissions of its own, and its clients have no addresses.
            ("allow", has_addresses, "with Unix sockets alone"),
            ("deny", has_addresses, "with Unix sockets alone"),
            ("max_per_ip", has_tcp, "without a TCP listener"),
            ("proxy_protocol", has_tcp, "without a TCP listener"),
            ("unix_mode", self.named(false).any(has_file), "without --listen unix:/path"),
            ("max_outgoing", is_chat, "without --service chat"),
            // Sessions that are pushed to do not poll.
            ("busy_poll", !is_chat, "with --service chat"),
            // A chat speaks first.
            ("defer_accept", !is_chat, "with --service chat"),
            ("defer_accept", has_tcp, "without a TCP listener"),
            ("queue_timeout", is_queued, "with --max-pending 0"),
            ("yield_after", is_queued || waits, "with --max-pending 0 and --when-full busy"),
        ];
        dependent.extend(self.service.dependent());
        // What is passed in is known later, and can be of both kinds.
        let has = |is_udp| self.named(is_udp).next().is_some() || passed::are_passed();
        let has_datagrams = has(true) && self.service.serves_datagrams();
        dependent.extend(self.faults.dependent(has(false), has_datagrams));
        dependent
    }
}

fn when_full() -> impl TypedValueParser<Value = WhenFull> {
    PossibleValuesParser::new(["busy", "wait"])
        .map(|name| if name == "wait" { WhenFull::Wait } else { WhenFull::Busy })
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::arguments::{Arguments, Command};

    #[test]
    fn the_defaults_are_those_of_the_library() {
        let arguments = Arguments::try_parse_from(["hebra", "serve"]).expect("every flag has a default");
        let Command::Serve(arguments) = arguments.command else { panic!("serve was typed") };
        let log_messages = LogMessages::PerSecond(1000);
        assert_eq!(arguments.config(), ServerConfig::default().log_messages(log_messages));
    }
}
