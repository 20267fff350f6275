//! UDP: which datagrams are echoed, what is reported, how the server stops, and `hebra udp send`.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use hebra::{LogMessages, RunningUdpServer, UdpConfig, UdpEvent, UdpServer};
use nix::sys::signal::Signal;

use crate::support::udp::{client, receive, wait_until};
use crate::support::{FUSE, Program, free_address, random_bytes, signal, spawn_apart, status, udp_command};

/// The longest payload of a datagram over IPv4.
const LONGEST: usize = 65_507;

/// Returns the configuration of a server that echoes and reports datagrams, on a free loopback port.
fn echoing() -> UdpConfig {
    UdpConfig::default().listen(["127.0.0.1:0"]).echo(true).log_messages(LogMessages::PerSecond(1000))
}

fn start(config: UdpConfig) -> RunningUdpServer {
    UdpServer::bind(config).expect("it binds").start().expect("it starts")
}

fn exchange(socket: &UdpSocket, datagram: &[u8]) -> Vec<u8> {
    assert_eq!(socket.send(datagram).expect("it is sent"), datagram.len());
    receive(socket)
}

#[test]
fn datagrams_of_every_length_come_back_as_they_were_and_only_once() {
    let server = start(echoing());
    let client = client(server.local_addrs()[0]);
    let lengths = [0, 1, 2, 1_472, 1_473, 8_192, LONGEST];
    for length in lengths {
        let datagram = random_bytes(length);
        assert!(exchange(&client, &datagram) == datagram, "{length}");
    }
    let (count, bytes) = (lengths.len() as u64, lengths.iter().sum::<usize>() as u64);
    let stats = server.shutdown();
    assert_eq!((stats.datagrams, stats.bytes_in), (count, bytes));
    assert_eq!((stats.answers, stats.bytes_out), (count, bytes));
    assert_eq!((stats.withheld, stats.rate_limited, stats.unsent, stats.events_dropped), (0, 0, 0, 0));
    client.set_nonblocking(true).expect("a socket");
    assert!(client.recv(&mut [0]).is_err(), "a datagram was answered twice");
}

#[test]
fn the_line_of_totals_and_its_key_values_carry_the_same() {
    use log::kv::{Error, Key, Source, Value, VisitSource};

    struct Line(Vec<String>);
    impl<'kvs> VisitSource<'kvs> for Line {
        fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), Error> {
            self.0.push(format!("{key}={value}"));
            Ok(())
        }
    }
    let server = start(echoing().deny(vec!["127.0.0.2/32".parse().expect("a network")]));
    for kept_out in [0, 1] {
        if kept_out == 1 {
            let sender = UdpSocket::bind((Ipv4Addr::new(127, 0, 0, 2), 0)).expect("a free port");
            sender.send_to(b"anybody there?", server.local_addrs()[0]).expect("it is sent");
            wait_until(&server, |stats| stats.not_allowed == 1);
        }
        let (stats, mut line) = (server.stats(), Line(Vec::new()));
        stats.visit(&mut line).expect("it has no errors");
        assert_eq!(line.0.join(" "), format!("event=udp_totals {stats}"));
        assert_eq!(line.0.contains(&"withheld_not_allowed=1".to_owned()), kept_out == 1, "{stats}");
    }
}

#[test]
fn without_echo_datagrams_are_reported_and_not_answered() {
    let server = start(echoing().echo(false));
    let events = server.subscribe();
    let client = client(server.local_addrs()[0]);
    client.send("Hola, señor".as_bytes()).expect("it is sent");
    let Some(UdpEvent::Datagram { peer, payload }) = events.next_timeout(FUSE) else { panic!("it is reported") };
    assert_eq!((peer, payload.as_bytes()), (client.local_addr().expect("bound"), "Hola, señor".as_bytes()));
    let stats = server.shutdown();
    assert_eq!((stats.datagrams, stats.answers, stats.withheld), (1, 0, 0));
}

