//! Faults on purpose in the answers to datagrams: that they are those that were asked for, repeat, and keep to the rules
//! for answers.

use std::io::ErrorKind;
use std::net::UdpSocket;
use std::time::{Duration, Instant};

use hebra::{DatagramFaults, Error, RunningUdpServer, UdpConfig, UdpServer, UdpStats};
use nix::sys::signal::Signal;

use crate::support::udp::{client, receive, wait_until};
use crate::support::{FUSE, Program, connect, exchange, read_to_end, udp_command};

const LONG: Duration = Duration::from_secs(60 * 60);

fn start_with(config: UdpConfig, faults: DatagramFaults) -> RunningUdpServer {
    let config = config.listen(["127.0.0.1:0"]).echo(true);
    UdpServer::bind(config).expect("it binds").with_faults(faults).start().expect("it starts")
}

fn start(faults: DatagramFaults) -> RunningUdpServer {
    start_with(UdpConfig::default().rate(None), faults)
}

/// Returns what has arrived.
fn arrived(socket: &UdpSocket) -> Vec<Vec<u8>> {
    let mut buffer = vec![0; 65_535];
    socket.set_nonblocking(true).expect("a socket");
    let mut datagrams = Vec::new();
    loop {
        match socket.recv(&mut buffer) {
            Ok(length) => datagrams.push(buffer[..length].to_vec()),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::WouldBlock);
                socket.set_nonblocking(false).expect("a socket");
                return datagrams;
            }
        }
    }
}

/// Returns a number of faults by its kind.
fn count(stats: &UdpStats, kind: &str) -> u64 {
    stats.faults_by_kind().find(|(label, _)| *label == kind).expect("there is such a kind").1
}

/// A datagram of 64 bytes that begins with its number.
fn numbered(number: u64) -> [u8; 64] {
    let mut datagram = [0; 64];
    datagram[..8].copy_from_slice(&number.to_be_bytes());
    datagram
}

fn send_numbered(client: &UdpSocket, count: u64) {
    for next in 0..count {
        client.send(&numbered(next)).expect("it is sent");
    }
}

fn number(datagram: &[u8]) -> u64 {
    u64::from_be_bytes(datagram[..8].try_into().expect("it is long enough"))
}

/// Sends so many datagrams. Returns what came back, in order, and the totals.
fn run(server: RunningUdpServer, sent: u64) -> (Vec<Vec<u8>>, UdpStats) {
    let client = client(server.local_addrs()[0]);
    let mut received = Vec::new();
    for next in 0..sent {
        client.send(&numbered(next)).expect("it is sent");
        // Few enough for the buffers of the sockets.
        if next % 50 == 49 || next == sent - 1 {
            wait_until(&server, |stats| {
                stats.answers + count(&stats, "lost") == next + 1 + count(&stats, "duplicated")
            });
            received.extend(arrived(&client));
        }
    }
    (received, server.shutdown())
}

#[test]
fn loss_copies_and_corrupted_bytes_are_as_frequent_as_asked_for_exactly_counted_and_repeat() {
    const SENT: u64 = 5_000;
    let faults = |seed| DatagramFaults::default().drop(0.2).duplicate(0.1).corrupt(0.01).seed(seed);
    let (received, stats) = run(start(faults(7)), SENT);
    let mut without_copies = received.clone();
    without_copies.dedup();
    let copies = (received.len() - without_copies.len()) as u64;
    assert_eq!((received.len() as u64, copies), (stats.answers, count(&stats, "duplicated")));
    assert_eq!(without_copies.len() as u64, SENT - count(&stats, "lost"));
    // Behind the number every byte is zero.
    let changed = without_copies.iter().flat_map(|answer| &answer[8..]).filter(|byte| **byte != 0).count() as f64;
    for (got, of, asked) in [
        (count(&stats, "lost") as f64, SENT as f64, 0.2),
        (copies as f64, without_copies.len() as f64, 0.1),
        (changed, 56.0 * without_copies.len() as f64, 0.01),
        (count(&stats, "corrupted") as f64, 64.0 * without_copies.len() as f64, 0.01),
    ] {
        assert!((0.9..1.1).contains(&(got / of / asked)), "{got} of {of}, and {asked} was asked for");
    }
    let (again, stats_again) = run(start(faults(7)), SENT);
    assert!(again == received, "the same seed gave other faults");
    assert!(stats_again.faults_by_kind().eq(stats.faults_by_kind()));
    assert!(run(start(faults(8)), SENT).0 != received, "another seed gave the same faults");
}

