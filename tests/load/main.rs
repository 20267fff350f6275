//! Tests of the load harness: its counts equal those of the server, and it detects a faulty server.

#[path = "../support/mod.rs"]
mod support;

#[allow(dead_code, reason = "only the benchmark calls its `main`")]
#[path = "../../benches/load/bench.rs"]
mod harness;

mod addresses;
mod faulty;
mod catches;
mod counted;
mod counts;
mod neutral;
mod on_purpose;
mod baselines;
mod peers;
mod pictures;
#[cfg(feature = "load")]
mod program;
#[cfg(feature = "load")]
mod merged;
#[cfg(feature = "load")]
mod progress;
mod search;
mod udp;
mod udp_faulty;
mod usage;

use std::net::SocketAddr;
use std::time::Duration;

use harness::traffic::load::{Adversaries, End, Load, Mode};
use harness::traffic::run::Outcome;

/// Describes a short run on one connection.
fn load(address: SocketAddr) -> Load {
    Load {
        address: address.into(),
        proxy: None,
        mode: Mode::Echo,
        connections: 1,
        duration: Duration::from_millis(200),
        warmup: Duration::ZERO,
        size: 512,
        depth: 1,
        rate: None,
        end: End::Close,
        threads: 1,
        timeout: support::FUSE,
        seed: 1,
        reconnect: false,
        expect_faults: false,
        start_at: None,
        stop: None,
        adversaries: Adversaries::default(),
    }
}

/// Runs a load against a server whose process is not known.
fn run(load: &Load) -> Outcome {
    harness::traffic::run::run(load, None, &mut |_| ()).expect("the client gets its descriptors")
}
