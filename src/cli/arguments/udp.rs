//! What was typed after `hebra udp`.
//!
//! The defaults are those of [`UdpConfig`], written out here for `--help`; a test keeps them equal, but for
//! `log_messages`.

use std::time::Duration;

use clap::builder::BoolishValueParser;
use clap::{Args, Subcommand};
use hebra::UdpConfig;

use super::units::{self, Count};
use super::{ListenArguments, LogArguments};

#[derive(Debug, Subcommand)]
pub(crate) enum UdpCommand {
    /// Prints each datagram with its sender, and echoes it if asked to.
    #[command(allow_negative_numbers = true)]
    Serve(UdpServeArguments),
    /// Sends one datagram, and can wait for the answer.
    #[command(allow_negative_numbers = true)]
    Send(SendArguments),
}

/// The flags of `hebra udp serve`. Times take units (250ms, 10s, 5m).
#[derive(Debug, Args)]
pub(crate) struct UdpServeArguments {
    #[command(flatten)]
    sockets: ListenArguments,

    /// Send each datagram back
    #[arg(long, env = "HEBRA_ECHO", value_parser = BoolishValueParser::new())]
    echo: bool,

    /// Answers a second to one IPv4 address or IPv6 /64, or off
    #[arg(long, env = "HEBRA_RATE", value_name = "N|off", default_value = "1000")]
    rate: Count,

    #[command(flatten)]
    log: LogArguments,
}

impl UdpServeArguments {
    /// Returns what the flags mean.
    pub(crate) fn config(&self) -> UdpConfig {
        UdpConfig::default()
            .listen(&self.sockets.listen)
            .echo(self.echo)
            .rate(self.rate.0)
            .log_messages(self.log.log_messages)
            .stats_interval(self.log.stats_interval.0)
    }
}

/// The datagram of `hebra udp send`. Times take units (250ms, 10s, 5m).
#[derive(Debug, Args)]
pub(crate) struct SendArguments {
    /// Where to, HOST:PORT; the addresses of the name are tried until none is refused
    #[arg(value_name = "ADDR")]
    pub(crate) address: String,

    /// What to send: the words, joined by spaces; after -- if one of them begins with -
    #[arg(value_name = "TEXT", required = true)]
    pub(crate) text: Vec<String>,

    /// Wait for an answer, 1s or the TIME given, and print it
    #[arg(
        long,
        env = "HEBRA_WAIT",
        value_name = "TIME",
        value_parser = units::wait,
        num_args = 0..=1,
        default_missing_value = "1s"
    )]
    pub(crate) wait: Option<Duration>,
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use hebra::LogMessages;

    use super::*;
    use crate::cli::arguments::{Arguments, Command};

    #[test]
    fn the_defaults_are_those_of_the_library() {
        let arguments = Arguments::try_parse_from(["hebra", "udp", "serve"]).expect("every flag has a default");
        let Command::Udp(UdpCommand::Serve(arguments)) = arguments.command else { panic!("that was typed") };
        let log_messages = LogMessages::PerSecond(1000);
        assert_eq!(arguments.config(), UdpConfig::default().log_messages(log_messages));
    }
}
