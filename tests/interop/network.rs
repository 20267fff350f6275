//! A network that loses packets, or has small ones. Every byte is verified.

use std::net::UdpSocket;
use std::thread;

use crate::namespace::Network;
use crate::pipe;
use crate::support::{FUSE, Program, assert_same, connect, exchange, random_bytes, send_and_finish};

/// Exchanges lines, then sends many at once and closes the sending side; and the same with `hebra connect` in a pipe.
/// Verifies every byte.
fn assert_echoes(network: &Network, server: &Program, bytes: usize) {
    let address = server.address();
    let input = &lines(bytes);
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let mut client = network.client.run(|| connect(address));
                for line in input.chunks(64).take(10) {
                    assert_eq!(exchange(&mut client, line), line);
                }
                assert_same(&send_and_finish(&client, input), input);
            });
        }
        scope.spawn(|| {
            let mut client = network.client.command(env!("CARGO_BIN_EXE_hebra"));
            client.args(["connect", "--timeout", "60s", &address.to_string()]);
            assert_same(&pipe(&mut client, input), input);
        });
    });
    let totals = network.stop(server);
    let all = 3 * bytes + 2 * 10 * 64;
    assert!(totals.contains(&format!(" bytes_in={all} bytes_out={all} ")), "{totals}");
    assert!(totals.contains(" live=0 finished=3 "), "{totals}");
}

/// Loses packets that arrive at the server and at the client, with these probabilities in percent.
fn assert_survives_loss(at_server: u32, at_client: u32) {
    let Some(network) = Network::new() else { return };
    let server = network.serve(&["serve", "--framing", "line", "--log-messages", "off"]);
    network.server.lose(at_server);
    network.client.lose(at_client);
    assert_echoes(&network, &server, 64 * 1024);
}

#[test]
fn every_byte_arrives_when_one_packet_in_a_hundred_is_lost() {
    assert_survives_loss(1, 1);
}

#[test]
fn every_byte_arrives_when_one_packet_in_twenty_is_lost() {
    assert_survives_loss(5, 5);
}

// In one direction at a time: in both, TCP may lose the same packet eight times, and then waits for longer than a test.
#[test]
fn every_byte_arrives_when_the_server_loses_one_packet_in_five() {
    assert_survives_loss(20, 0);
}

#[test]
fn every_byte_arrives_when_the_client_loses_one_packet_in_five() {
    assert_survives_loss(0, 20);
}

#[test]
fn every_byte_passes_a_link_of_600_byte_packets_in_each_framing() {
    let Some(network) = Network::new() else { return };
    for host in [&network.server, &network.client] {
        host.sh("ip link set eth0 mtu 600");
    }
    for framing in ["message", "line", "raw"] {
        let server = network.serve(&["serve", "--framing", framing, "--log-messages", "off"]);
        assert_echoes(&network, &server, 1 << 20);
    }
}

#[test]
fn a_datagram_passes_a_link_of_smaller_packets_in_fragments() {
    let Some(network) = Network::new() else { return };
    for host in [&network.server, &network.client] {
        host.sh("ip link set eth0 mtu 600");
    }
    let server = network.serve(&["udp", "serve", "--echo"]);
    let client = network.client.run(|| UdpSocket::bind("10.9.8.2:0").expect("its address"));
    client.set_read_timeout(Some(FUSE)).expect("a valid timeout");
    client.connect(server.address()).expect("there is a route");
    let datagram = random_bytes(4000);
    client.send(&datagram).expect("it is sent");
    let mut answer = vec![0; 5000];
    let length = client.recv(&mut answer).expect("it is answered");
    assert_same(&answer[..length], &datagram);
}

/// Returns random letters, with a line feed after each 63 of them.
pub(crate) fn lines(length: usize) -> Vec<u8> {
    let mut bytes = random_bytes(length);
    for (index, byte) in bytes.iter_mut().enumerate() {
        *byte = if index % 64 == 63 { b'\n' } else { b'a' + *byte % 16 };
    }
    bytes
}
