//! What was typed: the flags, their environment variables and their defaults.
//!
//! The defaults are those of [`ServerConfig`], written out here for `--help`; a test keeps them equal. Only
//! `log_messages` differs: a program's log shows messages, a library's does not.

mod udp;
mod units;

use std::time::Duration;

use clap::builder::BoolishValueParser;
use clap::{Args, Parser, Subcommand, ValueEnum};
use hebra::{Framing, LogMessages, ServerConfig, WhenFull};

pub(super) use udp::{SendArguments, UdpCommand, UdpServeArguments};
use units::Count;
pub(super) use units::Limit;

/// A thread-based, blocking TCP message server.
#[derive(Debug, Parser)]
#[command(version)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Echoes what each client sends, until it says bye.
    #[command(allow_negative_numbers = true)]
    Serve(Box<ServeArguments>),

    /// Sends what is typed or piped in to a server, and shows what comes back.
    #[command(allow_negative_numbers = true)]
    Connect(ConnectArguments),

    /// Receives datagrams, and echoes them if asked to; or sends one.
    #[command(subcommand)]
    Udp(UdpCommand),
}

/// Where a server listens.
#[derive(Debug, Args)]
pub(crate) struct ListenArguments {
    /// Address to listen on, HOST:PORT, every address of the name. Give it again for more
    #[arg(
        long,
        env = "HEBRA_LISTEN",
        value_name = "ADDR",
        value_delimiter = ',',
        default_value = "localhost:1234"
    )]
    pub(crate) listen: Vec<String>,
}

/// What a server logs.
#[derive(Debug, Args)]
pub(crate) struct LogArguments {
    /// Messages logged a second, all or off; the others are counted
    #[arg(
        long,
        env = "HEBRA_LOG_MESSAGES",
        value_name = "N|all|off",
        value_parser = log_messages,
        default_value = "1000"
    )]
    pub(crate) log_messages: LogMessages,

    /// How often totals are logged, or off
    #[arg(long, env = "HEBRA_STATS_INTERVAL", value_name = "TIME", default_value = "off")]
    pub(crate) stats_interval: Limit,
}

/// The flags of `hebra serve`. Times take units (250ms, 10s, 5m), and so do sizes (64KiB).
#[derive(Debug, Args)]
pub(crate) struct ServeArguments {
    /// What answers the clients: each message itself, one greeting, or an operator
    #[arg(long, env = "HEBRA_SERVICE", default_value = "echo")]
    pub(crate) service: Service,

    /// What --service greet answers
    #[arg(long, env = "HEBRA_GREETING", value_name = "TEXT", default_value = "Un saludo crack!")]
    pub(crate) greeting: String,

    /// With --service chat: several clients, who hear each other, and not one at a time
    #[arg(long, env = "HEBRA_ROOM", value_parser = BoolishValueParser::new())]
    pub(crate) room: bool,

    #[command(flatten)]
    sockets: ListenArguments,

    /// Clients served at once
    #[arg(long, env = "HEBRA_WORKERS", value_name = "N", default_value_t = 512)]
    workers: usize,

    /// Clients that may wait for a worker
    #[arg(long, env = "HEBRA_MAX_PENDING", value_name = "N", default_value_t = 256)]
    max_pending: usize,

    /// What happens to further clients: a line and a close, or waiting in the kernel's backlog
    #[arg(long, env = "HEBRA_WHEN_FULL", default_value = "busy")]
    when_full: WhenFullArgument,

    /// How long a client may wait for a worker, or off
    #[arg(long, env = "HEBRA_QUEUE_TIMEOUT", value_name = "TIME", default_value = "10s")]
    queue_timeout: Limit,

    /// How long a client may be silent, or off [default: 5m; off for chat]
    #[arg(long, env = "HEBRA_IDLE_TIMEOUT", value_name = "TIME")]
    idle_timeout: Option<Limit>,

    /// How long a client may take to accept a reply, or off
    #[arg(long, env = "HEBRA_WRITE_TIMEOUT", value_name = "TIME", default_value = "30s")]
    write_timeout: Limit,

    /// How long a client may be silent while another waits for a worker, or off
    #[arg(long, env = "HEBRA_YIELD_AFTER", value_name = "TIME", default_value = "60s")]
    yield_after: Limit,

    /// How long a session may last, or off
    #[arg(long, env = "HEBRA_MAX_LIFETIME", value_name = "TIME", default_value = "off")]
    max_lifetime: Limit,

    /// Connections of one IPv4 address or IPv6 /64 at a time, or off
    #[arg(long, env = "HEBRA_MAX_PER_IP", value_name = "N|off", default_value = "off")]
    max_per_ip: Count,