#[test]
fn each_answer_waits_for_its_own_delay() {
    const DELAY: Duration = Duration::from_millis(300);
    let server = start(DatagramFaults::default().delay(DELAY..=DELAY));
    let client = client(server.local_addrs()[0]);
    let sent = Instant::now();
    send_numbered(&client, 10);
    for next in 0..10 {
        assert_eq!(number(&receive(&client)), next);
        assert!(sent.elapsed() >= DELAY);
    }
    assert!(sent.elapsed() < 10 * DELAY, "the delays add up: {:?}", sent.elapsed());
    let stats = server.shutdown();
    assert_eq!((count(&stats, "delayed"), stats.answers, stats.discarded), (10, 10, 0));
    assert!(stats.to_string().ends_with(" faults_delayed=10"), "{stats}");
}

#[test]
fn an_answer_with_a_short_delay_overtakes_one_with_a_long_delay() {
    let server = start(DatagramFaults::default().delay(Duration::ZERO..=Duration::from_millis(300)));
    let client = client(server.local_addrs()[0]);
    send_numbered(&client, 50);
    let mut numbers: Vec<_> = (0..50).map(|_| number(&receive(&client))).collect();
    assert!(!numbers.is_sorted(), "{numbers:?}");
    numbers.sort_unstable();
    assert!(numbers.into_iter().eq(0..50));
}

#[test]
fn an_answer_that_is_held_back_comes_after_the_next_one_and_is_never_lost() {
    const SENT: u64 = 1_000;
    let (received, stats) = run(start(DatagramFaults::default().reorder(0.1).seed(7)), SENT);
    let numbers: Vec<_> = received.iter().map(|answer| number(answer)).collect();
    let mut last = 0;
    let overtaken = numbers.iter().filter(|number| {
        last = last.max(**number);
        last > **number
    });
    // One that no other follows within 100 ms is not overtaken.
    let (overtaken, reordered) = (overtaken.count() as u64, count(&stats, "reordered"));
    assert!((1..=reordered).contains(&overtaken), "{overtaken} of {reordered}");
    assert!((80..120).contains(&reordered), "{reordered}");
    let mut sorted = numbers;
    sorted.sort_unstable();
    assert!(sorted.into_iter().eq(0..SENT));

    // Nothing follows this one.
    let server = start(DatagramFaults::default().reorder(1.0));
    let client = client(server.local_addrs()[0]);
    let sent = Instant::now();
    client.send(b"alone").expect("it is sent");
    assert_eq!(receive(&client), b"alone");
    assert!(sent.elapsed() >= Duration::from_millis(100));
}

#[test]
fn a_stop_discards_what_waits_and_is_not_held_up() {
    let server = start(DatagramFaults::default().delay(LONG..=LONG).reorder(0.5));
    let client = client(server.local_addrs()[0]);
    send_numbered(&client, 10);
    wait_until(&server, |stats| count(&stats, "delayed") == 10);
    let begun = Instant::now();
    let stats = server.shutdown();
    assert!(begun.elapsed() < FUSE / 2);
    assert_eq!((stats.answers, stats.discarded, stats.overflowed), (0, 10, 0));
}

#[test]
fn what_waits_is_bounded_and_what_does_not_fit_is_counted() {
    const MOST: u64 = 4_096;
    let server = start(DatagramFaults::default().delay(LONG..=LONG));
    let client = client(server.local_addrs()[0]);
    for next in 1..=MOST + 100 {
        client.send(b"x").expect("it is sent");
        if next % 50 == 0 {
            wait_until(&server, |stats| stats.datagrams == next);
        }
    }
    wait_until(&server, |stats| count(&stats, "delayed") + stats.overflowed == MOST + 100);
    let stats = server.shutdown();
    assert_eq!((count(&stats, "delayed"), stats.overflowed, stats.discarded), (MOST, 100, MOST));
}

#[test]
fn copies_count_against_the_rate_of_the_sender_and_the_bound_of_amplification() {
    const SENT: u64 = 20;
    let begun = Instant::now();
    let server = start_with(UdpConfig::default().rate(Some(8)), DatagramFaults::default().duplicate(1.0));
    let socket = client(server.local_addrs()[0]);
    send_numbered(&socket, SENT);
    // The counts are read one after the other, so the difference of two could be less than nothing.
    wait_until(&server, |stats| stats.answers + stats.rate_limited == SENT + count(&stats, "duplicated"));
    let allowed = 8.0 * (1.0 + begun.elapsed().as_secs_f64());
    let stats = server.shutdown();
    assert!(stats.answers >= 8 && stats.answers as f64 <= allowed, "{stats}, and {allowed} are allowed");
    assert!(count(&stats, "duplicated") >= 4);

    for (amplification, copies) in [(1, 0), (2, SENT)] {
        let config = UdpConfig::default().rate(None).amplification(amplification);
        let (received, stats) = run(start_with(config, DatagramFaults::default().duplicate(1.0)), SENT);
        assert_eq!((received.len() as u64, count(&stats, "duplicated")), (SENT + copies, copies));
    }
}

