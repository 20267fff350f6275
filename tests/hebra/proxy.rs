//! Clients behind a proxy that names them with a PROXY header, and who must send one.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use hebra::{Client, Event, Network, Peer, RunningServer, ServerConfig, Stats, Subscription};
use nix::sys::signal::Signal;

use crate::proxy_reference::SIGNATURE;
use crate::support::{
    FUSE, Program, address, config, connect, connect_from, exchange, networks, read_to_end, say_bye,
    send_and_finish, start,
};

/// How long the server waits for a header.
const HEADER_TIME: Duration = Duration::from_secs(3);

const BUSY_WITH_PEER: &[u8] = b"busy: too many connections from your address\r\n";
const STOPPING: &[u8] = b"busy: the server is shutting down\r\n";

/// Returns the configuration of a server whose proxy connects from 127.0.0.1.
fn behind_proxy() -> ServerConfig {
    config().proxy_protocol(networks(["127.0.0.1"]))
}

/// Returns a header of version 1 that names the client.
fn v1(client: &str) -> Vec<u8> {
    let client: SocketAddr = client.parse().expect("an address");
    let (family, server) = if client.is_ipv4() { ("TCP4", "192.0.2.1") } else { ("TCP6", "2001:db8::2") };
    format!("PROXY {family} {} {server} {} 1234\r\n", client.ip(), client.port()).into_bytes()
}

/// Returns a header of version 2 that names the client, with TLS details behind the addresses.
fn v2(client: &str) -> Vec<u8> {
    let client: SocketAddr = client.parse().expect("an address");
    let (family, mut block) = match client.ip() {
        IpAddr::V4(ip) => (0x11, [ip.octets(), [192, 0, 2, 1]].concat()),
        IpAddr::V6(ip) => (0x21, [ip.octets(), ip.octets()].concat()),
    };
    block.extend(client.port().to_be_bytes());
    block.extend([4, 210, 0x20, 0, 5, 1, 0, 0, 0, 0]);
    binary(0x21, family, &block)
}

fn binary(command: u8, family: u8, block: &[u8]) -> Vec<u8> {
    [SIGNATURE, &[command, family], &(block.len() as u16).to_be_bytes(), block].concat()
}

fn local() -> Vec<u8> {
    binary(0x20, 0, &[])
}

/// Connects a client through the proxy and exchanges a message. Panics if the header is echoed.
fn served_as(server: &RunningServer, client: &str) -> TcpStream {
    let mut stream = connect(address(server));
    stream.write_all(&v2(client)).expect("it is sent");
    assert_eq!(exchange(&mut stream, b"ready?\n"), b"ready?\n");
    stream
}

fn next_connected(events: &Subscription) -> Client {
    loop {
        if let Event::Connected { client, .. } = events.next_timeout(FUSE).expect("a client connects") {
            return client;
        }
    }
}

