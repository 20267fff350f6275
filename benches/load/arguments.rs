//! The command line, and the [`Load`] that it describes.

use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use bytesize::ByteSize;
use clap::Parser;
use clap::builder::PossibleValuesParser;

use super::load::{Adversaries, End, Load, Mode};
use super::payload::MAX_SIZE;
use super::schedule::Schedule;
use super::{peers, scenario};

/// The longest window, warm-up or timeout.
const LONGEST: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// The most messages of all connections that may be in flight.
const MAX_IN_FLIGHT: usize = 10_000_000;

/// Measures an echo server: rate, latency and errors. Verifies every byte.
///
/// Exit codes: 0 clean, 1 errors, wrong bytes, a regression or nothing measured, 2 usage.
#[derive(Clone, Debug, Parser)]
#[command(name = "load", bin_name = "cargo bench --bench load --", version)]
pub(crate) struct Arguments {
    /// Server to load; without it, a hebra is started on a free port
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) addr: Option<String>,

    /// Process id of the server, to measure its processor time and memory; known if it is started here
    #[arg(long, value_name = "PID", requires = "addr")]
    pub(crate) pid: Option<u32>,

    /// echo: send messages and wait for answers; churn: connect, send one message, leave; stream: bulk data, in MiB/s
    #[arg(long, default_value = "echo")]
    pub(crate) mode: Mode,

    /// Number of measured connections
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    pub(crate) connections: u16,

    /// Length of the measured window
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = positive_duration)]
    pub(crate) duration: Duration,

    /// Load before the window, not measured
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = duration)]
    pub(crate) warmup: Duration,

    /// Size of a message, including the line feed at its end [default: 512; stream: 64KiB]
    #[arg(long, value_name = "SIZE", value_parser = size)]
    size: Option<usize>,

    /// Messages that each connection may have in flight [default: 1; stream: 16]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    depth: Option<u32>,

    /// Open loop: total messages per second (churn: sessions), due whether or not the server keeps up
    #[arg(long, value_name = "N", value_parser = rate)]
    rate: Option<f64>,

    /// How a churning client leaves: it closes its sending side, or sends bye
    #[arg(long, default_value = "close")]
    end: End,

    /// Number of client event loops
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=2))]
    threads: u16,

    /// Longest time that a connect or an answer may take
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = positive_duration)]
    timeout: Duration,

    /// Seed of the payload: the same seed sends the same bytes
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,

    /// Connect again when the server ends a session between two answers, and send again what it has not answered
    #[arg(long)]
    reconnect: bool,

    /// Count corrupted and missing bytes, resets and ended sessions, and go on; implies --reconnect
    #[arg(long)]
    expect_faults: bool,

    /// Additional clients that connect and stay silent
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u16).range(..=10_000))]
    idle: u16,

    /// Additional clients that send one byte every 100 ms
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u16).range(..=10_000))]
    slow_writers: u16,

    /// Additional clients that send as much as they can and read one byte every 100 ms
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u16).range(..=10_000))]
    slow_readers: u16,

    /// Additional clients that connect and reset the connection every 100 ms
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u16).range(..=10_000))]
    resetters: u16,

    /// Write the result to a file (benches/README.md describes the format)
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,

    /// Write plots of the latency by percentile and of the rate over time to a directory
    #[arg(long, value_name = "DIRECTORY")]
    pub(crate) plots: Option<PathBuf>,

    /// Save the result as a baseline
    #[arg(long, value_name = "NAME", value_parser = baseline_name)]
    pub(crate) save_baseline: Option<String>,

    /// Compare the result with a baseline: its rate, or with --rate its p99 response time
    #[arg(long, value_name = "NAME", value_parser = baseline_name)]
    pub(crate) baseline: Option<String>,

    /// Exit with code 1 if the result is worse than the baseline by more than this percentage
    #[arg(long, value_name = "PCT", requires = "baseline", value_parser = percent)]
    pub(crate) fail_on_regression: Option<f64>,

    /// Compare hebra with other servers, all of them started here (make bench)
    #[arg(long, conflicts_with_all = ["addr", "json", "plots", "baseline", "save_baseline"])]
    pub(crate) suite: bool,

    /// --suite, --growth: number of rounds [default: 3, or fewer if --suite would take more than three minutes]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=100))]
    pub(crate) rounds: Option<u16>,

    /// --suite: run only scenarios whose name contains TEXT, such as "500 x" (repeatable)
    #[arg(long, value_name = "TEXT", requires = "suite", value_parser = part_of_a_scenario)]
    pub(crate) only: Vec<String>,

    /// --suite: run only this peer and the reference (repeatable)
    #[arg(long, value_name = "NAME", requires = "suite", value_parser = PossibleValuesParser::new(peers::names()))]
    pub(crate) peer: Vec<String>,

    /// --suite: compare hebra with this hebra program alone, such as the one of the commit before
    #[arg(long, value_name = "PROGRAM", requires = "suite", conflicts_with = "peer")]
    pub(crate) before: Option<PathBuf>,

    /// Measure rate, latency and memory against the number of connections, and draw growth.svg (make growth)
    #[arg(long, conflicts_with_all = ["suite", "addr", "json", "plots", "baseline", "save_baseline"])]
    pub(crate) growth: bool,

    /// Cargo passes this to every benchmark.
    #[arg(long, hide = true)]
    bench: bool,
}

