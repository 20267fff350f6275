//! The harness detects each fault of a server and counts it by kind.

use std::net::{Ipv4Addr, TcpListener};
use std::time::Duration;

use hdrhistogram::Histogram;

use crate::faulty::{Fault, serve};
use crate::harness::load::Load;
use crate::harness::run::Outcome;
use crate::harness::tally::{Failure, Tally};
use crate::support::{FUSE, address, config, start};
use crate::{load, run};

const MILLION: usize = 1_000_000;

/// Runs until the fault is found, and asserts that it is the only failure.
#[track_caller]
fn assert_caught(fault: Fault, failure: Failure) {
    // The run ends when its only connection does; the duration is only a fuse.
    let load = Load { size: 16 * 1024, depth: 4, duration: FUSE, ..load(serve(fault)) };
    let outcome = run(&load);
    let failures = &outcome.tally.failures;
    assert_eq!((failures.count(failure), failures.total()), (1, 1), "{failures:?}");
    // A few bytes after the fault may be equal by chance, but not many.
    assert!(outcome.tally.verified_bytes < MILLION as u64 + 10, "{:?}", outcome.tally.failures);
    assert!(outcome.tally.elapsed < FUSE);
}

#[test]
fn a_byte_in_a_million_that_is_dropped() {
    assert_caught(Fault::Drop(MILLION), Failure::Mismatch);
}

#[test]
fn a_byte_in_a_million_that_is_altered() {
    assert_caught(Fault::Alter(MILLION), Failure::Mismatch);
}

#[test]
fn a_byte_in_a_million_that_comes_twice() {
    assert_caught(Fault::Duplicate(MILLION), Failure::Mismatch);
}

#[test]
fn a_byte_in_a_million_that_is_out_of_order() {
    assert_caught(Fault::Reorder(MILLION), Failure::Mismatch);
}

#[test]
fn a_stream_that_ends_early() {
    assert_caught(Fault::Close(MILLION), Failure::Eof);
}

#[test]
fn a_surplus_byte_after_the_last_answer() {
    let outcome = run(&load(serve(Fault::Extra)));
    assert_eq!(outcome.tally.failures.count(Failure::Mismatch), 1, "{:?}", outcome.tally.failures);
}

#[test]
fn an_answer_that_never_arrives() {
    let outcome = run(&Load { timeout: Duration::from_millis(50), ..load(serve(Fault::Mute)) });
    assert_eq!(outcome.tally.failures.count(Failure::TimedOut), 1, "{:?}", outcome.tally.failures);
    assert_eq!(outcome.tally.answers, 0);
}

#[test]
fn a_server_that_does_not_listen() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
    let address = listener.local_addr().expect("it is bound");
    drop(listener);
    let outcome = run(&Load { connections: 3, ..load(address) });
    assert_eq!(outcome.tally.failures.count(Failure::Refused), 3, "{:?}", outcome.tally.failures);
}

#[test]
fn a_server_that_is_busy() {
    let server = start(config().workers(1).max_pending(0));
    let outcome = run(&Load { connections: 3, ..load(address(&server)) });
    assert_eq!(outcome.tally.failures.count(Failure::Busy), 2, "{:?}", outcome.tally.failures);
    assert!(outcome.tally.answers > 0);
}

/// Returns how many answers took 100 ms or more.
fn slow(latencies: &Histogram<u64>) -> u64 {
    latencies.count_between(100_000_000, latencies.high())
}

#[test]
fn a_stall_delays_every_message_that_was_due_and_not_only_the_one_in_service() {
    const STALL: Duration = Duration::from_millis(300);
    // At 1,000 messages per second, this stalls the message that is due after 0.4 s.
    let stall = Fault::Stall(400 * 64, STALL);
    let open = Load { rate: Some(1000.0), size: 64, duration: Duration::from_secs(1), ..load(serve(stall)) };
    let outcome = run(&open);
    assert_eq!(outcome.tally.failures.total(), 0, "{:?}", outcome.tally.failures);
    let (service, response) = (&outcome.tally.service, &outcome.tally.response);
    assert!(response.value_at_quantile(0.999) > 250_000_000, "{:?}", outcome.tally.failures);
    // 200 messages were due in the first two thirds of the stall.
    assert!(slow(response) > 150 && slow(response) > 10 * slow(service), "{} {}", slow(response), slow(service));
}

#[test]
fn a_rate_that_cannot_be_reached() {
    let server = start(config());
    let beyond = Load { rate: Some(1e7), ..load(address(&server)) };
    let outcome = run(&beyond);
    assert!(outcome.saturated(&beyond) && outcome.rate() < 1e6, "{}", outcome.rate());
    assert!(outcome.tally.unsent > 0);
    assert_eq!(outcome.tally.failures.total(), 0, "{:?}", outcome.tally.failures);
}

#[test]
fn a_rate_counts_as_reached_if_a_hundredth_or_less_is_missing() {
    let load = Load { rate: Some(1000.0), ..load(([127, 0, 0, 1], 1).into()) };
    let saturated = |answers| {
        let tally = Tally { answers, elapsed: Duration::from_secs(2), ..Tally::new() };
        Outcome { tally, points: Vec::new(), server: None }.saturated(&load)
    };
    assert_eq!((saturated(1970), saturated(1980), saturated(2000)), (true, false, false));
}
