//! With `--expect-faults` and `--reconnect` the harness counts what a server does on purpose, and goes on.

use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use hebra::{Framing, Handler, Next, RunningServer, Server};
use socket2::SockRef;

use crate::harness::results::report;
use crate::harness::traffic::alignment::{Finding, judge};
use crate::harness::traffic::load::{Load, Mode};
use crate::harness::traffic::tally::Failure;
use crate::support::{Random, address, config, listen, start};
use crate::{load, run};

/// Bytes that the server altered and left out.
#[derive(Default)]
struct Damage {
    altered: AtomicU64,
    omitted: AtomicU64,
}

/// Echoes, and alters or omits one of this many bytes.
struct Unreliable {
    random: Random,
    alters: Option<usize>,
    omits: Option<usize>,
    damage: Arc<Damage>,
}

impl Handler for Unreliable {
    fn message(&mut self, message: &[u8], reply: &mut dyn Write) -> io::Result<Next> {
        let mut answer = Vec::with_capacity(message.len());
        for byte in message {
            if self.omits.is_some_and(|one_of| self.random.below(one_of) == 0) {
                self.damage.omitted.fetch_add(1, Ordering::Relaxed);
            } else if self.alters.is_some_and(|one_of| self.random.below(one_of) == 0) {
                self.damage.altered.fetch_add(1, Ordering::Relaxed);
                answer.push(byte ^ (1 + self.random.below(255) as u8));
            } else {
                answer.push(*byte);
            }
        }
        reply.write_all(&answer)?;
        Ok(Next::Continue)
    }
}

fn unreliable(alters: Option<usize>, omits: Option<usize>) -> (RunningServer, Arc<Damage>) {
    let damage = Arc::new(Damage::default());
    let counted = Arc::clone(&damage);
    let server = Server::bind(config().workers(16).framing(Framing::Raw), move |session| Unreliable {
        random: Random::new(session.client().id),
        alters,
        omits,
        damage: Arc::clone(&counted),
    });
    (server.expect("it binds").start().expect("it starts"), damage)
}

/// Returns the load whose faults are expected.
fn faulty_load(server: &RunningServer) -> Load {
    Load { reconnect: true, expect_faults: true, connections: 4, ..load(address(server)) }
}

#[test]
fn corrupted_bytes_are_counted_to_the_byte() {
    for (size, depth) in [(1, 1), (64, 1), (512, 4), (64 * 1024, 2)] {
        let (server, damage) = unreliable(Some(20), None);
        let outcome = run(&Load { size, depth, ..faulty_load(&server) });
        let tally = &outcome.tally;
        let faults = tally.faults;
        assert_eq!(tally.failures.total(), 0, "{:?}", tally.failures);
        assert!(faults.corrupted_bytes > 0, "{faults:?}");
        assert_eq!(faults.corrupted_bytes, damage.altered.load(Ordering::Relaxed), "{size} x {depth}: {faults:?}");
        assert_eq!((faults.missing_bytes, faults.unfinished_messages), (0, 0), "{size} x {depth}");
        assert_eq!(tally.verified_bytes + faults.corrupted_bytes, tally.total_answers * size as u64);
        assert!(faults.damaged_messages <= faults.corrupted_bytes.min(tally.total_answers));
        assert_eq!(tally.sessions.ended, 0);
    }
}

/// The end of the last line in flight may be missing, and then nothing tells that nothing more comes.
/// Longer than any pause of a busy machine, because what comes later is surplus.
const QUIET: Duration = Duration::from_secs(2);

#[test]
fn missing_bytes_are_counted_to_the_byte() {
    for (size, depth) in [(64, 1), (512, 4), (16 * 1024, 2)] {
        let (server, damage) = unreliable(None, Some(500));
        let outcome = run(&Load { size, depth, timeout: QUIET, ..faulty_load(&server) });
        let tally = &outcome.tally;
        let faults = tally.faults;
        assert_eq!(tally.failures.total(), 0, "{:?}", tally.failures);
        assert!(faults.missing_bytes > 0, "{faults:?}");
        assert_eq!(faults.missing_bytes, damage.omitted.load(Ordering::Relaxed), "{size} x {depth}: {faults:?}");
        let messages = tally.total_answers + faults.unfinished_messages;
        let compared = tally.verified_bytes + faults.missing_bytes + faults.corrupted_bytes;
        assert_eq!(compared, messages * size as u64);
        // Where two bytes are missing close to each other, a byte between them may count as corrupted.
        assert!(faults.corrupted_bytes <= 2 + faults.missing_bytes / 20, "{faults:?}");
    }
}