#[test]
fn a_port_below_1024_and_the_servers_own_ports_are_not_answered() {
    let config = echoing().listen(vec!["127.0.0.1:0".to_owned(), "127.0.0.2:0".to_owned()]);
    let server = start(config);
    let target = server.local_addrs()[0];
    // This sender has the port of the server's other socket, on an address where that port is free.
    let own = UdpSocket::bind((Ipv4Addr::new(127, 0, 1, 20), server.local_addrs()[1].port())).expect("a free port");
    own.send_to(b"loop?", target).expect("it is sent");
    let mut withheld = 1;
    // Binding such a port may need a privilege. Without it, only the unit test of the rule remains.
    if let Some(service) = (512..1024).find_map(|port| UdpSocket::bind((Ipv4Addr::new(127, 0, 1, 21), port)).ok()) {
        service.send_to(b"reflect?", target).expect("it is sent");
        withheld += 1;
    }
    wait_until(&server, |stats| stats.withheld == withheld);
    // The server goes on serving.
    assert_eq!(exchange(&client(target), b"hello"), b"hello");
    assert_eq!(server.shutdown().answers, 1);
}

#[test]
fn the_rate_of_answers_is_limited_for_each_sender_by_itself() {
    const SENT: u64 = 30;
    let server = start(echoing().rate(Some(3)));
    let target = server.local_addrs()[0];
    let greedy = client(target);
    for _ in 0..SENT {
        greedy.send(b"more").expect("it is sent");
    }
    wait_until(&server, |stats| stats.datagrams == SENT && stats.answers + stats.rate_limited == SENT);
    assert!(server.stats().rate_limited > 0, "{:?}", server.stats());
    // Each address is a sender of its own.
    let other = UdpSocket::bind((Ipv4Addr::new(127, 0, 0, 2), 0)).expect("a free port");
    other.set_read_timeout(Some(FUSE)).expect("a valid timeout");
    other.send_to(b"hello", target).expect("it is sent");
    assert_eq!(receive(&other), b"hello");
}

#[test]
fn two_echo_servers_pointed_at_each_other_fall_silent() {
    const RATE: u64 = 10;
    let config = |address: SocketAddr| {
        echoing().listen(vec![address.to_string()]).rate(Some(RATE as usize)).log_messages(LogMessages::Off)
    };
    // No other test binds free ports of these addresses.
    let one = UdpServer::bind(config(([127, 0, 1, 22], 0).into())).expect("it binds");
    let decoy = UdpSocket::bind((Ipv4Addr::new(127, 0, 1, 23), 0)).expect("a free port");
    let address = decoy.local_addr().expect("bound");
    // The first server does not receive yet. When it answers, the second server has the address of the decoy.
    decoy.send_to(b"ping", one.local_addrs()[0]).expect("it is sent");
    drop(decoy);
    let other = start(config(address));
    let one = one.start().expect("it starts");
    let began = Instant::now();
    while one.stats().rate_limited + other.stats().rate_limited == 0 {
        assert!(began.elapsed() < FUSE, "{:?} {:?}", one.stats(), other.stats());
        std::thread::yield_now();
    }
    // There was only one datagram in the loop, and it got no answer. So the loop has ended.
    let (one, other) = (one.shutdown(), other.shutdown());
    assert_eq!(one.rate_limited + other.rate_limited, 1);
    assert_eq!(one.datagrams + other.datagrams, one.answers + other.answers + 1);
    assert!(other.answers >= RATE || one.answers >= RATE, "{one:?} {other:?}");
}

#[test]
fn ipv4_senders_of_an_ipv6_socket_are_reported_as_ipv4_and_answered() {
    let server = start(echoing().listen(vec!["[::]:0".to_owned()]));
    let events = server.subscribe();
    let port = server.local_addrs()[0].port();
    for target in ["127.0.0.1", "::1"] {
        let client = client((target.parse::<std::net::IpAddr>().expect("an address"), port).into());
        assert_eq!(exchange(&client, b"hello"), b"hello");
        let Some(UdpEvent::Datagram { peer, .. }) = events.next_timeout(FUSE) else { panic!("it is reported") };
        assert_eq!(peer, client.local_addr().expect("bound"));
    }
}

