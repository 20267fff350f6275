//! What was typed after `hebra udp`.
//!
//! The defaults are those of [`UdpConfig`], written out here for `--help`; a test keeps them equal, but for
//! `log_messages`.

use std::time::Duration;

use clap::{Args, Subcommand};
use hebra::{Error, UdpConfig};

use super::faults::DatagramFaultArguments;
use super::units::{self, Limit};
use super::{GateArguments, LogArguments, address};

#[derive(Debug, Subcommand)]
pub(crate) enum UdpCommand {
    /// Prints each datagram with its sender, and can echo it
    #[command(allow_negative_numbers = true)]
    Serve(UdpServeArguments),
    /// Sends one datagram, and can wait for the answer
    #[command(allow_negative_numbers = true)]
    Send(SendArguments),
}

/// The flags of `hebra udp serve`.
#[derive(Debug, Args)]
#[command(after_help = "\
Times take units (250ms, 10s, 5m). Each flag has an environment variable: --stats-interval is
HEBRA_STATS_INTERVAL. A CIDR is a network (10.0.0.0/8) or one address. A flag that can have no
effect is an error; such a variable is ignored.")]
pub(crate) struct UdpServeArguments {
    /// HOST:PORT to listen on; repeat it for more
    #[arg(
        long,
        env = "HEBRA_LISTEN",
        value_name = "ADDR",
        value_delimiter = ',',
        value_parser = address::datagrams,
        default_value = "localhost:1234"
    )]
    listen: Vec<String>,

    /// Send each datagram back
    #[arg(long, env = "HEBRA_ECHO", value_parser = units::switch)]
    pub(crate) echo: bool,

    /// Answers a second to one IPv4 address or IPv6 /64, or off
    #[arg(long, env = "HEBRA_RATE", value_parser = units::count, value_name = "N", default_value = "1000")]
    rate: Limit<usize>,

    #[command(flatten)]
    gate: GateArguments,

    #[command(flatten)]
    pub(crate) log: LogArguments,

    #[command(flatten)]
    pub(crate) faults: DatagramFaultArguments,
}

impl UdpServeArguments {
    /// Returns what the flags mean.
    pub(crate) fn config(&self) -> UdpConfig {
        UdpConfig::default()
            .listen(&self.listen)
            .echo(self.echo)
            .rate(self.rate.0)
            .allow(self.gate.allow.clone())
            .deny(self.gate.deny.clone())
            .log_messages(self.log.log_messages)
            .stats_interval(self.log.stats_interval.0)
    }

    /// Checks what the flags mean.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] with the first value that cannot work.
    pub(super) fn validate(&self) -> Result<(), Error> {
        self.config().validate()
    }

    /// As [`ServeArguments::dependent`](super::ServeArguments::dependent).
    pub(super) fn dependent(&self) -> Vec<(&'static str, bool, &'static str)> {
        let mut dependent = vec![("rate", self.echo, "without --echo")];
        dependent.extend(self.faults.dependent(self.echo));
        dependent
    }
}

/// The datagram of `hebra udp send`.
#[derive(Debug, Args)]
#[command(after_help = "--wait has an environment variable, HEBRA_WAIT.")]
pub(crate) struct SendArguments {
    /// Where to send it, HOST:PORT; all addresses of the name are tried
    #[arg(value_name = "ADDR", value_parser = address::datagrams)]
    pub(crate) address: String,

    /// Words to send; put -- before one that begins with -
    #[arg(value_name = "TEXT", required = true)]
    pub(crate) text: Vec<String>,

    /// Wait for the answer, 1s or TIME (250ms, 10s), and print it
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