#[test]
fn corrupted_and_missing_bytes_are_told_apart() {
    let (server, damage) = unreliable(Some(300), Some(1000));
    let load = Load { timeout: QUIET, duration: Duration::from_millis(500), ..faulty_load(&server) };
    let outcome = run(&load);
    let tally = &outcome.tally;
    assert_eq!(tally.failures.total(), 0, "{:?}", tally.failures);
    let table = report::table(&load, &outcome);
    let count =
        |name: &str| table.lines().find_map(|line| line.trim_start().strip_prefix(name)?.split_whitespace().next());
    assert_eq!(count("corrupted"), Some(&tally.faults.corrupted_bytes.to_string()[..]), "{table}");
    assert_eq!(count("missing"), Some(&tally.faults.missing_bytes.to_string()[..]), "{table}");
    let (altered, omitted) = (damage.altered.load(Ordering::Relaxed), damage.omitted.load(Ordering::Relaxed));
    let is_close = |found: u64, real: u64| found.abs_diff(real) <= 2 + real / 20;
    assert!(is_close(tally.faults.corrupted_bytes, altered), "{:?} {altered}", tally.faults);
    assert!(is_close(tally.faults.missing_bytes, omitted), "{:?} {omitted}", tally.faults);
}

#[test]
fn the_bytes_that_follow_decide_what_became_of_one() {
    let expected = b"ABCDEFGHIJKLMNOPQRSTUVWXYZacdefghijklmno";
    assert_eq!(judge(expected, b"xBCDEFGHIJ", 100, false), Finding::Altered);
    assert_eq!(judge(expected, b"BCDEFGHIJK", 100, false), Finding::Missing(1));
    assert_eq!(judge(expected, b"KLMNOPQRST", 100, false), Finding::Missing(10));
    // What is left out may be followed by an altered byte.
    assert_eq!(judge(expected, b"CDxFGHIJKL", 100, false), Finding::Missing(2));
    assert_eq!(judge(expected, b"xBC", 100, false), Finding::Unclear);
    assert_eq!(judge(expected, b"xBC", 3, false), Finding::Altered);
    assert_eq!(judge(expected, b"xBC", 100, true), Finding::Altered);
    assert_eq!(judge(b"xyz\n", b"\n", 4, false), Finding::Missing(3));
}

/// Echoes this many messages and closes the connection.
struct ClosesAfter(u64);

impl Handler for ClosesAfter {
    fn message(&mut self, message: &[u8], reply: &mut dyn Write) -> io::Result<Next> {
        reply.write_all(message)?;
        self.0 -= 1;
        Ok(if self.0 == 0 { Next::Close } else { Next::Continue })
    }
}

#[test]
fn a_session_that_the_server_ends_between_two_answers_is_counted_and_goes_on_in_the_next() {
    let server = Server::bind(config().framing(Framing::Line), |_| ClosesAfter(7)).expect("it binds");
    let server = server.start().expect("it starts");
    for depth in [1, 5] {
        let load = Load { reconnect: true, connections: 3, depth, ..load(address(&server)) };
        let tally = run(&load).tally;
        assert_eq!(tally.failures.total(), 0, "{:?}", tally.failures);
        let sessions = &tally.sessions;
        assert!(sessions.ended > 3 && sessions.reset == 0, "{sessions:?}");
        assert!(sessions.ended.abs_diff(sessions.reconnected) <= 3, "{sessions:?}");
        assert_eq!((sessions.least_messages, sessions.most_messages), (7, 7));
        // The answers of the sessions that the client ended are not among these.
        assert!(tally.total_answers.abs_diff(7 * sessions.ended) <= 3 * 7);
    }
    let without = run(&load(address(&server))).tally;
    assert_eq!((without.failures.count(Failure::Eof), without.sessions.ended), (1, 0));
}

