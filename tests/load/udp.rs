//! `--mode udp`: what happens to datagrams is told apart and counted, as the server and the kernel count it.

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use clap::Parser;
use hebra::{DatagramFaults, RunningUdpServer, UdpConfig, UdpServer};

use crate::harness::cli::single;
use crate::harness::comparison::arguments::Bench;
use crate::harness::comparison::build::BENCH;
use crate::harness::comparison::peers::udp::serve as serve_bare;
use crate::harness::results::{json, report};
use crate::harness::traffic::context::Request;
use crate::harness::traffic::datagrams::{DatagramFault, Datagrams};
use crate::harness::traffic::load::{Load, Mode};
use crate::harness::traffic::run::Outcome;
use crate::harness::traffic::tally::Failure;
use crate::harness::traffic::udp::ledger::{Answer, Ledger};
use crate::harness::traffic::udp::{LONGEST, SHORTEST};
use crate::support::FUSE;
use crate::udp_faulty::{Fault, serve};
use crate::{load, run};

/// A timeout that no answer reaches on a busy machine unless that is meant.
const QUIET: Duration = Duration::from_secs(2);

fn udp(address: SocketAddr) -> Load {
    Load { mode: Mode::Udp, timeout: QUIET, ..load(address) }
}

/// Starts a hebra that echoes without a limit of answers.
fn start(faults: DatagramFaults) -> RunningUdpServer {
    let config = UdpConfig::default().listen(["127.0.0.1:0"]).echo(true).rate(None);
    UdpServer::bind(config).expect("it binds").with_faults(faults).start().expect("it starts")
}

fn address(server: &RunningUdpServer) -> SocketAddr {
    server.local_addrs()[0]
}

/// Runs until the server has received `last` datagrams, and made its faults.
fn run_faulty(faults: &[(usize, Fault)], last: usize, change: impl FnOnce(Load) -> Load) -> Outcome {
    let (address, stop) = serve(faults, last);
    let load = Load { connections: 4, depth: 8, duration: FUSE, stop: Some(stop), ..udp(address) };
    run(&change(load))
}

/// Asserts that there are these faults and no others, and that nothing is counted twice.
#[track_caller]
fn assert_found(outcome: &Outcome, faults: &[(DatagramFault, u64)]) {
    let Datagrams { sent, received, dropped_here, .. } = outcome.tally.datagrams;
    let count = |fault| outcome.tally.datagrams.count(fault);
    let found = DatagramFault::ALL.map(|fault| (fault, count(fault))).into_iter().filter(|(_, count)| *count > 0);
    assert_eq!(found.collect::<Vec<_>>(), faults, "{outcome:?}");
    assert_eq!((outcome.tally.failures.total(), dropped_here), (0, 0), "{:?}", outcome.tally.failures);
    let [lost, late, duplicate, _, corrupt, unexpected] = DatagramFault::ALL.map(count);
    assert_eq!(sent, outcome.tally.total_answers + late + corrupt + lost);
    assert_eq!(received, sent - lost + duplicate + unexpected);
}

fn assert_one_lost_one_doubled_and_one_swapped(of: usize) {
    let faults = [(of / 4, Fault::Drop), (of / 2, Fault::Double), (3 * of / 4, Fault::Swap)];
    let outcome = run_faulty(&faults, of, |load| load);
    assert!(outcome.tally.datagrams.sent >= of as u64);
    let faults = [(DatagramFault::Lost, 1), (DatagramFault::Duplicate, 1), (DatagramFault::Reordered, 1)];
    assert_found(&outcome, &faults);
}

#[test]
fn one_lost_one_doubled_and_one_swapped_of_thousands() {
    assert_one_lost_one_doubled_and_one_swapped(5000);
}

#[test]
#[ignore = "takes a minute without optimization"]
fn one_lost_one_doubled_and_one_swapped_of_a_million() {
    assert_one_lost_one_doubled_and_one_swapped(1_000_000);
}

#[test]
fn an_altered_byte_is_corrupt_wherever_it_is() {
    // In the magic, the run, the client, the number, the check sum, and the payload.
    let bytes = [0, 4, 11, 12, 19, 23, 24, 31];
    for size in [SHORTEST, 512] {
        let faults = bytes.iter().enumerate().map(|(index, at)| (100 + 10 * index, Fault::Alter(*at)));
        let outcome = run_faulty(&faults.collect::<Vec<_>>(), 1000, |load| Load { size, ..load });
        assert_found(&outcome, &[(DatagramFault::Corrupt, bytes.len() as u64)]);
        assert_eq!(outcome.tally.faults.corrupted_bytes, bytes.len() as u64);
    }
}

#[test]
fn an_answer_with_another_length_is_corrupt() {
    let outcome = run_faulty(&[(50, Fault::Cut(1)), (60, Fault::Cut(490))], 100, |load| load);
    // Nothing tells whose the second one is, of which 22 bytes are left.
    assert_eq!(outcome.tally.datagrams.count(DatagramFault::Corrupt), 2, "{outcome:?}");
    assert_eq!(outcome.tally.datagrams.count(DatagramFault::Lost), 1, "{outcome:?}");
}

