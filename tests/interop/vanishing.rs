//! Links that die and peers that vanish, in each state of a session. No packet says so, and the limits of the session
//! end it: nothing is left of it in the server or in the kernel.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use socket2::{Domain, Socket, Type};

use crate::namespace::Network;
use crate::network::lines;
use crate::support::{Program, assert_same, connect, connect_served, read_to_end};

/// The limits of the sessions whose peer vanishes: one worker, and one connection for each address. The times are long
/// enough for a client that waits for a busy processor.
const LIMITS: [&str; 13] = [
    "serve",
    "--workers",
    "1",
    "--max-per-ip",
    "1",
    "--idle-timeout",
    "4s",
    "--write-timeout",
    "4s",
    "--stats-interval",
    "100ms",
    "--framing",
    "line",
];

/// Longest time until nothing is left of a session. Both limits may pass one after the other; the rest is for a busy
/// machine. The kernel alone would take a minute or a quarter of an hour.
const GONE: Duration = Duration::from_secs(30);

/// A reply that fits into the buffers of the server's kernel, but not into the window of a client that does not read.
const HELD: usize = 16 * 1024;

/// How the network fails, and how it is mended.
type Fault = (fn(&Network), fn(&Network));

const CLIENT_LINK: Fault = (|network| network.client.set_link("down"), |network| network.client.set_link("up"));
const SERVER_LINK: Fault = (|network| network.server.set_link("down"), |network| network.server.set_link("up"));
const SILENCE: Fault = (|network| network.client.fall_silent(), |network| network.client.answer_again());

/// Brings a session into a state, then lets the network fail. Asserts that the session ends, that the kernel keeps
/// nothing of it, and that its worker and its place are free for the same client.
fn assert_nothing_is_left(fault: Fault, state: fn(&Network, &Program) -> TcpStream) {
    let Some(network) = Network::new() else { return };
    let server = network.serve(&LIMITS);
    let client = state(&network, &server);
    let totals = fail_and_mend(&network, &server, fault);
    assert!(totals.contains(" live=0 finished=2 "), "{totals}");
    drop(client);
}

/// Lets the network fail, waits until nothing is left of any client, and mends the network. Then serves one client and
/// returns the totals.
fn fail_and_mend(network: &Network, server: &Program, (fail, mend): Fault) -> String {
    let address = server.address();
    fail(network);
    let failed = Instant::now();
    let is_over = || server.wait_for("totals: ").contains(" live=0 ");
    while !is_over() || !network.server.sockets(address).is_empty() {
        let left = network.server.sockets(address);
        assert!(failed.elapsed() < GONE, "the session is over: {}; the kernel holds {left:#?}", is_over());
    }
    mend(network);
    network.wait_until_linked();
    drop(serve(network, address));
    network.stop(server)
}

/// Connects, and waits until a worker serves the client.
fn serve(network: &Network, address: SocketAddr) -> TcpStream {
    network.client.run(|| connect_served(address))
}

/// Connects with the smallest receive buffer, so that replies stay with the server's kernel.
fn connect_with_a_small_window(network: &Network, address: SocketAddr) -> TcpStream {
    network.client.run(|| {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a descriptor is free");
        socket.set_recv_buffer_size(2048).expect("a valid size");
        socket.connect(&address.into()).expect("it listens");
        TcpStream::from(socket)
    })
}

fn idle(network: &Network, server: &Program) -> TcpStream {
    serve(network, server.address())
}

fn sending_a_line(network: &Network, server: &Program) -> TcpStream {
    let mut client = serve(network, server.address());
    client.write_all(b"a line\nhalf a li").expect("it is sent");
    let mut echo = [0; 7];
    client.read_exact(&mut echo).expect("it is echoed");
    assert_eq!(&echo, b"a line\n");
    client
}

/// The reply is under way: the client has read and verified a part of it, and would take the rest.
fn reading(network: &Network, server: &Program) -> TcpStream {
    let mut client = serve(network, server.address());
    let input = lines(4 << 20);
    let sender = client.try_clone().expect("a descriptor is free");
    let sent = input.clone();
    // The network fails in the middle.
    thread::spawn(move || drop((&sender).write_all(&sent)));
    let mut echo = vec![0; 64 * 1024];
    client.read_exact(&mut echo).expect("it is echoed");
    assert_same(&echo, &input[..echo.len()]);
    client
}