#[test]
fn a_wildcard_includes_the_other_addresses_on_its_port_and_a_mapped_address_is_ipv4() {
    let port = free_address("::").port();
    let both = start(echoing().listen(vec![format!("127.0.0.1:{port}"), format!("[::]:{port}")]));
    assert_eq!(both.local_addrs(), [format!("[::]:{port}").parse().expect("an address")]);
    assert_eq!(exchange(&client(([127, 0, 0, 1], port).into()), b"hello"), b"hello");
    let mapped = start(echoing().listen(vec!["[::ffff:127.0.0.1]:0".to_owned()]));
    assert_eq!(mapped.local_addrs()[0].ip().to_string(), "127.0.0.1");
    assert_eq!(exchange(&client(mapped.local_addrs()[0]), b"hello"), b"hello");
}

#[test]
fn a_flood_is_counted_exactly_and_so_are_the_datagrams_that_are_not_logged() {
    const SENT: u64 = 2_000;
    let server = start(echoing().rate(None).log_messages(LogMessages::PerSecond(10)));
    let events = server.subscribe();
    let client = client(server.local_addrs()[0]);
    for _ in 0..SENT {
        assert_eq!(exchange(&client, b"flood"), b"flood");
    }
    let stats = server.shutdown();
    assert_eq!((stats.datagrams, stats.answers, stats.bytes_out), (SENT, SENT, 5 * SENT));
    let (mut reported, mut counted, mut totals) = (0, 0, None);
    for event in events {
        match event {
            UdpEvent::Datagram { .. } => reported += 1,
            UdpEvent::DatagramsNotLogged { datagrams } => counted += datagrams,
            UdpEvent::Totals { stats } => totals = Some(stats),
            other => panic!("{other}"),
        }
    }
    assert!(reported >= 10, "{reported}");
    assert_eq!((reported + counted, totals), (SENT, Some(stats)));
}

#[test]
fn a_server_that_waits_for_a_datagram_stops_at_once_and_frees_its_ports() {
    let listen = vec!["127.0.1.24:0".to_owned(), "127.0.1.25:0".to_owned()];
    let server = start(echoing().listen(listen));
    let addresses = server.local_addrs().to_vec();
    let asked = Instant::now();
    server.shutdown();
    assert!(asked.elapsed() < Duration::from_millis(500), "{:?}", asked.elapsed());
    for address in addresses {
        UdpSocket::bind(address).expect("the port is free");
    }
}

/// Starts `hebra udp serve` on a free loopback port.
fn serve(flags: &[&str]) -> Program {
    Program::spawn(udp("serve").args(["--listen", "127.0.0.1:0"]).args(flags), 1)
}

fn udp(command: &str) -> Command {
    udp_command(&[command])
}

/// Runs `hebra udp send`, and returns its exit code, standard output and standard error.
fn send(arguments: &[&str]) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } = udp("send").args(arguments).output().expect("it is built");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    (status.code(), text(stdout), text(stderr))
}

#[test]
fn datagrams_are_logged_as_they_were_sent_and_cannot_forge_a_line() {
    let program = serve(&["--echo"]);
    let client = client(program.address());
    exchange(&client, "¡Hola, señor!".as_bytes());
    exchange(&client, b"\x1b[2J\n[2026-01-01T00:00:00Z INFO  hebra] totals: \xff");
    let longest = "ñ".repeat(LONGEST / 2);
    exchange(&client, longest.as_bytes());
    program.signal(Signal::SIGTERM);
    let (code, lines) = program.finish();
    let peer = client.local_addr().expect("bound");
    let expected = [
        format!("INFO  hebra] datagram from {peer}: \"¡Hola, señor!\" (15 bytes)"),
        format!(
            "INFO  hebra] datagram from {peer}: \"\\u{{1b}}[2J\\n[2026-01-01T00:00:00Z INFO  hebra] totals: \\xff\" \
             (49 bytes)"
        ),
        // A datagram's line is as short as a message's: no client may fill the log with one packet.
        format!("INFO  hebra] datagram from {peer}: \"{}...\" (65506 bytes)", "ñ".repeat(32)),
        "INFO  hebra] totals: datagrams=3 bytes_in=65570 answers=3 bytes_out=65570 withheld=0 rate_limited=0 \
         unsent=0 events_dropped=0 kernel_drops=0"
            .to_owned(),
    ];
    assert_eq!((code, lines.len()), (Some(0), expected.len()));
    for (line, expected) in lines.iter().zip(&expected) {
        assert!(line.ends_with(expected), "{line} is not {expected}");
    }
}