/// Waits until the totals satisfy `holds`.
fn wait_until(server: &RunningServer, holds: impl Fn(&Stats) -> bool) {
    let began = Instant::now();
    while !holds(&server.stats()) {
        assert!(began.elapsed() < FUSE, "{:?}", server.stats());
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn refused_by(stats: &Stats, reason: &str) -> u64 {
    stats.refused_by_reason().find(|(label, _)| *label == reason).expect("there is such a reason").1
}

fn assert_adds_up(stats: &Stats) {
    let (waiting, live) = (stats.waiting as u64, stats.live as u64);
    assert_eq!(stats.accepted, stats.refused + waiting + live + stats.finished, "{stats}");
    assert_eq!(stats.refused, stats.refused_by_reason().map(|(_, count)| count).sum::<u64>(), "{stats}");
    assert_eq!(stats.finished, stats.finished_by_reason().map(|(_, count)| count).sum::<u64>(), "{stats}");
}

#[test]
fn headers_of_both_versions_name_the_client_and_are_not_echoed() {
    let server = start(behind_proxy());
    let events = server.subscribe();
    for (header, client) in [
        (v1("203.0.113.7:5000"), "203.0.113.7:5000"),
        (v1("[2001:db8::7]:5000"), "[2001:db8::7]:5000"),
        (v2("203.0.113.7:5000"), "203.0.113.7:5000"),
        (v2("[2001:db8::7]:5000"), "[2001:db8::7]:5000"),
        // An IPv4 client of an IPv6 socket of the proxy.
        (v2("[::ffff:203.0.113.7]:5000"), "203.0.113.7:5000"),
    ] {
        let proxy = connect(address(&server));
        assert_eq!(send_and_finish(&proxy, &[&header[..], b"hello\n"].concat()), b"hello\n");
        let connected = next_connected(&events);
        let named = Peer::from(client.parse::<SocketAddr>().expect("an address"));
        let by = Peer::from(proxy.local_addr().expect("it is bound"));
        assert_eq!((connected.peer, connected.proxied_by, connected.is_probe), (named, Some(by), false));
    }
    let stats = server.stats();
    assert_eq!((stats.bytes_in, stats.bytes_out), (5 * 6, 5 * 6), "headers are not counted");
    assert_adds_up(&stats);
}

#[test]
fn a_header_and_a_message_may_arrive_one_byte_at_a_time() {
    let server = start(behind_proxy());
    for header in [v1("203.0.113.7:5000"), v2("[2001:db8::7]:5000")] {
        let mut proxy = connect(address(&server));
        for byte in header.iter().chain(b"hello") {
            proxy.write_all(&[*byte]).expect("it is sent");
        }
        let mut echo = [0; 5];
        proxy.read_exact(&mut echo).expect("it is echoed");
        assert_eq!(&echo, b"hello");
        say_bye(&mut proxy);
    }
}

#[test]
fn the_limit_for_each_address_is_kept_for_the_named_one() {
    let server = start(behind_proxy().workers(8).max_per_ip(Some(1)));
    let mut first = served_as(&server, "203.0.113.7:5000");
    let mut second = connect(address(&server));
    second.write_all(&v1("203.0.113.7:5001")).expect("it is sent");
    assert_eq!(read_to_end(&mut second), BUSY_WITH_PEER);
    let _other = served_as(&server, "203.0.113.8:5000");
    // Those that a proxy does not name are not one peer.
    let mut unnamed = [(); 2].map(|()| connect(address(&server)));
    for client in &mut unnamed {
        client.write_all(b"PROXY UNKNOWN\r\n").expect("it is sent");
        assert_eq!(exchange(client, b"who am I?"), b"who am I?");
    }
    say_bye(&mut first);
    let _again = served_as(&server, "203.0.113.7:5002");
    let stats = server.stats();
    assert_eq!((refused_by(&stats, "too_many_from_peer"), stats.live, stats.finished), (1, 4, 1));
    assert_adds_up(&stats);
}

/// Version 1 has no LOCAL, so HAProxy's checks name their own connection, and so does curl.
#[test]
fn a_proxy_that_names_itself_has_no_limits() {
    let server = start(behind_proxy().max_per_ip(Some(1)).deny(networks(["127.0.0.1"])));
    let events = server.subscribe();
    let mut proxies = [(); 2].map(|()| connect(address(&server)));
    for proxy in &mut proxies {
        let own = proxy.local_addr().expect("it is bound");
        proxy.write_all(&v1(&own.to_string())).expect("it is sent");
        assert_eq!(exchange(proxy, b"hello"), b"hello");
        let connected = next_connected(&events);
        assert_eq!((connected.peer, connected.proxied_by, connected.is_probe), (own.into(), None, false));
    }
}

#[test]
fn from_elsewhere_a_header_is_data_and_none_is_required() {
    let server = start(behind_proxy());
    let events = server.subscribe();
    for message in [v1("203.0.113.7:5000"), v2("203.0.113.7:5000"), local(), b"hello".to_vec()] {
        let client = connect_from([127, 0, 0, 2], address(&server));
        assert_eq!(send_and_finish(&client, &message), message);
        let connected = next_connected(&events);
        assert_eq!(connected.peer, Peer::from(client.local_addr().expect("it is bound")));
        assert_eq!((connected.proxied_by, connected.is_probe), (None, false));
    }
}

#[test]
fn a_proxy_that_breaks_the_rules_is_closed_without_a_byte_and_counted() {
    let server = start(behind_proxy().workers(1).max_pending(0));
    let broken: [&[u8]; 5] =
        [b"hello\n", b"PROXY TCP4 1.2.3.4\r\n", b"PROXY TCP9 ", &binary(0x21, 0x11, &[0; 3]), &[b'x'; 5000]];
    for (before, header) in broken.into_iter().enumerate() {
        let mut proxy = connect(address(&server));
        proxy.write_all(header).expect("it is sent");
        assert_eq!(read_to_end(&mut proxy), b"", "{header:?}");
        // By then it is counted, and its place is free.
        let stats = server.stats();
        assert_eq!((refused_by(&stats, "no_proxy_header"), stats.finished), (before as u64 + 1, before as u64));
        assert_adds_up(&stats);
        say_bye(&mut served_as(&server, "203.0.113.7:5000"));
    }
    // One that leaves in the middle of its header.
    assert_eq!(send_and_finish(&connect(address(&server)), b"PROXY TCP4 1"), b"");
    assert_eq!(refused_by(&server.stats(), "no_proxy_header"), 6);
}

#[test]
fn proxies_without_a_header_are_closed_after_3_seconds_and_delay_no_client_for_longer() {
    let server = start(behind_proxy().workers(1).max_pending(30).queue_timeout(None));
    let began = Instant::now();
    let mut silent: Vec<TcpStream> = (0..20).map(|_| connect(address(&server))).collect();
    let mut slow = connect(address(&server));
    slow.write_all(b"PROXY TCP4 203").expect("it is sent");
    let mut client = connect_from([127, 0, 0, 2], address(&server));
    client.write_all(b"hello").expect("it is sent");
    let mut named = connect(address(&server));
    named.write_all(&[&v1("203.0.113.7:5000")[..], b"bye"].concat()).expect("it is sent");
    wait_until(&server, |stats| stats.waiting == 23);
    let stats = server.stats();
    assert_eq!((stats.accepted, stats.live, stats.refused), (23, 0, 0));
    assert_adds_up(&stats);

    assert_eq!(read_to_end(&mut silent[0]), b"");
    assert!(began.elapsed() >= HEADER_TIME, "{:?}", began.elapsed());
    // One worker serves them in the order of their arrival.
    let mut echo = [0; 5];
    client.read_exact(&mut echo).expect("it is echoed");
    assert_eq!(&echo, b"hello");
    assert!(began.elapsed() < 2 * HEADER_TIME, "{:?}", began.elapsed());
    say_bye(&mut client);
    assert_eq!(read_to_end(&mut named), b"", "its header came in time");
    for proxy in silent[1..].iter_mut().chain([&mut slow]) {
        assert_eq!(read_to_end(proxy), b"");
    }
    let stats = server.stats();
    assert_eq!((refused_by(&stats, "no_proxy_header"), stats.finished), (21, 2));
    assert_adds_up(&stats);
}

#[test]
fn a_stop_while_headers_are_awaited_is_quick_and_clean() {
    let server = start(behind_proxy().workers(2));
    let mut proxies: Vec<TcpStream> = (0..5).map(|_| connect(address(&server))).collect();
    proxies[0].write_all(b"PROXY TCP4 ").expect("it is sent");
    wait_until(&server, |stats| stats.waiting == 5);
    let began = Instant::now();
    let report = server.shutdown(FUSE);
    assert!(began.elapsed() < HEADER_TIME, "{:?}", began.elapsed());
    assert_eq!((report.cut_off, report.abandoned, refused_by(&report.stats, "shutdown")), (0, 0, 5));
    assert_adds_up(&report.stats);
    for proxy in &mut proxies {
        assert_eq!(read_to_end(proxy), STOPPING);
    }
}

#[test]
fn a_proxy_that_connects_through_an_ipv6_socket_is_known_by_its_ipv4_address() {
    let server = start(config().listen(["[::]:0"]).proxy_protocol(networks(["::ffff:127.0.0.1", "::1"])));
    let port = address(&server).port();
    let events = server.subscribe();
    for ip in [IpAddr::from(Ipv4Addr::LOCALHOST), "::1".parse().expect("an address")] {
        let proxy = connect((ip, port).into());
        assert_eq!(send_and_finish(&proxy, &[&v2("203.0.113.7:5000")[..], b"hello"].concat()), b"hello");
        assert_eq!(next_connected(&events).peer.to_string(), "203.0.113.7:5000");
    }
}

#[test]
fn unix_sockets_need_no_header_and_have_no_gate() {
    let path = std::env::temp_dir().join(format!("hebra-proxy-{}.sock", std::process::id()));
    let all: Vec<Network> = networks(["0.0.0.0/0", "::/0"]);
    let listen = [format!("unix:{}", path.display())];
    let server = start(config().listen(listen).proxy_protocol(all.clone()).deny(all).max_per_ip(Some(1)));
    let header = v1("203.0.113.7:5000");
    let clients: Vec<UnixStream> = (0..2)
        .map(|_| {
            let mut client = UnixStream::connect(&path).expect("it listens");
            client.set_read_timeout(Some(FUSE)).expect("a valid timeout");
            client.write_all(&header).expect("it is sent");
            let mut echo = vec![0; header.len()];
            client.read_exact(&mut echo).expect("it is echoed");
            assert_eq!(echo, header);
            client
        })
        .collect();
    assert_eq!(server.stats().live, clients.len());
}

#[test]
fn the_log_names_the_client_and_shows_probes_at_level_debug_only() {
    for level in ["info", "debug"] {
        let mut command = Program::command();
        command.args(["--listen", "127.0.0.1:0", "--proxy-protocol", "127.0.0.1"]).env("RUST_LOG", level);
        let server = Program::spawn(&mut command, 1);
        for _ in 0..10 {
            // A bare connect, with and without a reset, and LOCAL, silent and with a question.
            drop(connect(server.address()));
            let reset = connect(server.address());
            socket2::SockRef::from(&reset).set_linger(Some(Duration::ZERO)).expect("a socket");
            drop(reset);
            assert_eq!(send_and_finish(&connect(server.address()), &local()), b"");
            let question = [&local()[..], b"alive?"].concat();
            assert_eq!(send_and_finish(&connect(server.address()), &question), b"alive?");
        }
        let client = connect(server.address());
        assert_eq!(send_and_finish(&client, &[&v1("203.0.113.7:5000")[..], b"hello\n"].concat()), b"hello\n");
        if level == "debug" {
            let refused = server.wait_for("refused: a proxy checked whether the server is there");
            assert!(refused.contains("DEBUG"), "{refused}");
        } else {
            let first = server.wait_for("client ");
            assert!(first.ends_with("client 41 (203.0.113.7:5000) connected"), "{first}");
        }
        server.wait_for("client 41 (203.0.113.7:5000) says \"hello\\n\" (6 bytes)");
        server.wait_for("client 41 (203.0.113.7:5000) disconnected: end of stream");
        server.signal(Signal::SIGTERM);
        let (code, log) = server.finish();
        let totals = log.last().expect("the totals");
        assert_eq!(code, Some(0));
        assert!(totals.ends_with(" refused_probe=20 finished_end_of_stream=21"), "{totals}");
    }
}

#[test]
fn while_headers_are_awaited_others_are_served() {
    let server = start(behind_proxy().workers(4));
    let mut client = served_as(&server, "203.0.113.7:5000");
    // Another client takes the worker that is left.
    let _silent = [(); 2].map(|()| connect(address(&server)));
    wait_until(&server, |stats| stats.waiting == 2 && stats.live == 1);
    let mut other = connect_from([127, 0, 0, 2], address(&server));
    for client in [&mut client, &mut other] {
        assert_eq!(exchange(client, b"hello"), b"hello");
    }
    assert_adds_up(&server.stats());
}