/// The client takes nothing more: the session is blocked in a write.
fn blocked(network: &Network, server: &Program) -> TcpStream {
    let client = connect_with_a_small_window(network, server.address());
    let sender = client.try_clone().expect("a descriptor is free");
    thread::spawn(move || while (&sender).write_all(&[b'\n'; 64 * 1024]).is_ok() {});
    let mut last = server.next_totals();
    loop {
        let totals = server.next_totals();
        if totals == last && totals.0 > totals.1 {
            return client;
        }
        last = totals;
    }
}

/// The client has closed its sending side and has not read the reply, which the server's kernel holds.
fn half_closed(network: &Network, server: &Program) -> TcpStream {
    let mut client = connect_with_a_small_window(network, server.address());
    client.write_all(&lines(HELD)).expect("the server reads");
    client.shutdown(Shutdown::Write).expect("it is connected");
    wait_for_bytes(server, HELD);
    client
}

/// The session has ended and the reply is with the server's kernel, as is the end of the stream.
fn bye_with_a_reply_under_way(network: &Network, server: &Program) -> TcpStream {
    let mut client = connect_with_a_small_window(network, server.address());
    client.write_all(&[&lines(HELD)[..], b"bye\n"].concat()).expect("the server reads");
    wait_for_bytes(server, HELD);
    client
}

/// The client has read everything and does not close.
fn lingering(network: &Network, server: &Program) -> TcpStream {
    let mut client = serve(network, server.address());
    client.write_all(b"bye\n").expect("it is sent");
    assert_eq!(read_to_end(&mut client), b"");
    client
}

/// Waits until the server has handed this many bytes of replies to its kernel.
fn wait_for_bytes(server: &Program, bytes: usize) {
    while server.next_totals().1 < bytes as u64 {}
}

#[test]
fn nothing_is_left_of_a_peer_that_vanishes_while_it_waits_for_a_worker() {
    let Some(network) = Network::new() else { return };
    let server = network.serve(&LIMITS);
    // The only worker serves a client on the server's own host until that client has been idle for too long.
    let address = server.address();
    let served = network.server.run(|| connect_served(address));
    let waiting = network.client.run(|| connect(address));
    while !server.wait_for("totals: ").contains(" waiting=1 ") {}
    let totals = fail_and_mend(&network, &server, SILENCE);
    assert!(totals.contains(" live=0 finished=3 "), "{totals}");
    drop((served, waiting));
}

#[test]
fn nothing_is_left_of_an_idle_peer_that_vanishes() {
    assert_nothing_is_left(SILENCE, idle);
}

#[test]
fn nothing_is_left_of_a_peer_that_vanishes_in_the_middle_of_a_line() {
    assert_nothing_is_left(SILENCE, sending_a_line);
}

#[test]
fn nothing_is_left_of_a_peer_that_vanishes_while_it_reads() {
    assert_nothing_is_left(SILENCE, reading);
}

#[test]
fn nothing_is_left_of_a_peer_that_does_not_read_and_vanishes() {
    assert_nothing_is_left(SILENCE, blocked);
}

#[test]
fn nothing_is_left_of_a_peer_that_vanishes_half_closed() {
    assert_nothing_is_left(SILENCE, half_closed);
}

#[test]
fn nothing_is_left_of_a_peer_that_says_bye_and_vanishes_before_it_has_read_the_reply() {
    assert_nothing_is_left(SILENCE, bye_with_a_reply_under_way);
}

#[test]
fn nothing_is_left_of_a_peer_that_says_bye_and_vanishes_before_it_closes() {
    assert_nothing_is_left(SILENCE, lingering);
}

#[test]
fn nothing_is_left_of_an_idle_session_whose_link_dies_at_the_far_end() {
    assert_nothing_is_left(CLIENT_LINK, idle);
}

#[test]
fn nothing_is_left_of_an_idle_session_whose_link_dies_at_the_near_end() {
    assert_nothing_is_left(SERVER_LINK, idle);
}

#[test]
fn nothing_is_left_of_a_reply_under_way_when_the_link_dies_at_the_far_end() {
    assert_nothing_is_left(CLIENT_LINK, reading);
}

#[test]
fn nothing_is_left_of_a_reply_under_way_when_the_link_dies_at_the_near_end() {
    assert_nothing_is_left(SERVER_LINK, reading);
}