    /// How long a stopping server waits for sessions to end
    #[arg(
        long,
        env = "HEBRA_DRAIN_TIMEOUT",
        value_name = "TIME",
        value_parser = units::duration,
        default_value = "10s"
    )]
    pub(crate) drain_timeout: Duration,

    /// What a message is: what one read returned, a line, or a read in which nothing is special
    /// [default: message; raw for greet; line for chat --room]
    #[arg(long, env = "HEBRA_FRAMING")]
    framing: Option<FramingArgument>,

    /// Longest line with --framing line
    #[arg(
        long,
        env = "HEBRA_MAX_LINE",
        value_name = "SIZE",
        value_parser = units::size,
        default_value = "64KiB"
    )]
    max_line: usize,

    /// What may wait to be sent to a client of the chat before it is dropped
    #[arg(
        long,
        env = "HEBRA_MAX_OUTGOING",
        value_name = "SIZE",
        value_parser = units::size,
        default_value = "256KiB"
    )]
    max_outgoing: usize,

    /// Connections the kernel may hold before they are accepted
    #[arg(long, env = "HEBRA_BACKLOG", value_name = "N", default_value_t = 1024)]
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

    /// How long a session looks for the next message of a quick client before it sleeps, or off
    #[arg(long, env = "HEBRA_BUSY_POLL", value_name = "TIME", default_value = "off")]
    busy_poll: Limit,

    #[command(flatten)]
    log: LogArguments,
}

impl ServeArguments {
    /// Returns what the flags mean.
    pub(crate) fn config(&self) -> ServerConfig {
        let default = ServerConfig::default();
        // In a chat silence is normal; a greeting is for every client, `bye` or not; and in a room the lines of many
        // clients must not mix.
        let (idle_timeout, framing) = match self.service {
            Service::Echo => (default.idle_timeout, default.framing),
            Service::Greet => (default.idle_timeout, Framing::Raw),
            Service::Chat if self.room => (None, Framing::Line),
            Service::Chat => (None, default.framing),
        };
        default
            .listen(&self.sockets.listen)
            .workers(self.workers)
            .max_pending(self.max_pending)
            .when_full(match self.when_full {
                WhenFullArgument::Busy => WhenFull::Busy,
                WhenFullArgument::Wait => WhenFull::Wait,
            })
            .queue_timeout(self.queue_timeout.0)
            .idle_timeout(self.idle_timeout.map_or(idle_timeout, |limit| limit.0))
            .write_timeout(self.write_timeout.0)
            .yield_after(self.yield_after.0)
            .max_lifetime(self.max_lifetime.0)
            .max_per_ip(self.max_per_ip.0)
            .framing(match self.framing {
                None => framing,
                Some(FramingArgument::Message) => Framing::Message,
                Some(FramingArgument::Line) => Framing::Line,
                Some(FramingArgument::Raw) => Framing::Raw,
            })
            .max_line(self.max_line)
            .max_outgoing(self.max_outgoing)
            .backlog(self.backlog)
            .stack_size(self.stack_size)
            .busy_poll(self.busy_poll.0)
            .log_messages(self.log.log_messages)
            .stats_interval(self.log.stats_interval.0)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Service {
    Echo,
    Greet,
    Chat,
}

/// The argument and the flag of `hebra connect`.
#[derive(Debug, Args)]
pub(crate) struct ConnectArguments {
    /// Server to connect to, HOST:PORT; each address of the name is tried in turn
    #[arg(value_name = "ADDR", default_value = "localhost:1234")]
    pub(crate) address: String,

    /// How long each address may take to answer, or off
    #[arg(long, env = "HEBRA_TIMEOUT", value_name = "TIME", value_parser = units::timeout, default_value = "10s")]
    pub(crate) timeout: Limit,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum WhenFullArgument {
    Busy,
    Wait,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum FramingArgument {
    Message,
    Line,
    Raw,
}

fn log_messages(text: &str) -> Result<LogMessages, String> {
    match text {
        "all" => Ok(LogMessages::All),
        "off" | "0" => Ok(LogMessages::Off),
        _ => text.parse().map(LogMessages::PerSecond).map_err(|_| "a number, all or off".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_defaults_are_those_of_the_library() {
        let arguments = Arguments::try_parse_from(["hebra", "serve"]).expect("every flag has a default");
        let Command::Serve(arguments) = arguments.command else { panic!("serve was typed") };
        let log_messages = LogMessages::PerSecond(1000);
        assert_eq!(arguments.config(), ServerConfig::default().log_messages(log_messages));
    }

    /// Asserts it for the flags of a command and of its subcommands. Returns how many flags there are.
    fn assert_environment(command: &clap::Command) -> usize {
        let mut flags = command.get_subcommands().map(assert_environment).sum();
        for argument in command.get_arguments() {
            // A positional argument has no variable, and neither have help and version.
            let ours = |flag: &&str| !["help", "version"].contains(flag);
            let Some(flag) = argument.get_long().filter(ours) else { continue };
            let variable = format!("HEBRA_{}", flag.to_uppercase().replace('-', "_"));
            assert_eq!(argument.get_env().and_then(|name| name.to_str()), Some(variable.as_str()));
            flags += 1;
        }
        flags
    }

    #[test]
    fn every_flag_has_its_environment_variable() {
        assert!(assert_environment(&Arguments::command()) > 20);
    }
}
