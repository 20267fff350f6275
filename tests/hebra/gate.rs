//! Who may connect: `--allow` and `--deny`, for TCP and for datagrams, and the totals by reason.

use std::io::Write;
use std::net::{Ipv4Addr, UdpSocket};
use std::process::Command;

use hebra::{Event, LogMessages, Peer, RefuseReason, ServerConfig, UdpConfig, UdpServer};
use nix::sys::signal::Signal;

use crate::support::{
    FUSE, Program, address, config, connect, connect_from, connect_served, exchange, networks, read_to_end,
    say_bye, start, udp_command,
};

/// Returns which of the addresses 127.0.0.1, 127.0.0.2 and 127.0.1.1 are let in.
fn let_in(config: ServerConfig) -> [bool; 3] {
    let server = start(config);
    [[127, 0, 0, 1], [127, 0, 0, 2], [127, 0, 1, 1]].map(|ip: [u8; 4]| {
        let mut client = connect_from(ip, address(&server));
        client.write_all(b"hello\nbye\n").expect("it is sent");
        let read = read_to_end(&mut client);
        assert!(read.is_empty() || read == b"hello\n", "{read:?}");
        !read.is_empty()
    })
}

#[test]
fn only_allowed_networks_are_let_in_and_deny_wins() {
    let rules = |allow: &[&str], deny: &[&str]| {
        let parse = |texts: &[&str]| texts.iter().map(|text| text.parse().expect("a network")).collect::<Vec<_>>();
        config().allow(parse(allow)).deny(parse(deny))
    };
    assert_eq!(let_in(rules(&[], &[])), [true, true, true]);
    assert_eq!(let_in(rules(&["127.0.0.0/24"], &[])), [true, true, false]);
    assert_eq!(let_in(rules(&["127.0.0.2", "127.0.1.0/24"], &[])), [false, true, true]);
    assert_eq!(let_in(rules(&[], &["127.0.0.0/31"])), [false, true, true]);
    assert_eq!(let_in(rules(&["127.0.0.0/8"], &["127.0.0.2/32", "127.0.1.1"])), [true, false, false]);
    assert_eq!(let_in(rules(&["127.0.0.1"], &["0.0.0.0/0"])), [false, false, false]);
    assert_eq!(let_in(rules(&["::/0"], &[])), [false, false, false]);
}

#[test]
fn a_client_that_is_kept_out_is_closed_at_once_although_all_workers_are_busy() {
    let server = start(config().workers(1).max_pending(1).queue_timeout(None).deny(networks(["127.0.0.2"])));
    let events = server.subscribe();
    let mut held = connect_served(address(&server));
    let waiting = connect(address(&server));
    for _ in 0..3 {
        assert_eq!(read_to_end(&mut connect_from([127, 0, 0, 2], address(&server))), b"");
    }
    let full = read_to_end(&mut connect(address(&server)));
    assert_eq!(full, b"busy: all workers are taken and the queue is full\r\n");
    let refused: Vec<RefuseReason> = std::iter::from_fn(|| events.next_timeout(FUSE))
        .filter_map(|event| match event {
            Event::Refused { reason, .. } => Some(reason),
            _ => None,
        })
        .take(4)
        .collect();
    assert_eq!(refused[..3], [RefuseReason::NotAllowed; 3]);
    assert_eq!(refused[3], RefuseReason::Full);
    let stats = server.stats();
    assert_eq!((stats.accepted, stats.refused, stats.waiting, stats.live), (6, 4, 1, 1));
    assert_eq!(exchange(&mut held, b"still served"), b"still served");
    drop(waiting);
}

#[test]
fn behind_a_proxy_the_named_address_decides() {
    let rules = |config: ServerConfig| config.deny(networks(["203.0.113.0/24", "127.0.0.1"]));
    let server = start(rules(config().proxy_protocol(networks(["127.0.0.1"]))));
    let events = server.subscribe();
    let through = |client: &str| {
        let mut proxy = connect(address(&server));
        proxy.write_all(format!("PROXY {client}\r\n").as_bytes()).expect("it is sent");
        proxy.write_all(b"bye").expect("it is sent");
        assert_eq!(read_to_end(&mut proxy), b"");
        loop {
            match events.next_timeout(FUSE).expect("an event") {
                Event::Refused { client, reason: RefuseReason::NotAllowed } => return (client.peer, false),
                Event::Disconnected { client, .. } => return (client.peer, true),
                _ => {}
            }
        }
    };
    let peer = |text: &str| Peer::from(text.parse::<std::net::SocketAddr>().expect("an address"));
    assert_eq!(through("TCP4 203.0.113.7 192.0.2.1 5000 80"), (peer("203.0.113.7:5000"), false));
    assert_eq!(through("TCP4 203.0.114.7 192.0.2.1 5000 80"), (peer("203.0.114.7:5000"), true));
    assert_eq!(through("TCP6 ::ffff:203.0.113.7 ::1 5000 80"), (peer("203.0.113.7:5000"), false));
    // A proxy that names no client is the client.
    assert!(!through("UNKNOWN").1);
}

