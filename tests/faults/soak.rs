//! Runs that take a minute or thousands of descriptors. `make stress` runs them.
#![expect(clippy::print_stdout, reason = "these runs are also measurements, which make stress shows")]

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::reset;
use crate::support::{Program, Random, connect, connect_served, exchange, random_bytes};

/// How long the soak runs.
const SOAK: Duration = Duration::from_secs(60);
/// How long the server may take until its use of threads, descriptors and memory is steady.
const WARM_UP: Duration = Duration::from_secs(10);

/// Returns the threads, descriptors and resident KiB of the program.
fn usage(program: &Program) -> (u64, u64, u64) {
    let descriptors = fs::read_dir(format!("/proc/{}/fd", program.id())).expect("it runs").count() as u64;
    (program.status("Threads"), descriptors, program.status("VmRSS"))
}

/// Connects clients of one kind, one after the other, until `over`. Returns how many bytes were echoed correctly.
fn soak(address: SocketAddr, kind: usize, bytes: &[u8], over: &AtomicBool) -> u64 {
    let mut random = Random::new(kind as u64);
    let mut verified = 0;
    while !over.load(Relaxed) {
        let mut client = connect(address);
        match kind % 5 {
            // Churn: one message.
            0 => {
                assert_eq!(exchange(&mut client, b"hello"), b"hello");
                verified += 5;
            }
            // Bulk: long messages.
            1 | 2 => {
                for _ in 0..20 {
                    let start = random.below(bytes.len() / 2);
                    let message = &bytes[start..start + 1 + random.below(bytes.len() / 2)];
                    assert!(exchange(&mut client, message) == message, "a byte differs");
                    verified += message.len() as u64;
                }
            }
            // Resets while replies are on their way.
            3 => {
                client.write_all(&bytes[..1 + random.below(100_000)]).expect("it is sent");
                client.read_exact(&mut [0]).expect("it is served");
                reset(client);
            }
            // Reads nothing, until the server ends the session.
            _ => while client.write_all(bytes).is_ok() {},
        }
    }
    verified
}

#[test]
#[ignore = "takes a minute; make stress runs it"]
fn a_minute_of_churn_bulk_and_hostile_clients_leaves_nothing_behind() {
    const CLIENTS: usize = 40;
    let program = Program::serve(&[
        "--framing=raw",
        "--workers=64",
        "--log-messages=off",
        "--write-timeout=1s",
        "--yield-after=1s",
    ]);
    let errors = AtomicU64::new(0);
    let over = AtomicBool::new(false);
    let bytes = &random_bytes(256 * 1024);
    let address = program.address();
    let mut samples = Vec::new();
    let verified: u64 = thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|kind| {
                let over = &over;
                scope.spawn(move || soak(address, kind, bytes, over))
            })
            .collect();
        let (began, pace) = (Instant::now(), crossbeam_channel::tick(Duration::from_secs(1)));
        while began.elapsed() < SOAK {
            pace.recv().expect("it ticks");
            if began.elapsed() > WARM_UP {
                samples.push(usage(&program));
            }
            if clients.iter().any(|client| client.is_finished()) {
                errors.fetch_add(1, Relaxed);
                break;
            }
        }
        over.store(true, Relaxed);
        clients.into_iter().map(|client| client.join().expect("it does not fail")).sum()
    });
    assert_eq!(errors.load(Relaxed), 0, "a client ended before the time");
    let (threads, descriptors, resident): (Vec<u64>, Vec<u64>, Vec<u64>) =
        samples.iter().map(|(threads, descriptors, resident)| (threads, descriptors, resident)).collect();
    println!("{verified} bytes verified; resident KiB: {resident:?}");
    assert!(threads.iter().all(|count| *count == threads[0]), "{threads:?}");
    // One for each session, for each connection that may linger, and for the server itself.
    assert!(descriptors.iter().all(|count| *count < 64 + 128 + 32), "{descriptors:?}");
    let half = resident.len() / 2;
    let peak = |samples: &[u64]| samples.iter().copied().max().expect("there are samples");
    assert!(peak(&resident[half..]) <= peak(&resident[..half]) + 2048, "{resident:?}");
    program.signal(Signal::SIGTERM);
    let (code, lines) = program.finish();
    assert_eq!(code, Some(0));
    let totals = lines.last().expect("totals at the end");
    assert!(totals.contains(" panicked=0 "), "{totals}");
}

#[test]
#[ignore = "needs 10,000 descriptors in each of two processes; make stress runs it"]
fn ten_thousand_sessions_at_once_are_all_echoed() {
    const SESSIONS: usize = 10_000;
    let limit = rlimit::increase_nofile_limit(SESSIONS as u64 + 500).expect("the soft limit can be raised");
    assert!(limit > SESSIONS as u64 + 100, "the hard limit of descriptors is {limit}");
    let program = Program::serve(&["--workers=10000", "--log-messages=off", "--backlog=4096"]);
    let (_, _, before) = usage(&program);
    let mut clients: Vec<TcpStream> = (0..SESSIONS).map(|_| connect_served(program.address())).collect();
    for round in 0..3_u32 {
        for client in &mut clients {
            client.write_all(&round.to_be_bytes()).expect("it is sent");
        }
        for client in &mut clients {
            let mut echo = [0; 4];
            client.read_exact(&mut echo).expect("it is echoed");
            assert_eq!(echo, round.to_be_bytes());
        }
    }
    let (threads, _, after) = usage(&program);
    let for_each = after as f64 / SESSIONS as f64;
    println!(
        "{threads} threads; {:.1} KiB resident for each session, {for_each:.1} KiB with its idle worker",
        (after - before) as f64 / SESSIONS as f64,
    );
    // One more page of stack for each session would be 4 KiB. Frames are larger without optimization.
    let most = if cfg!(debug_assertions) { 24.0 } else { 11.0 };
    assert!(for_each < most, "{for_each:.1} KiB resident for each session");
    drop(clients);
    program.signal(Signal::SIGTERM);
    let (code, lines) = program.finish();
    assert_eq!(code, Some(0));
    assert!(lines.last().is_some_and(|line| line.contains("accepted=10000 refused=0")), "{:?}", lines.last());
}

/// Returns how long `count` plain threads take until the last one is created.
fn start_threads(count: usize) -> Duration {
    let (gate, began) = (Mutex::new(()), Instant::now());
    thread::scope(|scope| {
        let _closed = gate.lock();
        for _ in 0..count {
            scope.spawn(|| drop(gate.lock()));
        }
        began.elapsed()
    })
}

#[test]
#[ignore = "a time; make stress runs it alone"]
fn most_starts_of_512_workers_take_at_most_30_ms() {
    const WORKERS: usize = 512;
    let start = || {
        let began = Instant::now();
        let program = Program::serve(&["--workers=512"]);
        assert!(program.status("Threads") > WORKERS as u64, "it listens when all workers exist");
        began.elapsed()
    };
    let (mut starts, mut threads): (Vec<_>, Vec<_>) = (0..15).map(|_| (start(), start_threads(WORKERS))).unzip();
    starts.sort_unstable();
    threads.sort_unstable();
    let (median, bare) = (starts[7], threads[7]);
    println!("512 workers: {median:?} from the start of the program; 512 threads alone: {bare:?}");
    // A machine on which the threads alone take that long is measured by them.
    let most = Duration::from_millis(30).max(2 * bare);
    // Without optimization it takes longer, and other tests run beside it.
    assert!(cfg!(debug_assertions) || median <= most, "{starts:?}, and threads alone {threads:?}");
}
