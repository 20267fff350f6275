//! The harness detects each fault of a server and counts it by kind.

use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use hdrhistogram::Histogram;
use hebra::{Framing, Handler, Next, Server};

use crate::faulty::{Fault, serve};
use crate::harness::traffic::load::Load;
use crate::harness::traffic::run::Outcome;
use crate::harness::traffic::tally::{Failure, Tally, record_many};
use crate::harness::traffic::timeline::Timeline;
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
    assert!(outcome.saturated() && outcome.rate() < 1e6, "{}", outcome.rate());
    assert_eq!(outcome.tally.due, 2_000_000);
    // Each request that was due is answered, in flight, or unsent.
    let tally = &outcome.tally;
    assert_eq!(tally.due, tally.total_answers + tally.unsent);
    assert_eq!(tally.due, tally.response.len());
    assert_eq!(outcome.tally.failures.total(), 0, "{:?}", outcome.tally.failures);
}

/// Echoes each line after a pause.
struct Slow(Duration);

impl Handler for Slow {
    fn message(&mut self, message: &[u8], reply: &mut dyn Write) -> io::Result<Next> {
        thread::sleep(self.0);
        reply.write_all(message)?;
        Ok(Next::Continue)
    }
}

/// Starts a server, which runs until the test process ends.
fn start_slow(pause: Duration) -> SocketAddr {
    let server = Server::bind(config().workers(50).framing(Framing::Line), move |_| Slow(pause)).expect("it binds");
    let server = server.start().expect("it starts");
    let address = address(&server);
    std::mem::forget(server);
    address
}

/// An outcome with these numbers of requests, and with response times of 1 ms.
fn outcome(due: u64, unsent: u64, unanswered: &[(Duration, u64)]) -> Outcome {
    let mut tally = Tally { due, unsent, ..Tally::new() };
    record_many(&mut tally.answered, Duration::from_millis(1), due);
    for (age, count) in unanswered {
        record_many(&mut tally.unanswered, *age, *count);
    }
    let begun = SystemTime::UNIX_EPOCH;
    Outcome { tally, points: Vec::new(), timeline: Timeline::default(), server: None, begun }
}

#[test]
fn a_rate_counts_as_reached_if_a_hundredth_or_less_is_late() {
    let (short, long) = (Duration::from_micros(500), Duration::from_millis(2));
    assert!(!outcome(0, 0, &[]).saturated());
    assert!(!outcome(2000, 20, &[]).saturated());
    assert!(outcome(2000, 21, &[]).saturated());
    assert!(outcome(2000, 10, &[(long, 11)]).saturated());
    // Requests that are in flight for less than the usual time are not late, however few were due.
    assert!(!outcome(2, 0, &[(short, 2)]).saturated());
    assert!(!outcome(2000, 0, &[(short, 500)]).saturated());
}

#[test]
fn low_rates_at_which_nothing_is_late_are_not_saturated() {
    let server = start(config());
    let target = address(&server);
    let ms = Duration::from_millis;
    // The windows have no whole number of intervals, or begin and end on the beat.
    for (rate, connections, warmup, duration) in [
        (1.0, 1, ms(500), ms(1000)),
        (4.0, 1, ms(100), ms(300)),
        (3.0, 50, ms(0), ms(350)),
        (20.0, 4, ms(50), ms(210)),
    ] {
        let load = Load { rate: Some(rate), connections, warmup, duration, ..load(target) };
        // A busy machine can really delay a request. It does not do so every time, which a wrong sum would.
        let is_clean =
            |outcome: Outcome| !outcome.saturated() && outcome.tally.due > 0 && outcome.tally.unsent == 0;
        assert!((0..5).any(|_| is_clean(run(&load))), "{rate} a second");
    }
}

#[test]
fn a_server_that_answers_late_and_keeps_up_is_not_saturated() {
    // Each of 20 requests takes a quarter of the window, so that several are in flight at its end.
    let server = start_slow(Duration::from_millis(200));
    let load = Load { rate: Some(25.0), connections: 20, duration: Duration::from_millis(800), ..load(server) };
    let outcome = run(&load);
    assert!(outcome.tally.unanswered.len() >= 4, "{}", outcome.tally.unanswered.len());
    assert!(!outcome.saturated() && outcome.tally.answers < outcome.tally.due);
}

#[test]
fn a_server_that_falls_behind_is_saturated_although_everything_is_sent() {
    // It answers ten messages a second, and the client may have all of them in flight.
    let server = start_slow(Duration::from_millis(100));
    let load = Load { rate: Some(20.0), depth: 1000, duration: Duration::from_secs(1), ..load(server) };
    let outcome = run(&load);
    assert_eq!(outcome.tally.unsent, 0);
    assert!(outcome.saturated(), "{} overdue of {}", outcome.overdue(), outcome.tally.due);
}

#[test]
fn a_rate_far_out_of_reach_ends_with_its_window() {
    let server = start(config());
    let load = Load { rate: Some(1e8), duration: Duration::from_millis(500), ..load(address(&server)) };
    let begun = Instant::now();
    let outcome = run(&load);
    assert_eq!((outcome.tally.due, outcome.tally.response.len()), (50_000_000, 50_000_000));
    assert!(outcome.saturated());
    // Recording each request alone takes many times the window.
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
}

#[test]
fn a_run_without_an_answer_in_its_window_says_that_nothing_was_measured() {
    let load = Load { duration: Duration::from_nanos(1), ..load(address(&start(config()))) };
    let problem = run(&load).nothing_measured(&load);
    assert_eq!(problem.as_deref(), Some("nothing was measured: no answer came in the window of 1ns"));
}