#[test]
fn the_program_takes_networks_from_flags_and_variables_and_counts_by_reason() {
    let mut command = Program::command();
    command.args(["--listen", "127.0.0.1:0", "--workers", "1", "--max-pending", "0", "--deny", "127.0.0.3"]);
    command.args(["--deny", "127.0.0.4, 127.0.0.5"]).env("HEBRA_ALLOW", "127.0.0.0/24,::1");
    let server = Program::spawn(&mut command, 1);
    for last in 3..6 {
        assert_eq!(read_to_end(&mut connect_from([127, 0, 0, last], server.address())), b"");
    }
    assert_eq!(read_to_end(&mut connect_from([127, 0, 1, 1], server.address())), b"");
    server.wait_for(" refused: its address is not allowed");
    for _ in 0..5 {
        say_bye(&mut connect_served(server.address()));
    }
    let _held = connect_served(server.address());
    for _ in 0..2 {
        read_to_end(&mut connect(server.address()));
    }
    server.signal(Signal::SIGTERM);
    let (_, log) = server.finish();
    let totals = log.last().expect("the totals");
    assert!(totals.contains("accepted=12 refused=6 waiting=0 live=0 finished=6 "), "{totals}");
    let by_reason = " refused_full=2 refused_not_allowed=4 finished_bye=5 finished_shutdown=1";
    assert!(totals.ends_with(by_reason), "{totals}");
}

/// Asserts that of two senders one is neither answered nor logged.
fn assert_deaf_to_127_0_0_2(command: &mut Command) {
    let server = Program::spawn(command, 1);
    let sender = |last| {
        let sender = UdpSocket::bind((Ipv4Addr::new(127, 0, 0, last), 0)).expect("a free port");
        sender.set_read_timeout(Some(FUSE)).expect("a valid timeout");
        sender.connect(server.address()).expect("there is a route");
        sender
    };
    let (kept_out, let_in) = (sender(2), sender(1));
    for _ in 0..3 {
        kept_out.send(b"anybody there?").expect("it is sent");
    }
    let_in.send(b"hello").expect("it is sent");
    assert_eq!(let_in.recv(&mut [0; 9]).expect("it is answered"), 5);
    kept_out.set_nonblocking(true).expect("a socket");
    kept_out.recv(&mut [0; 99]).expect_err("it is not answered");
    server.signal(Signal::SIGTERM);
    let (_, log) = server.finish();
    let [line, totals] = &log[..] else { panic!("{log:?}") };
    assert!(line.ends_with("\"hello\" (5 bytes)"), "{line}");
    assert!(totals.contains("datagrams=4 bytes_in=47 answers=1 bytes_out=5 withheld=3 "), "{totals}");
    assert!(totals.ends_with(" withheld_not_allowed=3"), "{totals}");
}

#[test]
fn datagrams_that_are_kept_out_are_neither_answered_nor_logged_but_counted() {
    let command = || udp_command(&["serve", "--listen", "127.0.0.1:0", "--echo"]);
    assert_deaf_to_127_0_0_2(command().args(["--deny", "127.0.0.2/31", "--allow", "127.0.0.0/8"]));
    assert_deaf_to_127_0_0_2(command().env("HEBRA_ALLOW", "127.0.0.1,::1"));
}

#[test]
fn without_an_answer_datagrams_that_are_kept_out_are_counted_too() {
    let config = UdpConfig::default().listen(["127.0.0.1:0"]).log_messages(LogMessages::All);
    let server =
        UdpServer::bind(config.deny(networks(["127.0.0.1"]))).expect("it binds").start().expect("it starts");
    let sender = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    sender.send_to(b"hello", server.local_addrs()[0]).expect("it is sent");
    while server.stats().withheld == 0 {
        std::thread::yield_now();
    }
    let stats = server.shutdown();
    assert_eq!((stats.datagrams, stats.withheld, stats.not_allowed, stats.answers), (1, 1, 1, 0));
}