#[test]
fn every_datagram_is_counted_as_received_or_as_dropped_by_the_kernel() {
    const SENT: u64 = 10_000;
    let program = serve(&["--echo", "--rate", "off", "--log-messages", "off"]);
    let client = client(program.address());
    exchange(&client, b"ready");
    program.signal(Signal::SIGSTOP);
    for _ in 1..SENT {
        client.send(&[0; 500]).expect("loopback takes it");
    }
    program.signal(Signal::SIGCONT);
    program.signal(Signal::SIGTERM);
    let (code, lines) = program.finish();
    let totals = lines.last().expect("there are totals");
    let number = |name: &str| -> u64 {
        let value = totals.split_once(name).expect("it is in the totals").1.split_whitespace().next();
        value.and_then(|value| value.parse().ok()).expect("a number")
    };
    assert_eq!(code, Some(0));
    // What the kernel still held at the stop was not received, and is documented as lost.
    assert!(number("kernel_drops=") > SENT / 2, "{totals}");
    assert!(number("datagrams=") + number("kernel_drops=") <= SENT, "{totals}");
}

#[test]
fn an_unread_log_costs_neither_memory_nor_answers_and_does_not_delay_the_stop() {
    let mut hebra = udp("serve");
    hebra.args(["--listen", "127.0.0.1:0", "--echo", "--rate", "off", "--log-messages", "all"]);
    let (mut child, _stdout, address) = spawn_apart(&mut hebra, Stdio::piped());
    let client = client(address);
    // 500 of these are 32 MiB. Each escape is six times as long in the log.
    let datagram = vec![b'\x1b'; LONGEST];
    for _ in 0..500 {
        assert_eq!(exchange(&client, &datagram).len(), LONGEST);
    }
    let most = status(child.id(), "VmHWM");
    assert!(most < 24 * 1024, "{most} KiB");
    signal(&child, Signal::SIGTERM);
    // Standard error is still open and unread.
    assert_eq!(child.wait().expect("it was started").code(), Some(0));
}

#[test]
fn an_answer_is_printed_on_a_line() {
    let program = serve(&["--echo"]);
    let address = program.address().to_string();
    let answered = |stdout: &str| (Some(0), stdout.to_owned(), String::new());
    assert_eq!(send(&[&address, "¡Hola,", "señor!", "--wait"]), answered("¡Hola, señor!\n"));
    assert_eq!(send(&[&address, "a line\n", "--wait", "1m"]), answered("a line\n"));
    assert_eq!(send(&[&address, "-5", "--wait"]), answered("-5\n"));
    assert_eq!(send(&[&address, "--wait=1m", "--", "--wait", "-x"]), answered("--wait -x\n"));
    assert_eq!(send(&[&address, "not waited for"]), answered(""));
    program.wait_for("\"not waited for\" (14 bytes)");
    let longest = "é".repeat(LONGEST / 2);
    assert_eq!(send(&[&address, &longest, "--wait", "1m"]), answered(&format!("{longest}\n")));
}

#[test]
fn an_answer_that_cannot_be_printed_is_a_failure() {
    let program = serve(&["--echo"]);
    let full = std::fs::File::options().write(true).open("/dev/full").expect("Linux has it");
    let mut command = udp("send");
    command.arg(program.address().to_string()).args(["hello", "--wait", "1m"]).stdout(full);
    let output =
        command.stderr(Stdio::piped()).spawn().and_then(|child| child.wait_with_output()).expect("it ends");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!((output.status.code(), stderr.lines().count()), (Some(1), 1), "{stderr}");
    assert!(stderr.starts_with("hebra: cannot write to standard output: "), "{stderr}");
}

