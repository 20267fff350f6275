//! The counts of the harness equal those of the server.

use std::collections::HashSet;
use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use hebra::{Echo, Handler, Next, Server, Stats};

use crate::harness::traffic::load::{Adversaries, End, Load, Mode};
use crate::harness::traffic::run::Outcome;
use crate::harness::traffic::schedule::Schedule;
use crate::harness::traffic::tally::Failure;
use crate::support::{FUSE, address, config, start};
use crate::{load, run};

/// Runs against a hebra with enough workers for all clients. Asserts that nothing failed, and also returns what the
/// server counted.
fn measure(change: impl FnOnce(Load) -> Load) -> (Outcome, Stats) {
    let server = start(config().workers(250));
    let outcome = run(&change(load(address(&server))));
    assert_eq!(outcome.tally.failures.total(), 0, "{:?}", outcome.tally.failures);
    (outcome, server.shutdown(FUSE).stats)
}

#[test]
fn every_message_and_every_byte_is_counted_on_both_sides() {
    for connections in [1, 50, 200] {
        let (outcome, stats) = measure(|load| Load { connections, ..load });
        let tally = &outcome.tally;
        assert_eq!((tally.total_answers, tally.verified_bytes), (stats.messages, stats.bytes_out));
        assert_eq!(stats.accepted, connections as u64);
        // There is no warm-up, so all answers but the last of each connection came within the window.
        let within = outcome.rate() * tally.elapsed.as_secs_f64();
        assert!((within - stats.messages as f64).abs() <= connections as f64, "{within} {stats}");
        assert_eq!(tally.elapsed, Duration::from_millis(200));
    }
}

/// One address has 28,000 ports, each of which stays in TIME-WAIT when the client has closed first.
#[test]
fn a_churn_uses_a_new_source_address_for_each_connection_up_to_a_thousand() {
    let peers = Arc::new(Mutex::new(HashSet::new()));
    let seen = Arc::clone(&peers);
    let server = Server::bind(config().workers(4), move |session| {
        seen.lock().expect("no thread panics").insert(session.client().peer.ip());
        Echo
    });
    let server = server.expect("it binds").start().expect("it starts");
    let outcome = run(&Load { mode: Mode::Churn, ..load(address(&server)) });
    assert_eq!(outcome.tally.failures.total(), 0, "{:?}", outcome.tally.failures);
    let stats = server.shutdown(FUSE).stats;
    let served = stats.accepted - stats.refused;
    assert!(served > 1);
    assert_eq!(peers.lock().expect("no thread panics").len() as u64, served.min(1000));
}

#[test]
fn two_event_loops_share_the_connections() {
    let (outcome, stats) = measure(|load| Load { connections: 5, threads: 2, ..load });
    assert_eq!(outcome.tally.total_answers, stats.messages);
    assert_eq!(stats.accepted, 5);
}

/// Echoes, and closes the connection of the first client after one message.
struct ClosesFirst {
    id: u64,
}

impl Handler for ClosesFirst {
    fn message(&mut self, message: &[u8], reply: &mut dyn Write) -> io::Result<Next> {
        reply.write_all(message)?;
        Ok(if self.id == 1 { Next::Close } else { Next::Continue })
    }
}

#[test]
fn no_event_loop_is_counted_twice_after_another_has_lost_its_last_connection() {
    let server = Server::bind(config(), |session| ClosesFirst { id: session.client().id }).expect("it binds");
    let server = server.start().expect("it starts");
    let duration = Duration::from_millis(500);
    let outcome = run(&Load { connections: 2, threads: 2, duration, ..load(address(&server)) });
    assert_eq!(outcome.tally.failures.count(Failure::Eof), 1, "{:?}", outcome.tally.failures);
    let last = outcome.points.last().map(|point| (point.open, point.failures));
    assert_eq!(last, Some((1, 1)), "{:?}", outcome.points);
}

#[test]
fn an_open_loop_sends_the_requested_number_of_messages() {
    let (outcome, stats) = measure(|load| Load { rate: Some(1000.0), connections: 5, threads: 2, ..load });
    assert_eq!(outcome.tally.total_answers + outcome.tally.unsent, 200);
    assert_eq!(outcome.tally.total_answers, stats.messages);
    // Messages that were sent late, or never, are in the response times too.
    assert_eq!(outcome.tally.response.len(), 200);
}

#[test]
fn two_event_loops_take_turns_so_that_requests_are_due_at_even_intervals() {
    let start = Instant::now();
    let mut loops = [0, 1].map(|number| Schedule::new(start, 1000.0, 5, 2, number));
    for turn in 0..100 {
        let due = start + Duration::from_millis(turn);
        let taken = loops.each_mut().map(|schedule| schedule.take_due(due));
        // The first loop has the connections 0, 2 and 4.
        let (number, slot) = ((turn % 5 % 2) as usize, (turn % 5 / 2) as usize);
        assert_eq!((taken[number], taken[1 - number]), (Some(slot), None), "turn {turn}");
        assert_eq!(loops[number].intended(slot, turn / 5), due);
    }
}

#[test]
fn each_message_of_a_churning_client_is_a_session_that_ends_cleanly() {
    for end in [End::Close, End::Bye] {
        let (outcome, stats) = measure(|load| Load { mode: Mode::Churn, connections: 5, end, ..load });
        assert!(outcome.tally.total_answers > 0);
        assert_eq!(outcome.tally.total_answers, stats.messages);
        assert_eq!((stats.accepted, stats.finished), (stats.messages, stats.messages));
        // A session that the end of the window divides is in only one of the two histograms.
        assert!(
            outcome.tally.connect.len().abs_diff(outcome.tally.service.len()) <= 5,
            "{:?}",
            outcome.tally.failures
        );
    }
}

#[test]
fn adversaries_connect_and_are_not_measured() {
    let adversaries = Adversaries { idle: 3, slow_writers: 2, slow_readers: 2, resetters: 2 };
    let (outcome, stats) = measure(|load| Load { adversaries, duration: Duration::from_millis(500), ..load });
    // The resetters connect again and again.
    assert!(stats.accepted > 1 + 9, "{stats}");
    assert!(outcome.tally.total_answers < stats.messages);
}
