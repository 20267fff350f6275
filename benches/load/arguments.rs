//! The command line: what was typed, and the load that it means.

use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::time::Duration;

use bytesize::ByteSize;
use clap::builder::PossibleValuesParser;
use clap::{Parser, ValueEnum};

use super::load::{Adversaries, End, Load, Mode};
use super::payload::MAX_SIZE;
use super::{peers, suite};

/// Measures an echo server: rate, latency, errors, and every byte.
///
/// Exit code 0: clean. 1: errors, wrong bytes, or a regression. 2: usage.
#[derive(Clone, Debug, Parser)]
#[command(name = "load", bin_name = "cargo bench --bench load --", version)]
pub(crate) struct Arguments {
    /// The server; without it, a hebra is started on a free port
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) addr: Option<String>,

    /// Process id of the server, to tell what it costs; known if it is started here
    #[arg(long, value_name = "PID", requires = "addr")]
    pub(crate) pid: Option<u32>,

    /// echo: messages and their answers; churn: connect, one message, leave; stream: bulk, in MiB/s
    #[arg(long, default_value = "echo")]
    pub(crate) mode: Mode,

    /// Measured connections
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    pub(crate) connections: u16,

    /// The time that is measured
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = positive_duration)]
    pub(crate) duration: Duration,

    /// Load before that
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = duration)]
    pub(crate) warmup: Duration,

    /// Bytes of a message, the line feed at its end included [default: 512; stream: 64KiB]
    #[arg(long, value_name = "SIZE", value_parser = size)]
    size: Option<usize>,

    /// Messages that each connection may have on their way [default: 1; stream: 16]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    depth: Option<u32>,

    /// Open loop: messages a second in all (churn: sessions), due whether or not the server keeps up
    #[arg(long, value_name = "N", value_parser = rate)]
    rate: Option<f64>,

    /// How a churning client leaves: it closes its sending side, or says bye
    #[arg(long, default_value = "close")]
    end: End,

    /// Event loops of the client
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=2))]
    threads: u16,

    /// How long a connect or an answer may take
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = positive_duration)]
    timeout: Duration,

    /// Of the messages' bytes: the same seed sends the same
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,

    /// Further clients that connect and stay silent
    #[arg(long, value_name = "N", default_value_t = 0)]
    idle: u16,

    /// Further clients that send a byte every 100 ms
    #[arg(long, value_name = "N", default_value_t = 0)]
    slow_writers: u16,

    /// Further clients that send all they can and read a byte every 100 ms
    #[arg(long, value_name = "N", default_value_t = 0)]
    slow_readers: u16,

    /// Further clients that connect and reset, every 100 ms
    #[arg(long, value_name = "N", default_value_t = 0)]
    resetters: u16,

    /// Write the result to a file (the format is in benches/README.md)
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,

    /// Draw the latency by percentile and the rate over time into a directory
    #[arg(long, value_name = "DIRECTORY")]
    pub(crate) plots: Option<PathBuf>,

    /// Keep the result as a baseline
    #[arg(long, value_name = "NAME", value_parser = baseline_name)]
    pub(crate) save_baseline: Option<String>,

    /// Compare the result with a baseline: the rate, or with --rate the p99 of the response time
    #[arg(long, value_name = "NAME", value_parser = baseline_name)]
    pub(crate) baseline: Option<String>,

    /// End with exit code 1 if it is worse than the baseline by more than so many percent
    #[arg(long, value_name = "PCT", requires = "baseline", value_parser = percent)]
    pub(crate) fail_on_regression: Option<f64>,

    /// Compare hebra with other servers, all of them started here: what `make bench` does
    #[arg(long, conflicts_with_all = ["addr", "json", "plots", "baseline", "save_baseline"])]
    pub(crate) suite: bool,

    /// --suite, --growth: rounds [default: 3, as many as fit into three minutes]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=100))]
    pub(crate) rounds: Option<u16>,

    /// --suite: only scenarios whose name contains this, such as "500 x"; give it again for more
    #[arg(long, value_name = "TEXT", requires = "suite", value_parser = part_of_a_scenario)]
    pub(crate) only: Vec<String>,

    /// --suite: only these peers, and the one that all are divided by; give it again for more
    #[arg(long, value_name = "NAME", requires = "suite", value_parser = PossibleValuesParser::new(peers::names()))]
    pub(crate) peer: Vec<String>,

    /// Measure how rate, latency and memory grow with the number of connections, and draw growth.svg
    #[arg(long, conflicts_with_all = ["suite", "addr", "json", "plots", "baseline", "save_baseline"])]
    pub(crate) growth: bool,

    /// What cargo passes to every benchmark.
    #[arg(long, hide = true)]
    bench: bool,
}