#[test]
fn each_failure_of_send_has_its_exit_code() {
    let failure = |arguments: &[&str]| {
        let (code, stdout, stderr) = send(arguments);
        assert_eq!((stdout.as_str(), stderr.lines().count()), ("", 1), "{stderr}");
        (code, stderr)
    };
    // No other test binds free ports of this address, so the port stays free once this server is killed.
    let silent = Program::spawn(udp("serve").args(["--listen", "127.0.1.26:0"]), 1).address().to_string();
    let program = serve(&[]);
    let address = program.address().to_string();
    let (code, line) = failure(&[&address, "anybody?", "--wait", "50ms"]);
    assert_eq!((code, line), (Some(6), format!("hebra: no answer from {address}: timed out\n")));
    for arguments in [&[&silent, "anybody?"][..], &[&silent, "anybody?", "--wait", "1m"]] {
        let (code, line) = failure(arguments);
        assert_eq!(code, Some(5), "{line}");
        assert!(line.contains(&silent) && line.ends_with(": connection refused\n"), "{line}");
    }
    let (code, line) = failure(&["no-such-name.invalid:1234", "anybody?"]);
    assert_eq!(code, Some(4), "{line}");
    let too_long = "x".repeat(LONGEST + 1);
    let (code, line) = failure(&[&address, &too_long]);
    assert_eq!((code, line.contains("65,507")), (Some(2), true), "{line}");
    for (arguments, named) in [
        (&[address.as_str()][..], "missing: TEXT"),
        (&[&address, "--wait", "hello"], "--wait: \"hello\" is not a time"),
        (&[&address, "hello", "--wait", "0s"], "--wait: \"0s\" is too short"),
        (&[&address, "hello", "--wait", "-5s"], "--wait: \"-5s\" is negative"),
    ] {
        let (code, line) = failure(arguments);
        assert_eq!((code, line.contains(named)), (Some(2), true), "{line}");
    }
}

#[test]
fn every_address_of_a_name_is_listened_on() {
    let program = Program::spawn(udp("serve").env("HEBRA_LISTEN", "localhost:0,127.0.0.2:0").arg("--echo"), 2);
    for address in program.addresses() {
        assert_eq!(exchange(&client(*address), b"hello"), b"hello");
    }
}

#[test]
fn a_wrong_flag_or_address_is_named() {
    let program = serve(&[]);
    let taken = program.address().to_string();
    for (flags, code, named) in [
        (&["--echo", "--rate", "0"][..], 2, "--rate must be at least 1, or off".to_owned()),
        (&["--echo", "--rate", "-1"], 2, "--rate: \"-1\" is negative".to_owned()),
        (&["--echo", "--rate", "few"], 2, "--rate: \"few\" is not a whole number, or off".to_owned()),
        (&["--listen", &taken], 1, format!("cannot listen on {taken}: Address already in use")),
    ] {
        let output = udp("serve").args(flags).output().expect("it is built");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!((output.status.code(), stderr.lines().count()), (Some(code), 1), "{stderr}");
        assert!(stderr.starts_with("hebra: ") && stderr.contains(&named), "{stderr}");
    }
}

#[test]
fn a_broadcast_or_multicast_address_is_refused_at_the_start() {
    for (address, kind) in [
        ("239.1.2.3:0", "multicast"),
        ("224.0.0.1:0", "multicast"),
        ("[ff0e::5]:0", "multicast"),
        ("[::ffff:224.0.0.1]:0", "multicast"),
        ("255.255.255.255:0", "broadcast"),
        // Only the system knows that this is the broadcast address of the loopback network.
        ("127.255.255.255:0", "broadcast"),
    ] {
        // An IPv4 address that is written as an IPv6 one is named as what it is.
        let named = address.replace("[::ffff:224.0.0.1]", "224.0.0.1");
        let expected = format!("cannot listen on {named}: a {kind} address, not a host's");
        let error = UdpServer::bind(echoing().listen(vec![address.to_owned()])).expect_err(address);
        assert!(error.to_string().starts_with(&expected), "{error}");
        let output = udp("serve").args(["--listen", address]).output().expect("it is built");
        assert_eq!(output.status.code(), Some(1));
        assert_eq!(String::from_utf8_lossy(&output.stderr), format!("hebra: {error}\n"));
    }
}
