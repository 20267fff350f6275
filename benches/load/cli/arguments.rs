//! The command line, and the [`Load`] that it describes.

use std::time::{Duration, Instant, SystemTime};

use clap::Args;
use clap::builder::ArgPredicate;

use super::super::search::objective::Objective;
use super::super::traffic::address::Address;
use super::super::traffic::load::{Adversaries, End, Load, Mode};
use super::super::traffic::proxy;
use super::super::traffic::schedule::Schedule;
use super::super::traffic::udp::{LONGEST, SHORTEST};
use super::files::FileFlags;
use super::values::{baseline_name, duration, future, percent, positive_duration, rate, size};

/// The most messages of all connections that may be in flight.
const MAX_IN_FLIGHT: usize = 10_000_000;

// Not a comment for the documentation, because clap would show it in place of the description of the program.
// The flags of a run.
#[derive(Clone, Debug, Args)]
pub(crate) struct Arguments {
    /// Server to load: HOST:PORT, unix:/path or unix:@name; without it, a hebra is started on a free port
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) addr: Option<String>,

    /// Process id of the server, to measure its processor time and memory; known if it is started here
    #[arg(long, value_name = "PID", requires = "addr")]
    pub(crate) pid: Option<u32>,

    /// Begin each connection with a PROXY header, which names a client of its own in 198.18.0.0/15
    #[arg(long, value_name = "VERSION")]
    proxy: Option<proxy::Version>,

    /// echo: send messages and wait for answers; churn: connect, send one message, leave; stream: bulk data, in MiB/s; udp:
    /// send datagrams and wait for answers
    #[arg(long, default_value = "echo")]
    pub(crate) mode: Mode,

    /// Number of measured connections (udp: sockets)
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    pub(crate) connections: u16,

    /// Length of the measured window [--search: 2s]
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = positive_duration,
          default_value_if("search", ArgPredicate::IsPresent, "2s"))]
    pub(crate) duration: Duration,

    /// Load before the window, not measured
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = duration)]
    pub(crate) warmup: Duration,

    /// Begin the load at this time, on connections that are open before: 2030-01-31T12:00:00Z, or +5s from now
    #[arg(long, value_name = "TIME", value_parser = future)]
    start_at: Option<SystemTime>,

    /// Size of a message, including the line feed at its end (udp: 32 to 65507) [default: 512; stream: 64KiB]
    #[arg(long, value_name = "SIZE", value_parser = size)]
    size: Option<usize>,

    /// Messages that each connection may have in flight [default: 1; stream: 16]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    depth: Option<u32>,

    /// Open loop: total messages per second (churn: sessions), due whether or not the server keeps up
    #[arg(long, value_name = "N", value_parser = rate)]
    rate: Option<f64>,

    /// Search the highest rate at which an objective holds, such as p99=5ms (p50, p90, p99, p99.9 or max), without errors
    #[arg(long, value_name = "OBJECTIVE", value_parser = Objective::parse,
          conflicts_with_all = ["rate", "start_at", "plots", "html", "hgrm", "save_baseline", "baseline"])]
    pub(crate) search: Option<Objective>,

    /// How a churning client leaves: it closes its sending side, or sends bye [default: close]
    #[arg(long)]
    end: Option<End>,

    /// Number of client event loops
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=2))]
    threads: u16,

    /// Longest time that a connect or an answer may take (udp: later answers count as late)
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = positive_duration)]
    timeout: Duration,

    /// Seed of the payload: the same seed sends the same bytes
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,

    /// Connect again when the server ends a session between two answers, and send again what it has not answered
    #[arg(long)]
    reconnect: bool,

    /// Count corrupted and missing bytes, resets and ended sessions, and go on; implies --reconnect (udp: count lost, late,
    /// doubled, reordered and corrupt datagrams, and exit with code 0)
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

    /// Show nothing while the load runs: no live view on a terminal, and no lines elsewhere
    #[arg(long)]
    pub(crate) no_progress: bool,

    #[command(flatten)]
    pub(crate) files: FileFlags,

    /// Save the result as a baseline
    #[arg(long, value_name = "NAME", value_parser = baseline_name)]
    pub(crate) save_baseline: Option<String>,

    /// Compare the result with a baseline: its rate, or with --rate its p99 response time
    #[arg(long, value_name = "NAME", value_parser = baseline_name)]
    pub(crate) baseline: Option<String>,

    /// Exit with code 1 if the result is worse than the baseline by more than this percentage
    #[arg(long, value_name = "PCT", requires = "baseline", value_parser = percent)]
    pub(crate) fail_on_regression: Option<f64>,
}

impl Arguments {
    /// Returns how many workers a server needs for all clients. Resetters count twice, because one may connect again
    /// before the server has noticed its reset.
    pub(crate) fn clients(&self) -> usize {
        let counts = [self.connections, self.idle, self.slow_writers, self.slow_readers, self.resetters];
        counts.into_iter().map(usize::from).sum::<usize>() + usize::from(self.resetters) + 16
    }

    /// Returns the flags of a server that is started for this load.
    pub(crate) fn server_flags(&self) -> &'static [&'static str] {
        if self.proxy.is_some() { &["--proxy-protocol", "127.0.0.1"] } else { &[] }
    }

    /// Returns the load against `address`.
    pub(crate) fn load(&self, address: Address) -> Load {
        let (size, depth) = match self.mode {
            Mode::Echo | Mode::Churn | Mode::Udp => (512, 1),
            Mode::Stream => (64 * 1024, 16),
        };
        Load {
            address,
            proxy: self.proxy,
            mode: self.mode,
            connections: self.connections.into(),
            duration: self.duration,
            warmup: self.warmup,
            size: self.size.unwrap_or(size),
            depth: self.depth.map_or(depth, |depth| depth as usize),
            rate: self.rate,
            end: self.end.unwrap_or(End::Close),
            threads: usize::from(self.threads.min(self.connections)),
            timeout: self.timeout,
            seed: self.seed,
            reconnect: self.reconnect || (self.expect_faults && self.mode != Mode::Udp),
            expect_faults: self.expect_faults,
            start_at: self.start_at,
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

impl Arguments {
    /// Checks that no flag was given that means nothing in the mode.
    ///
    /// # Errors
    ///
    /// Returns the problem, for people to read.
    pub(crate) fn check_mode(&self, load: &Load) -> Result<(), String> {
        if self.mode != Mode::Udp {
            return Ok(());
        }
        let of_streams = [
            ("proxy", self.proxy.is_some()),
            ("reconnect", self.reconnect),
            ("end", self.end.is_some()),
            ("idle", self.idle > 0),
            ("slow-writers", self.slow_writers > 0),
            ("slow-readers", self.slow_readers > 0),
            ("resetters", self.resetters > 0),
        ];
        if load.address.network().is_none() {
            return Err(format!("--addr {}: not with --mode udp", load.address));
        }
        if let Some((flag, _)) = of_streams.into_iter().find(|(_, is_given)| *is_given) {
            return Err(format!("--{flag}: not with --mode udp, which has no sessions"));
        }
        if self.rate.is_some() && self.depth.is_some() {
            return Err(
                "--depth: not with --mode udp and --rate, which send each datagram when it is due".to_owned()
            );
        }
        match self.size {
            Some(size) if !(SHORTEST..=LONGEST).contains(&size) => {
                Err(format!("--size {size}: with --mode udp from {SHORTEST} to {LONGEST}"))
            }
            _ => Ok(()),
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