#[test]
fn an_answer_to_another_client_is_unexpected() {
    assert_found(&run_faulty(&[(50, Fault::Misdirect)], 100, |load| load), &[(DatagramFault::Unexpected, 1)]);
}

#[test]
fn an_answer_after_the_timeout_is_late_and_not_lost() {
    let faults = [(50, Fault::Delay(QUIET + Duration::from_millis(500)))];
    let outcome = run_faulty(&faults, 100, |load| load);
    assert_found(&outcome, &[(DatagramFault::Late, 1), (DatagramFault::Reordered, 1)]);
    assert_eq!(outcome.tally.datagrams.timed_out, 1);
    assert!(outcome.tally.response.max() > QUIET.as_nanos() as u64);
}

#[test]
fn a_lost_datagram_makes_room_for_the_next_one_at_the_timeout() {
    let timeout = Duration::from_millis(50);
    let outcome = run_faulty(&[(10, Fault::Drop)], 100, |load| Load { connections: 1, depth: 1, timeout, ..load });
    assert!(outcome.tally.datagrams.count(DatagramFault::Lost) == 1 && outcome.tally.datagrams.sent >= 100);
}

#[test]
fn a_server_that_is_not_there_refuses() {
    let socket = UdpSocket::bind(("127.0.0.1", 0)).expect("a port is free");
    let address = socket.local_addr().expect("it is bound");
    drop(socket);
    for rate in [None, Some(1000.0)] {
        let outcome = run(&Load { connections: 3, rate, duration: FUSE, ..udp(address) });
        assert_eq!(outcome.tally.failures.count(Failure::Refused), 3, "{:?}", outcome.tally.failures);
        assert!(outcome.tally.answers == 0 && outcome.tally.elapsed < FUSE);
    }
}

#[test]
fn every_size_comes_back_and_is_counted_on_both_sides() {
    for (size, connections, threads, depth) in
        [(SHORTEST, 1, 1, 1), (33, 50, 2, 1), (512, 4, 1, 16), (LONGEST, 1, 1, 1)]
    {
        let server = start(DatagramFaults::default());
        let outcome = run(&Load { size, connections, threads, depth, ..udp(address(&server)) });
        assert_found(&outcome, &[]);
        let stats = server.shutdown();
        let Datagrams { sent, received, .. } = outcome.tally.datagrams;
        assert!(sent > 0);
        assert_eq!((sent, received), (stats.datagrams, stats.answers));
        assert_eq!(outcome.tally.verified_bytes, stats.bytes_out);
    }
}

#[test]
fn an_open_loop_sends_each_datagram_that_is_due_whatever_is_in_flight() {
    let server = start(DatagramFaults::default());
    let load = Load { rate: Some(1000.0), connections: 5, threads: 2, ..udp(address(&server)) };
    let outcome = run(&load);
    assert_eq!((outcome.tally.due, outcome.tally.datagrams.sent + outcome.tally.unsent), (200, 200));
    assert_eq!(outcome.tally.response.len(), 200);
    assert_eq!(server.shutdown().datagrams, outcome.tally.datagrams.sent);
}

#[test]
fn in_overload_each_datagram_is_accounted_for_by_the_server_the_kernel_or_the_client() {
    let server = start(DatagramFaults::default());
    let load = Load { rate: Some(1e7), connections: 4, ..udp(address(&server)) };
    let outcome = run(&load);
    let stats = server.shutdown();
    let datagrams = outcome.tally.datagrams;
    assert!(outcome.saturated());
    assert_eq!(datagrams.sent, stats.datagrams + stats.kernel_drops, "{datagrams:?} {stats}");
    assert_eq!(datagrams.dropped_by_server, Some(stats.kernel_drops));
    assert_eq!(datagrams.received + datagrams.dropped_here, stats.answers, "{datagrams:?} {stats}");
    assert_eq!(datagrams.count(DatagramFault::Lost), datagrams.sent - datagrams.received);
    assert_eq!(outcome.tally.due, datagrams.sent + outcome.tally.unsent);
}

#[test]
fn what_the_sockets_of_the_client_drop_is_told_apart() {
    const FLOOD: u64 = 2000;
    let socket = UdpSocket::bind(("127.0.0.1", 0)).expect("a port is free");
    let address = socket.local_addr().expect("it is bound");
    let flood = thread::spawn(move || {
        let (_, client) = socket.recv_from(&mut [0]).expect("a datagram");
        // The client judges each, which takes it longer than this.
        for _ in 0..FLOOD {
            socket.send_to(&[0; LONGEST], client).expect("loopback takes it");
        }
    });
    let outcome = run(&Load { size: LONGEST, ..udp(address) });
    flood.join().expect("it does not panic");
    let datagrams = outcome.tally.datagrams;
    assert!(datagrams.received > 0 && datagrams.dropped_here > 0, "{datagrams:?}");
    assert_eq!(datagrams.received + datagrams.dropped_here, FLOOD, "{datagrams:?}");
    assert_eq!(datagrams.count(DatagramFault::Corrupt), datagrams.received);
    assert_eq!((datagrams.sent, datagrams.count(DatagramFault::Lost)), (1, 1));
}