#[test]
fn a_session_that_ends_within_an_answer_is_an_error() {
    let server = Server::bind(config(), |_| Halves).expect("it binds").start().expect("it starts");
    let reconnecting = Load { reconnect: true, ..load(address(&server)) };
    assert_eq!(run(&reconnecting).tally.failures.count(Failure::Eof), 1);
    let tally = run(&Load { expect_faults: true, ..reconnecting }).tally;
    assert_eq!(tally.failures.total(), 0, "{:?}", tally.failures);
    let faults = tally.faults;
    assert_eq!(faults.missing_bytes, 256 * tally.sessions.ended, "{faults:?}");
    assert_eq!((faults.damaged_messages, faults.unfinished_messages), (tally.sessions.ended, tally.sessions.ended));
}

/// Answers with half of a message and closes the connection.
struct Halves;

impl Handler for Halves {
    fn message(&mut self, message: &[u8], reply: &mut dyn Write) -> io::Result<Next> {
        reply.write_all(&message[..message.len() / 2])?;
        Ok(Next::Close)
    }
}

/// Echoes `messages` messages of each client, and resets the connection when the next arrives.
fn resetting(messages: usize) -> SocketAddr {
    let (listener, address) = listen();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("a client connects");
            let mut buffer = vec![0; 512];
            for _ in 0..messages {
                if stream.read_exact(&mut buffer).and_then(|()| stream.write_all(&buffer)).is_err() {
                    break;
                }
            }
            // Its answers have arrived when the next message does.
            let _ = stream.read(&mut buffer);
            SockRef::from(&stream).set_linger(Some(Duration::ZERO)).expect("a socket");
        }
    });
    address
}

#[test]
fn a_reset_is_an_error_unless_faults_are_expected() {
    let reconnecting = Load { reconnect: true, ..load(resetting(3)) };
    assert_eq!(run(&reconnecting).tally.failures.count(Failure::Reset), 1);
    let tally = run(&Load { expect_faults: true, ..reconnecting }).tally;
    assert_eq!(tally.failures.total(), 0, "{:?}", tally.failures);
    let sessions = &tally.sessions;
    assert!(sessions.reset > 1 && sessions.ended == 0, "{sessions:?}");
    assert_eq!((sessions.least_messages, sessions.most_messages), (3, 3));
    assert_eq!(sessions.resent, sessions.reset);
    assert_eq!(tally.faults.missing_bytes, 0);
}

#[test]
fn a_server_that_ends_every_session_without_an_answer_is_not_asked_in_a_loop() {
    let (listener, address) = listen();
    thread::spawn(move || {
        for client in listener.incoming() {
            // Otherwise the close would be a reset.
            client.and_then(|mut client| client.read_exact(&mut [0; 512])).expect("a client sends a message");
        }
    });
    let timeout = Duration::from_millis(400);
    let tally = run(&Load { reconnect: true, timeout, ..load(address) }).tally;
    // Its one message was sent in several sessions, and its time is over.
    assert_eq!((tally.answers, tally.failures.count(Failure::TimedOut), tally.failures.total()), (0, 1, 1));
    assert!((1..20).contains(&tally.sessions.ended), "{:?}", tally.sessions);
}

#[test]
fn a_surplus_byte_is_an_error_even_if_faults_are_expected() {
    let expecting =
        Load { reconnect: true, expect_faults: true, ..load(crate::faulty::serve(crate::faulty::Fault::Extra)) };
    assert_eq!(run(&expecting).tally.failures.count(Failure::Mismatch), 1);
}

#[test]
fn a_server_without_faults_shows_none() {
    let server = start(config());
    for mode in [Mode::Echo, Mode::Stream] {
        let tally = run(&Load { mode, depth: 16, ..faulty_load(&server) }).tally;
        assert_eq!((tally.failures.total(), tally.faults), (0, Default::default()), "{:?}", tally.failures);
        assert!(tally.answers > 0 && tally.sessions.ended == 0);
    }
}
