//! Silent clients that hold every worker while others wait.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use hebra::{CloseReason, Event, Framing, ServerConfig, WhenFull};

use crate::support::{FUSE, address, config, connect, connect_served, exchange, read_to_end, say_bye, start};
use crate::{stop_and_balance, wait_for};

const NOTICE: &[u8] = b"idle: the worker is needed for another client\r\n";

fn yielding(workers: usize, yield_after: Duration) -> ServerConfig {
    config().workers(workers).yield_after(Some(yield_after)).queue_timeout(None)
}

/// Exchanges messages with `clients` until they are certainly the last to have spoken. A client counts as silent from
/// when its worker waits for it, which on a busy machine can be a while after the answer. This goes on for longer.
fn speak_again(clients: &mut [TcpStream]) {
    let began = Instant::now();
    while began.elapsed() < Duration::from_millis(100) {
        for client in &mut *clients {
            assert_eq!(exchange(client, b"me again"), b"me again");
        }
    }
}

#[test]
fn a_newcomer_gets_the_worker_of_the_longest_silent_client() {
    let server = start(yielding(3, Duration::from_millis(500)));
    let mut clients: Vec<TcpStream> = (0..3).map(|_| connect_served(address(&server))).collect();
    // The client that connected first is the last to speak.
    speak_again(&mut clients[..1]);
    let newcomers = [connect_served(address(&server)), connect_served(address(&server))];
    assert_eq!(read_to_end(&mut clients[1]), NOTICE);
    assert_eq!(read_to_end(&mut clients[2]), NOTICE);
    assert_eq!(exchange(&mut clients[0], b"still here"), b"still here");
    drop((clients, newcomers));
    stop_and_balance(server);
}

#[test]
fn a_client_that_the_acceptor_holds_gets_a_worker_too() {
    let server = start(yielding(2, Duration::from_millis(100)).max_pending(0).when_full(WhenFull::Wait));
    let _held = [connect_served(address(&server)), connect_served(address(&server))];
    let mut newcomer = connect(address(&server));
    assert_eq!(exchange(&mut newcomer, b"hello"), b"hello");
}

#[test]
fn a_client_that_speaks_now_and_then_keeps_its_worker() {
    let server = start(yielding(1, Duration::from_secs(3600)));
    let mut held = connect_served(address(&server));
    let mut waiting = connect(address(&server));
    for _ in 0..20 {
        assert_eq!(exchange(&mut held, b"here"), b"here");
    }
    say_bye(&mut held);
    assert_eq!(exchange(&mut waiting, b"at last"), b"at last");
}

#[test]
fn silent_clients_keep_their_workers_while_no_client_waits() {
    let server = start(yielding(2, Duration::from_millis(1)));
    let mut clients = [connect_served(address(&server)), connect_served(address(&server))];
    for client in &mut clients {
        assert_eq!(exchange(client, b"still here"), b"still here");
    }
    assert_eq!(server.stats().finished, 0);
}

#[test]
fn as_many_workers_are_taken_as_clients_wait_and_a_raw_stream_carries_no_notice() {
    const WAITING: usize = 50;
    let server = start(yielding(100, Duration::from_millis(500)).framing(Framing::Raw));
    let events = server.subscribe();
    let mut held: Vec<TcpStream> = (0..100).map(|_| connect_served(address(&server))).collect();
    speak_again(&mut held[WAITING..]);
    let mut newcomers: Vec<TcpStream> = (0..WAITING).map(|_| connect(address(&server))).collect();
    for newcomer in &mut newcomers {
        assert_eq!(exchange(newcomer, b"hello"), b"hello");
    }
    wait_for(&events, WAITING, |event| matches!(event, Event::Disconnected { reason: CloseReason::Yielded, .. }));
    assert_eq!(server.stats().live, 100);
    // The clients that were silent for longest have lost their workers.
    for mut client in held.into_iter().take(WAITING) {
        assert_eq!(read_to_end(&mut client), b"");
    }
    stop_and_balance(server);
}

#[test]
fn with_512_workers_held_by_silent_clients_each_newcomer_is_echoed_in_time() {
    const YIELD_AFTER: Duration = Duration::from_secs(2);
    const NEWCOMERS: usize = 100;
    rlimit::increase_nofile_limit(4096).expect("the soft limit can be raised");
    let server = start(yielding(512, YIELD_AFTER));
    let _held: Vec<TcpStream> = (0..512).map(|_| connect_served(address(&server))).collect();
    let asked = Instant::now();
    let mut newcomers: Vec<TcpStream> = (0..NEWCOMERS).map(|_| connect(address(&server))).collect();
    for newcomer in &mut newcomers {
        newcomer.write_all(b"hello").expect("it is sent");
    }
    for newcomer in &mut newcomers {
        let mut echo = [0; 5];
        newcomer.read_exact(&mut echo).expect("it is echoed");
    }
    let took = asked.elapsed();
    assert!(took < YIELD_AFTER + Duration::from_secs(1), "{took:?}");
    assert!(FUSE > took);
}