/// Returns the server's number of faults of a kind.
fn count(server: &RunningUdpServer, kind: &str) -> u64 {
    server.stats().faults_by_kind().find(|(label, _)| *label == kind).expect("there is such a kind").1
}

#[test]
fn faults_on_purpose_are_counted_as_the_server_counts_them() {
    let server = start(DatagramFaults::default().drop(0.01).duplicate(0.02).reorder(0.03));
    let load =
        Load { depth: 64, expect_faults: true, duration: Duration::from_millis(500), ..udp(address(&server)) };
    let outcome = run(&load);
    let found = |fault| outcome.tally.datagrams.count(fault);
    assert_eq!(outcome.tally.errors(&load), 0);
    assert!(outcome.tally.errors(&Load { expect_faults: false, ..load }) > 0);
    assert!(found(DatagramFault::Lost) > 0 && found(DatagramFault::Duplicate) > 0);
    assert_eq!(found(DatagramFault::Lost), count(&server, "lost"));
    assert_eq!(found(DatagramFault::Duplicate), count(&server, "duplicated"));
    // An answer that is held back is overtaken, unless it is the last one of the run or for a tenth of a second.
    let held = count(&server, "reordered");
    let reordered = found(DatagramFault::Reordered);
    assert!(reordered > 0 && reordered <= held, "{reordered} of {held}");
}

#[test]
fn corrupted_bytes_are_counted_to_the_byte() {
    let server = start(DatagramFaults::default().corrupt(0.01));
    let outcome = run(&Load { size: 128, depth: 16, expect_faults: true, ..udp(address(&server)) });
    assert!(outcome.tally.datagrams.count(DatagramFault::Corrupt) > 0);
    assert_eq!(outcome.tally.datagrams.count(DatagramFault::Lost), 0, "{outcome:?}");
    assert_eq!(outcome.tally.faults.corrupted_bytes, count(&server, "corrupted"));
}

#[test]
fn the_bare_loop_echoes() {
    let socket = UdpSocket::bind(("127.0.0.1", 0)).expect("a port is free");
    let address = socket.local_addr().expect("it is bound");
    thread::spawn(move || serve_bare(&socket).expect("receiving works"));
    let outcome = run(&Load { connections: 20, ..udp(address) });
    assert_found(&outcome, &[]);
    assert!(outcome.tally.answers > 0);
}

#[test]
fn a_run_starts_a_hebra_and_is_clean() {
    let line = "load --mode udp --connections 2 --duration 100ms --warmup 0s";
    let arguments = Bench::try_parse_from(line.split_whitespace()).expect("the command line is valid");
    assert!(matches!(single::run(&BENCH, &arguments.single), Ok(true)));
}

#[test]
fn the_result_tells_each_kind_of_fault() {
    let faults = [(50, Fault::Drop), (60, Fault::Double)];
    let (address, stop) = serve(&faults, 100);
    let load = Load { connections: 2, depth: 8, duration: FUSE, stop: Some(Arc::clone(&stop)), ..udp(address) };
    let outcome = run(&load);
    let table = report::table(&load, &outcome);
    let lost = "  lost        1 (0 dropped by this client's sockets, 0 by the server's socket, 1 elsewhere)";
    assert!(table.contains(lost) && table.contains("  duplicate   1, first datagram "), "{table}");
    let json = json::result(&load, &outcome);
    assert_eq!((&json["datagrams"]["lost"], &json["datagrams"]["lost_elsewhere"]), (&1.into(), &1.into()));
    assert_eq!((&json["datagrams"]["duplicate"], &json["datagrams"]["late"]), (&1.into(), &0.into()));
}

#[test]
fn datagrams_that_are_too_old_are_forgotten_and_stay_lost() {
    let mut ledger = Ledger::default();
    let sent = Instant::now();
    for _ in 0..10 {
        ledger.add(Request { intended: sent, begun: sent });
    }
    assert!(matches!(ledger.answer(1), Answer::First { is_late: false, is_reordered: false, .. }));
    assert!(matches!(ledger.answer(0), Answer::First { is_reordered: true, .. }));
    assert!(matches!((ledger.answer(0), ledger.answer(10)), (Answer::Duplicate, Answer::Unknown)));
    assert_eq!(ledger.time_out(sent + QUIET, Duration::ZERO, 6), 8);
    // Two of the eight that are left are forgotten.
    assert!(matches!((ledger.answer(3), ledger.answer(4)), (Answer::Unknown, Answer::First { is_late: true, .. })));
    assert_eq!((ledger.waiting(), ledger.lost()), (0, (7, Some(2))));
}