impl Arguments {
    /// Connections in all. Resetters may still be on their way out when they come back.
    pub(crate) fn clients(&self) -> usize {
        let counts = [self.connections, self.idle, self.slow_writers, self.slow_readers, self.resetters];
        counts.into_iter().map(usize::from).sum::<usize>() + usize::from(self.resetters) + 16
    }

    /// The load against `address`.
    pub(crate) fn load(&self, address: SocketAddr) -> Load {
        let (size, depth) = match self.mode {
            Mode::Echo | Mode::Churn => (512, 1),
            Mode::Stream => (64 * 1024, 16),
        };
        Load {
            address,
            mode: self.mode,
            connections: self.connections.into(),
            duration: self.duration,
            warmup: self.warmup,
            size: self.size.unwrap_or(size),
            depth: self.depth.map_or(depth, |depth| depth as usize),
            rate: self.rate,
            end: self.end,
            threads: usize::from(self.threads.min(self.connections)),
            timeout: self.timeout,
            seed: self.seed,
            adversaries: Adversaries {
                idle: self.idle.into(),
                slow_writers: self.slow_writers.into(),
                slow_readers: self.slow_readers.into(),
                resetters: self.resetters.into(),
            },
        }
    }
}

/// The first address of `HOST:PORT`.
pub(crate) fn resolve(text: &str) -> Result<SocketAddr, String> {
    let mut addresses = text.to_socket_addrs().map_err(|error| format!("{text}: {error}"))?;
    addresses.next().ok_or_else(|| format!("{text}: no address"))
}

/// The name of a choice, as it is typed.
pub(crate) fn name(choice: &impl ValueEnum) -> String {
    choice.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
}

fn duration(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text).map_err(|_| "a duration looks like 250ms, 10s or 5m".to_owned())
}

fn positive_duration(text: &str) -> Result<Duration, String> {
    duration(text)
        .and_then(|duration| if duration.is_zero() { Err("must be positive".into()) } else { Ok(duration) })
}

fn size(text: &str) -> Result<usize, String> {
    let bytes = text.parse::<ByteSize>().map_err(|_| "a size looks like 512 or 16KiB")?.as_u64();
    let size = usize::try_from(bytes).unwrap_or(usize::MAX);
    if (1..=MAX_SIZE).contains(&size) { Ok(size) } else { Err(format!("must be from 1 to {MAX_SIZE}")) }
}

fn rate(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(rate) if (0.01..=1e8).contains(&rate) => Ok(rate),
        _ => Err("a rate is a number of messages a second".to_owned()),
    }
}

/// A name becomes a file's, so it is nothing else.
fn baseline_name(text: &str) -> Result<String, String> {
    let fits = |letter: char| letter.is_ascii_alphanumeric() || "-_.".contains(letter);
    let plain = text.chars().all(fits) && text.starts_with(|first: char| first != '.');
    if plain { Ok(text.to_owned()) } else { Err("a name has letters, digits, dashes and dots".to_owned()) }
}

fn part_of_a_scenario(text: &str) -> Result<String, String> {
    let known = suite::scenarios().iter().any(|scenario| scenario.name.contains(text));
    if known { Ok(text.to_owned()) } else { Err("no scenario has this in its name".to_owned()) }
}

fn percent(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(percent) if (0.0..=1000.0).contains(&percent) => Ok(percent),
        _ => Err("a limit is a number of percent".to_owned()),
    }
}
