//! The kinds of load that servers are compared under.

use std::net::SocketAddr;
use std::time::Duration;

use super::load::{Adversaries, End, Load, Mode};
use super::peers::MAX_CONNECTIONS;

/// Length of each measurement. It is short because there are hundreds; the spread over the rounds shows the noise.
const DURATION: Duration = Duration::from_millis(250);
const WARMUP: Duration = Duration::from_millis(100);

/// One kind of load, which is the same for every peer.
#[derive(Clone, Debug)]
pub(crate) struct Scenario {
    pub(crate) name: String,
    mode: Mode,
    pub(crate) connections: usize,
    size: usize,
    depth: usize,
    duration: Duration,
}

/// Returns all scenarios: connections times sizes, then pipelining, churn and streams.
pub(crate) fn scenarios() -> Vec<Scenario> {
    let sizes = [(64, "64 B"), (512, "512 B"), (16 * 1024, "16 KiB")];
    let matrix = [1, 50, 500, MAX_CONNECTIONS].into_iter().flat_map(|connections| {
        sizes.into_iter().map(move |(size, text)| {
            let name = format!("{connections} x {text}");
            Scenario { name, size, ..Scenario::echo(connections, DURATION) }
        })
    });
    let special = [
        ("50 x 512 B, 16 pipelined", Mode::Echo, 50, 512, 16),
        ("16 churning", Mode::Churn, 16, 512, 1),
        ("64 churning", Mode::Churn, 64, 512, 1),
        ("1 streaming", Mode::Stream, 1, 64 * 1024, 16),
        ("4 streaming", Mode::Stream, 4, 64 * 1024, 16),
    ];
    let special = special.into_iter().map(|(name, mode, connections, size, depth)| Scenario {
        name: name.to_owned(),
        mode,
        connections,
        size,
        depth,
        duration: DURATION,
    });
    matrix.chain(special).collect()
}

impl Scenario {
    /// The plain echo that most scenarios vary.
    pub(crate) fn echo(connections: usize, duration: Duration) -> Self {
        Self { name: String::new(), mode: Mode::Echo, connections, size: 512, depth: 1, duration }
    }

    /// Returns the load against a server.
    pub(crate) fn load(&self, address: SocketAddr) -> Load {
        let Self { mode, connections, size, depth, duration, .. } = *self;
        Load {
            address,
            mode,
            connections,
            duration,
            warmup: WARMUP,
            size,
            depth,
            rate: None,
            end: End::Close,
            threads: 1,
            timeout: Duration::from_secs(2),
            seed: 1,
            reconnect: false,
            expect_faults: false,
            stop: None,
            adversaries: Adversaries::default(),
        }
    }
}