impl Arguments {
    /// Returns how many workers a server needs for all clients. Resetters count twice, because one may connect again
    /// before the server has noticed its reset.
    pub(crate) fn clients(&self) -> usize {
        let counts = [self.connections, self.idle, self.slow_writers, self.slow_readers, self.resetters];
        counts.into_iter().map(usize::from).sum::<usize>() + usize::from(self.resetters) + 16
    }

    /// Returns the load against `address`.
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
            reconnect: self.reconnect || self.expect_faults,
            expect_faults: self.expect_faults,
            stop: None,
            adversaries: Adversaries {
                idle: self.idle.into(),
                slow_writers: self.slow_writers.into(),
                slow_readers: self.slow_readers.into(),
                resetters: self.resetters.into(),
            },
        }
    }
}

/// Checks what no flag alone determines.
///
/// # Errors
///
/// Returns the problem, for people to read.
pub(crate) fn check(load: &Load) -> Result<(), String> {
    let Load { connections, depth, duration, warmup, .. } = load;
    if load.reconnect && load.mode == Mode::Churn {
        let flag = if load.expect_faults { "--expect-faults" } else { "--reconnect" };
        return Err(format!("{flag}: not with --mode churn, in which each message has a session of its own"));
    }
    if connections * depth > MAX_IN_FLIGHT {
        return Err(format!(
            "--depth {depth}: with {connections} connections, at most {}",
            MAX_IN_FLIGHT / connections
        ));
    }
    if let Some(rate) = load.rate {
        let start = Instant::now();
        let schedule = Schedule::new(start, rate, 1, 1, 0);
        let [from, to] = [*warmup, *warmup + *duration].map(|end| schedule.turns_before(start + end));
        if from == to {
            return Err(format!(
                "--rate {rate}: no message is due within {duration:?} after {warmup:?} of warm-up"
            ));
        }
    }
    Ok(())
}

/// Returns the first address of `HOST:PORT`.
pub(crate) fn resolve(text: &str) -> Result<SocketAddr, String> {
    let mut addresses = text.to_socket_addrs().map_err(|error| format!("{text}: {error}"))?;
    addresses.next().ok_or_else(|| format!("{text}: no address"))
}

/// Accepts durations that can be added to the present time, and whose points of each tenth of a second fit in memory.
fn duration(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(duration) if duration <= LONGEST => Ok(duration),
        Ok(_) => Err("must be at most 7days".to_owned()),
        Err(_) => Err("a duration looks like 250ms, 10s or 5m".to_owned()),
    }
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
        _ => Err("a rate is a number of messages per second, from 0.01 to 100000000".to_owned()),
    }
}

/// Accepts only names that are plain file names: a baseline is stored under its name.
fn baseline_name(text: &str) -> Result<String, String> {
    let fits = |letter: char| letter.is_ascii_alphanumeric() || "-_.".contains(letter);
    let plain = text.chars().all(fits) && text.starts_with(|first: char| first != '.');
    if plain {
        Ok(text.to_owned())
    } else {
        Err("a name consists of letters, digits, dashes, underscores and dots".to_owned())
    }
}

fn part_of_a_scenario(text: &str) -> Result<String, String> {
    let known = scenario::scenarios().iter().any(|scenario| scenario.name.contains(text));
    if known { Ok(text.to_owned()) } else { Err("no scenario has this text in its name".to_owned()) }
}

fn percent(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(percent) if (0.0..=1000.0).contains(&percent) => Ok(percent),
        _ => Err("a limit is a number from 0 to 1000, in percent".to_owned()),
    }
}
