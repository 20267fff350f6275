//! Connections that are reset, at any point of a session.

use std::io::Write;
use std::net::{Shutdown, TcpStream};

use hebra::{Event, Framing};

use crate::support::{address, config, connect, connect_served, send_and_finish, start};
use crate::{assert_serves, reset, stop_and_balance, wait_for};

/// How far a client goes before it resets.
const POINTS: [fn(&mut TcpStream); 6] = [
    // It resets at once, perhaps before the connection is accepted.
    |_client| {},
    |client| client.write_all(b"hello").expect("it is sent"),
    // The echoes are on their way and will not be read.
    |client| client.write_all(&[b'x'; 200_000]).expect("it is sent"),
    |client| {
        client.write_all(&[b'x'; 200_000]).expect("it is sent");
        client.shutdown(Shutdown::Write).expect("it is open");
    },
    |client| client.write_all(b"hello\nbye\n").expect("it is sent"),
    |client| {
        client.write_all(b"hello\nbye\nand more").expect("it is sent");
        client.shutdown(Shutdown::Write).expect("it is open");
    },
];

#[test]
fn a_reset_at_any_point_costs_its_own_session_only() {
    for framing in [Framing::Message, Framing::Line, Framing::Raw] {
        let server = start(config().framing(framing).max_pending(1000));
        let mut bystander = connect_served(address(&server));
        for _ in 0..50 {
            for point in POINTS {
                let mut client = connect(address(&server));
                point(&mut client);
                reset(client);
            }
            crate::chat(&mut bystander);
        }
        drop(bystander);
        stop_and_balance(server);
    }
}

#[test]
fn a_reset_in_the_middle_of_a_session_is_reported_as_its_reason() {
    let server = start(config());
    let events = server.subscribe();
    reset(connect_served(address(&server)));
    wait_for(&events, 1, |event| match event {
        Event::Disconnected { reason, .. } => reason.to_string() == "connection reset",
        _ => false,
    });
}

#[test]
fn clients_that_reset_while_they_wait_free_their_places() {
    let server = start(config().workers(1).max_pending(100));
    let events = server.subscribe();
    let held = connect_served(address(&server));
    for _ in 0..100 {
        reset(connect(address(&server)));
    }
    drop(held);
    wait_for(&events, 101, |event| matches!(event, Event::Disconnected { .. }));
    assert_serves(address(&server));
    stop_and_balance(server);
}

#[test]
fn the_server_recovers_from_a_storm_of_connections_that_reset() {
    const STORM: usize = 5_000;
    let server = start(config().max_pending(64));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..STORM / 4 {
                    reset(connect(address(&server)));
                }
            });
        }
    });
    // Once the server has worked off the storm, there is room again. It never sees a connection that was reset in the
    // kernel's queue, so the number of accepted connections is not known.
    while send_and_finish(&connect(address(&server)), b"hello\n") != b"hello\n" {}
    stop_and_balance(server);
}
