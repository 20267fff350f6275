//! The kinds of load that servers are compared under.

use std::net::SocketAddr;
use std::time::Duration;

use super::super::traffic::load::{Adversaries, End, Load, Mode};
use super::peers::{COMPARED, DEFERRING, MAX_CONNECTIONS, POLLING, POOL};

/// Length of each measurement. It is short because there are hundreds; the spread over the rounds shows the noise.
const DURATION: Duration = Duration::from_millis(500);

/// Before each measurement. In the first second of a connection's life page faults and log lines decide the slowest
/// answers.
const WARMUP: Duration = Duration::from_millis(1500);

/// The numbers of connections below saturation.
const BELOW: [usize; 3] = [50, 500, MAX_CONNECTIONS];

/// One kind of load, which is the same for every peer.
#[derive(Clone, Debug)]
pub(crate) struct Scenario {
    pub(crate) name: String,
    mode: Mode,
    pub(crate) connections: usize,
    size: usize,
    depth: usize,
    duration: Duration,
    /// In an open loop, the rate as a share of the rate that the reference reaches in a closed loop.
    pub(crate) share: Option<f64>,
    /// Whether the server has a core of its own, and the client another one.
    pub(crate) is_pinned: bool,
    takes_part: fn(&str) -> bool,
}

/// Returns all scenarios: below saturation, then closed loops, churn, pipelining and a stream, then those on pinned
/// cores, then those with datagrams.
pub(crate) fn scenarios() -> Vec<Scenario> {
    let echo = |connections| Scenario::echo(connections, DURATION);
    let shares = [(0.25, "a quarter"), (0.5, "half"), (0.75, "three quarters")];
    let below = BELOW.into_iter().flat_map(|connections| {
        shares.into_iter().map(move |(share, text)| Scenario {
            name: format!("{connections} at {text}"),
            share: Some(share),
            takes_part: |name| name == POLLING || COMPARED.contains(&name),
            ..echo(connections)
        })
    });
    let closed = [1, 50, 500, MAX_CONNECTIONS].into_iter().map(echo);
    let long = BELOW.into_iter().map(|connections| Scenario {
        name: format!("{connections} x 16 KiB"),
        size: 16 * 1024,
        ..echo(connections)
    });
    let churn = [16, 64].into_iter().map(|connections| Scenario {
        name: format!("{connections} churning"),
        mode: Mode::Churn,
        takes_part: |name| name != POLLING,
        ..echo(connections)
    });
    let pipelined = Scenario { name: "50 x 512 B, 16 pipelined".to_owned(), depth: 16, ..echo(50) };
    let stream =
        Scenario { name: "1 streaming".to_owned(), mode: Mode::Stream, size: 64 * 1024, depth: 16, ..echo(1) };
    let pinned = |scenario: Scenario| Scenario {
        name: format!("{}, pinned", scenario.name),
        is_pinned: true,
        takes_part: |name| COMPARED.contains(&name),
        ..scenario
    };
    let half = Scenario { name: "500 at half".to_owned(), share: Some(0.5), ..echo(500) };
    let apart = [echo(50), echo(500), half].map(pinned);
    let udp = |connections| Scenario {
        name: format!("{connections} udp"),
        mode: Mode::Udp,
        takes_part: |_| true,
        ..echo(connections)
    };
    let quarter_udp = Scenario { name: "50 udp at a quarter".to_owned(), share: Some(0.25), ..udp(50) };
    let streams = below.chain(closed).chain(long).chain(churn).chain([pipelined, stream]).chain(apart);
    streams.chain([quarter_udp, udp(4), udp(50)]).collect()
}

impl Scenario {
    /// The plain echo that most scenarios vary.
    pub(crate) fn echo(connections: usize, duration: Duration) -> Self {
        Self {
            name: format!("{connections} x 512 B"),
            mode: Mode::Echo,
            connections,
            size: 512,
            depth: 1,
            duration,
            share: None,
            is_pinned: false,
            takes_part: |name| ![POOL, DEFERRING].contains(&name),
        }
    }

    /// Returns whether datagrams are sent, to servers of their own.
    pub(crate) fn is_udp(&self) -> bool {
        self.mode == Mode::Udp
    }

    /// Returns whether the peer is measured, which serves up to `limit` connections.
    pub(crate) fn is_for(&self, peer: &str, limit: usize) -> bool {
        self.connections <= limit && (self.takes_part)(peer)
    }

    /// Returns the load against a server, in an open loop at `rate`.
    pub(crate) fn load(&self, address: SocketAddr, rate: Option<f64>) -> Load {
        let Self { mode, connections, size, depth, duration, .. } = *self;
        Load {
            address: address.into(),
            proxy: None,
            mode,
            connections,
            duration,
            warmup: WARMUP,
            size,
            depth,
            rate,
            end: End::Close,
            threads: 1,
            timeout: Duration::from_secs(2),
            seed: 1,
            reconnect: false,
            expect_faults: false,
            start_at: None,
            stop: None,
            adversaries: Adversaries::default(),
        }
    }
}