#[test]
fn a_fault_that_cannot_work_is_an_error_at_the_start() {
    let server = UdpServer::bind(UdpConfig::default().listen(["127.0.0.1:0"])).expect("it binds");
    let error =
        server.with_faults(DatagramFaults::default().reorder(2.0)).start().expect_err("it is no probability");
    assert!(matches!(error, Error::Config { field: "reorder", .. }), "{error}");
}

#[test]
fn a_server_for_connections_and_datagrams_makes_each_fault_where_it_has_a_meaning() {
    let mut command = Program::command();
    command.args(["--listen", "127.0.0.1:0,udp://127.0.0.1:0", "--fault-close-after", "1"]);
    command.args(["--fault-duplicate", "1", "--fault-corrupt", "1", "--fault-seed", "7"]);
    let program = Program::spawn(&mut command, 1);
    let udp = program.next_shown().strip_prefix("listening on udp://").expect("its scheme").to_owned();
    program.wait_for("WARN  hebra] faults on purpose: close_after=1 corrupt=1 seed=7");
    program.wait_for("WARN  hebra] faults on purpose: corrupt=1 duplicate=1 seed=7 (datagrams)");
    let mut stream = connect(program.address());
    let answer = exchange(&mut stream, b"hello");
    assert!(answer.iter().zip(b"hello").all(|(got, sent)| got != sent));
    assert_eq!(read_to_end(&mut stream), b"");
    let client = client(udp.parse().expect("an address"));
    client.send(b"hello").expect("it is sent");
    let answer = receive(&client);
    assert!(answer.len() == 5 && answer.iter().zip(b"hello").all(|(got, sent)| got != sent));
    assert_eq!(receive(&client), answer);
    program.signal(Signal::SIGTERM);
    let (code, lines) = program.finish();
    assert_eq!(code, Some(0));
    let ending = " faults_corrupted=5 faults_duplicated=1";
    assert!(lines.iter().any(|line| line.contains("datagrams=1 ") && line.ends_with(ending)), "{lines:?}");
}

#[test]
fn whoami_has_faults_and_variables_set_them() {
    let mut command = Program::command();
    command.args(["--listen", "udp://127.0.0.1:0", "--service", "whoami"]).env("HEBRA_FAULT_DUPLICATE", "1");
    // It has no effect here, and a variable need not have one.
    let program = Program::spawn(command.env("HEBRA_FAULT_CLOSE_AFTER", "1"), 0);
    let udp = program.next_shown().strip_prefix("listening on udp://").expect("its scheme").to_owned();
    let client = client(udp.parse().expect("an address"));
    // An answer and its copy may be ten times as long as the question together.
    client.send(&[b'x'; 400]).expect("it is sent");
    let answer = receive(&client);
    assert!(answer.starts_with(b"{") && receive(&client) == answer);
    program.signal(Signal::SIGTERM);
    let (_, lines) = program.finish();
    let warnings: Vec<_> = lines.iter().filter(|line| line.contains("faults on purpose")).collect();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].ends_with(": duplicate=1 seed=0 (datagrams)"), "{warnings:?}");
}

#[test]
fn a_udp_server_whose_answers_wait_stops_at_once_and_logs_the_numbers() {
    let flags = ["serve", "--echo", "--listen", "127.0.0.1:0", "--log-format", "json", "--fault-delay", "1h"];
    let program = Program::spawn(&mut udp_command(&flags), 1);
    client(program.address()).send(b"hello").expect("it is sent");
    program.wait_for("\"event\":\"datagram\"");
    let begun = Instant::now();
    program.signal(Signal::SIGTERM);
    let (code, lines) = program.finish();
    assert_eq!(code, Some(0));
    assert!(begun.elapsed() < FUSE / 2);
    let totals = lines.iter().find(|line| line.contains("\"udp_totals\"")).expect("there are totals");
    assert!(totals.contains("\"answers\":0") && totals.contains("\"discarded\":1"), "{totals}");
    assert!(totals.contains("\"faults_delayed\":1"), "{totals}");
}
