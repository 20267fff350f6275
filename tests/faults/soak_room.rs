//! A room full of clients that all talk at once. `make stress` runs it.
#![expect(clippy::print_stdout, reason = "this is also a measurement, which make stress shows")]

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use crate::support::{Program, chat, connect};

const CLIENTS: usize = 200;
const LINES: usize = 200;
/// The time from one line of a client to its next.
const PAUSE: Duration = Duration::from_millis(50);

/// Reads every line of all other clients, and asserts that each arrives once and in order. Returns their delays in
/// microseconds.
fn listen(stream: TcpStream, own: usize, began: Instant) -> Histogram<u64> {
    let mut next = vec![0; CLIENTS];
    let mut delays = Histogram::new(3).expect("valid precision");
    let mut lines = BufReader::with_capacity(64 * 1024, stream);
    let mut line = String::new();
    for _ in 0..(CLIENTS - 1) * LINES {
        line.clear();
        lines.read_line(&mut line).expect("a line");
        let now = began.elapsed().as_micros() as u64;
        // A line is the name that the room gives the speaker, and then the speaker's number, its count and the time.
        let mut fields = line.split_ascii_whitespace().skip(1).map(|field| field.parse::<u64>().expect("a number"));
        let mut field = || fields.next().expect("a complete line");
        let (speaker, count, sent) = (field() as usize, field(), field());
        assert_ne!(speaker, own, "a client reads its own line");
        assert_eq!(count, next[speaker], "a line is missing, repeated or out of order");
        next[speaker] += 1;
        delays.record(now.saturating_sub(sent)).expect("it resizes");
    }
    delays
}

/// All clients send all their lines at a steady pace. Returns the delays of all deliveries.
fn talk(program: &Program) -> Histogram<u64> {
    let began = Instant::now();
    let mut speakers: Vec<TcpStream> = (0..CLIENTS).map(|_| connect(program.address())).collect();
    let joined = std::iter::from_fn(|| Some(program.next_shown())).filter(|line| line.contains(" joined from "));
    assert_eq!(joined.take(CLIENTS).count(), CLIENTS);
    thread::scope(|scope| {
        let listeners: Vec<_> = speakers
            .iter()
            .enumerate()
            .map(|(own, stream)| {
                let stream = stream.try_clone().expect("a descriptor is free");
                scope.spawn(move || listen(stream, own, began))
            })
            .collect();
        let start = Instant::now();
        for count in 0..LINES {
            for (own, speaker) in speakers.iter_mut().enumerate() {
                let due = PAUSE.mul_f64(count as f64 + own as f64 / CLIENTS as f64);
                // This is an open loop: no speaker waits for another, and lateness does not reduce the load.
                thread::sleep(due.saturating_sub(start.elapsed()));
                let line = format!("{own} {count} {}\n", began.elapsed().as_micros());
                speaker.write_all(line.as_bytes()).expect("it is sent");
            }
        }
        listeners.into_iter().fold(Histogram::new(3).expect("valid precision"), |mut all, listener| {
            all.add(listener.join().expect("it reads every line")).expect("the same precision");
            all
        })
    })
}

#[test]
#[ignore = "20 seconds of two busy cores; make stress runs it"]
fn in_a_full_room_each_line_arrives_once_and_a_stalled_client_is_dropped() {
    let mut p99s = Vec::new();
    for stalled in [false, true] {
        let program = chat(&["--room"]);
        let silent = stalled.then(|| {
            let silent = connect(program.address());
            assert!(program.next_shown().starts_with("* <1> joined from "));
            silent
        });
        let delays = talk(&program);
        let ms = |quantile| delays.value_at_quantile(quantile) as f64 / 1000.0;
        println!(
            "room of {CLIENTS}{}: {} deliveries, p50 {:.1} ms, p99 {:.1} ms, max {:.1} ms",
            if stalled { " and one that does not read" } else { "" },
            delays.len(),
            ms(0.5),
            ms(0.99),
            ms(1.0),
        );
        p99s.push(ms(0.99));
        if silent.is_some() {
            let left = std::iter::from_fn(|| Some(program.next_shown())).find(|line| line.contains(" left: "));
            assert_eq!(left.as_deref(), Some("* <1> left: reads too slowly"));
        }
    }
    println!("p99 with the one that does not read, to without: {:.2}", p99s[1] / p99s[0]);
}
