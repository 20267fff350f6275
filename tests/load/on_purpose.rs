//! hebra makes the faults that it is asked for, as often and for as long as asked, and counts what the harness counts.

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use hebra::{Echo, Faults, Framing, RunningServer, Server};

use crate::harness::results::figures::microseconds;
use crate::harness::traffic::load::Load;
use crate::harness::traffic::run::Outcome;
use crate::support::{FUSE, address, config};
use crate::{load, run};

fn start(framing: Framing, faults: Faults) -> RunningServer {
    let server = Server::bind(config().workers(16).framing(framing), move |session| faults.wrap(session, Echo));
    server.expect("it binds").start().expect("it starts")
}

/// Returns the server's number of faults of a kind.
fn count(server: &RunningServer, kind: &str) -> u64 {
    server.stats().faults_by_kind().find(|(label, _)| *label == kind).expect("there is such a kind").1
}

/// After so long an answer whose end is missing is given up. Longer than any pause of a busy machine.
const QUIET: Duration = Duration::from_secs(2);

/// Returns the load whose faults are expected.
fn faulty_load(server: &RunningServer) -> Load {
    Load { reconnect: true, expect_faults: true, timeout: QUIET, ..load(address(server)) }
}

const SIZE: usize = 16;
const MILLION: u64 = 1_000_000;

/// Runs until a million messages have been echoed.
fn run_a_million(server: &RunningServer) -> Outcome {
    let stop = Arc::new(AtomicBool::new(false));
    let load = Load { connections: 4, size: SIZE, depth: 1000, duration: FUSE, ..faulty_load(server) };
    let load = Load { stop: Some(Arc::clone(&stop)), ..load };
    let running = thread::spawn(move || run(&load));
    let pace = crossbeam_channel::tick(Duration::from_millis(10));
    while server.stats().bytes_in < MILLION * SIZE as u64 && !running.is_finished() {
        pace.recv().expect("it ticks");
    }
    stop.store(true, Ordering::Relaxed);
    running.join().expect("it does not panic")
}

#[track_caller]
fn assert_within_a_tenth(count: u64, outcome: &Outcome, asked: f64) {
    let tally = &outcome.tally;
    let (faults, failures) = (tally.faults, &tally.failures);
    assert_eq!(failures.total(), 0, "{failures:?}");
    assert!(tally.total_answers >= MILLION - 4000, "{}", tally.total_answers);
    let bytes = tally.verified_bytes + faults.corrupted_bytes + faults.missing_bytes;
    let rate = count as f64 / bytes as f64;
    assert!((0.9..=1.1).contains(&(rate / asked)), "{rate} in place of {asked}");
}

#[test]
fn bytes_are_corrupted_at_the_asked_rate_over_a_million_messages() {
    let server = start(Framing::Message, Faults::default().corrupt(0.001));
    let outcome = run_a_million(&server);
    let corrupted = outcome.tally.faults.corrupted_bytes;
    assert_within_a_tenth(corrupted, &outcome, 0.001);
    assert_eq!((corrupted, outcome.tally.faults.missing_bytes), (count(&server, "corrupted"), 0));
}

#[test]
fn bytes_are_dropped_at_the_asked_rate_over_a_million_messages() {
    let server = start(Framing::Message, Faults::default().drop(0.001));
    let outcome = run_a_million(&server);
    let missing = outcome.tally.faults.missing_bytes;
    assert_within_a_tenth(missing, &outcome, 0.001);
    assert_eq!(missing, count(&server, "dropped"));
}

/// Asserts that a figure is in the range, if not at once. Tests that keep every core busy run beside this one, and can
/// delay anything for as long as they do.
#[track_caller]
fn assert_soon_within(range: RangeInclusive<f64>, mut figure: impl FnMut() -> f64) {
    let mut found = Vec::new();
    let began = Instant::now();
    while found.last().is_none_or(|last| !range.contains(last)) {
        assert!(began.elapsed() < FUSE, "{found:?}");
        found.push(figure());
    }
}

#[test]
fn the_median_delay_is_within_a_millisecond_of_the_asked_one() {
    let server =
        start(Framing::Message, Faults::default().delay(Duration::from_millis(20)..=Duration::from_millis(20)));
    assert_soon_within(20.0..=21.0, || {
        let outcome = run(&Load { connections: 4, ..load(address(&server)) });
        assert_eq!(outcome.tally.failures.total(), 0, "{:?}", outcome.tally.failures);
        microseconds(&outcome.tally.service, 0.5) / 1000.0
    });
}

#[test]
fn answers_come_within_a_twentieth_of_the_asked_byte_rate() {
    const RATE: f64 = 1e6;
    let server = start(Framing::Message, Faults::default().rate(RATE as u64));
    assert_soon_within(0.95..=1.05, || {
        // A fifth of a second is in flight, so that the server has an answer to send whenever the client is late.
        let (warmup, duration) = (Duration::from_millis(300), Duration::from_secs(1));
        let outcome = run(&Load { size: 1000, depth: 200, warmup, duration, ..load(address(&server)) });
        assert_eq!(outcome.tally.failures.total(), 0, "{:?}", outcome.tally.failures);
        outcome.rate() * 1000.0 / RATE
    });
}

#[test]
fn every_session_ends_after_the_asked_number_of_messages() {
    for (kind, faults) in
        [("closed", Faults::default().close_after(7)), ("reset", Faults::default().reset_after(7))]
    {
        let server = start(Framing::Line, faults);
        let tally = run(&Load { connections: 4, ..faulty_load(&server) }).tally;
        assert_eq!(tally.failures.total(), 0, "{:?}", tally.failures);
        let sessions = tally.sessions;
        assert_eq!(if kind == "closed" { sessions.ended } else { sessions.reset }, sessions.lost(), "{sessions:?}");
        // At the end of the run a client may leave just when it has its last answer.
        assert!(sessions.lost() > 0 && count(&server, kind) - sessions.lost() <= 4, "{sessions:?}");
        assert_eq!((sessions.least_messages, sessions.most_messages), (7, 7), "{kind}");
    }
}
