//! More clients than workers: which of them wait, which are refused, and what they read.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use hebra::{CloseReason, Event, RefuseReason, ServerConfig, WhenFull};

use crate::support::{FUSE, address, config, connect, connect_served, exchange, read_to_end, say_bye, start};

const BUSY: &[u8] = b"busy: all workers are taken and the queue is full\r\n";

fn small(workers: usize, max_pending: usize) -> ServerConfig {
    config().workers(workers).max_pending(max_pending).queue_timeout(None)
}

/// Returns whether the connection is open and nothing has been received.
fn is_silent(stream: &TcpStream) -> bool {
    stream.set_nonblocking(true).expect("a socket");
    let silent = (&mut &*stream).read(&mut [0]).is_err_and(|error| error.kind() == ErrorKind::WouldBlock);
    stream.set_nonblocking(false).expect("a socket");
    silent
}

#[test]
fn with_two_workers_the_third_client_waits_and_the_fourth_is_refused() {
    let server = start(small(2, 1));
    let mut first = connect_served(address(&server));
    let mut second = connect_served(address(&server));
    let mut third = connect(address(&server));
    third.write_all(b"patient").expect("it is sent");
    let mut fourth = connect(address(&server));
    // The server does not read what the fourth client has sent. Its close must be clean all the same.
    fourth.write_all(b"anybody there?").expect("it is sent");
    assert_eq!(read_to_end(&mut fourth), BUSY);
    assert!(is_silent(&third));
    assert_eq!(exchange(&mut second, b"still served"), b"still served");

    say_bye(&mut first);
    let mut echo = [0; 7];
    third.read_exact(&mut echo).expect("its turn came");
    assert_eq!(&echo, b"patient");
    let stats = server.stats();
    assert_eq!((stats.accepted, stats.refused, stats.live, stats.waiting, stats.finished), (4, 1, 2, 0, 1));
}

#[test]
fn the_place_of_a_client_is_free_when_it_sees_the_end_of_stream() {
    let server = start(small(1, 0));
    for _ in 0..500 {
        let mut client = connect_served(address(&server));
        say_bye(&mut client);
    }
    assert_eq!(server.stats().refused, 0);
}

#[test]
fn a_client_that_waits_longer_than_the_queue_timeout_is_refused() {
    let server = start(small(1, 10).queue_timeout(Some(Duration::from_millis(50))));
    let mut held = connect_served(address(&server));
    let mut waiting: Vec<TcpStream> = (0..10).map(|_| connect(address(&server))).collect();
    for client in &mut waiting {
        assert_eq!(read_to_end(client), b"busy: no worker came free in time\r\n");
    }
    // Their places are free again, and so is the worker once its client has left.
    let mut late = connect(address(&server));
    say_bye(&mut held);
    assert_eq!(exchange(&mut late, b"made it"), b"made it");
}

#[test]
fn with_when_full_wait_no_client_is_refused() {
    let server = start(small(1, 0).when_full(WhenFull::Wait));
    let mut clients: Vec<TcpStream> = (0..20).map(|_| connect(address(&server))).collect();
    for (index, client) in clients.iter_mut().enumerate() {
        let message = format!("number {index}");
        assert_eq!(exchange(client, message.as_bytes()), message.as_bytes());
        say_bye(client);
    }
    let stats = server.stats();
    assert_eq!((stats.accepted, stats.refused, stats.finished), (20, 0, 20));
}

#[test]
fn a_server_whose_acceptor_waits_for_a_place_stops_at_once() {
    let server = start(small(1, 0).when_full(WhenFull::Wait));
    let mut held = connect_served(address(&server));
    let mut clients: Vec<TcpStream> = (0..3).map(|_| connect(address(&server))).collect();
    let report = server.shutdown(FUSE);
    assert_eq!(report.cut_off, 0);
    assert_eq!(read_to_end(&mut held), b"");
    for client in &mut clients {
        // One may have been accepted, and gets a notice. The kernel resets those that it still holds.
        let mut received = Vec::new();
        match client.read_to_end(&mut received) {
            Ok(_) => assert_eq!(received, b"busy: the server is shutting down\r\n"),
            Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
        }
    }
}

#[test]
fn a_refused_client_that_goes_on_sending_still_reads_the_reason() {
    let server = start(small(1, 0));
    let events = server.subscribe();
    let _held = connect_served(address(&server));
    for _ in 0..20 {
        let mut client = connect(address(&server));
        client.write_all(&[b'x'; 100_000]).expect("the server takes it");
        assert_eq!(read_to_end(&mut client), BUSY);
    }
    let refused = std::iter::from_fn(|| events.next_timeout(FUSE))
        .filter(|event| matches!(event, Event::Refused { reason: RefuseReason::Full, .. }))
        .take(20);
    assert_eq!(refused.count(), 20);
}

#[test]
fn clients_that_leave_before_their_turn_cost_nothing() {
    let server = start(small(1, 50));
    let events = server.subscribe();
    let mut held = connect_served(address(&server));
    drop((0..50).map(|_| connect(address(&server))).collect::<Vec<_>>());
    say_bye(&mut held);
    let ended = std::iter::from_fn(|| events.next_timeout(FUSE)).filter_map(|event| match event {
        Event::Disconnected { reason: CloseReason::Bye | CloseReason::EndOfStream, .. } => Some(()),
        _ => None,
    });
    assert_eq!(ended.take(51).count(), 51);
    assert_eq!(server.stats().live, 0);
}
