//! Clients behind a PROXY header, each with an address of its own, and servers on Unix sockets.

use std::collections::HashSet;
use std::fs;
use std::net::{IpAddr, SocketAddr, SocketAddrV4};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use clap::Parser;
use hebra::proxy::{Header, Source, parse};
use hebra::{Echo, RunningServer, Server};
use socket2::{Domain, SockAddr, Socket, Type};

use crate::harness::cli::single;
use crate::harness::comparison::arguments::Bench;
use crate::harness::comparison::build::BENCH;
use crate::harness::traffic::address::Address;
use crate::harness::traffic::load::{Adversaries, Load, Mode};
use crate::harness::traffic::proxy::{Client, Version, header};
use crate::harness::traffic::tally::Failure;
use crate::support::{FUSE, Program, address, config};
use crate::{load, run};

/// The addresses of the clients that a server has seen.
type Seen = Arc<Mutex<HashSet<IpAddr>>>;

/// Starts a server that serves each address once at a time, trusts the header of 127.0.0.1, and notes who came.
fn one_for_each_address() -> (RunningServer, Seen) {
    let seen = Seen::default();
    let noted = Arc::clone(&seen);
    let proxy = "127.0.0.1".parse().expect("a network");
    let config = config().workers(250).max_per_ip(Some(1)).proxy_protocol(vec![proxy]);
    let server = Server::bind(config, move |session| {
        noted.lock().expect("no thread panics").extend(session.client().peer.ip());
        Echo
    });
    (server.expect("it binds").start().expect("it starts"), seen)
}

#[test]
fn each_connection_is_a_client_of_its_own_to_a_server_that_takes_one_from_each_address() {
    for version in [Version::V1, Version::V2] {
        let (server, seen) = one_for_each_address();
        let proxy = Some(version);
        let outcome = run(&Load { proxy, connections: 200, threads: 2, ..load(address(&server)) });
        assert_eq!(outcome.tally.failures.total(), 0, "{:?}", outcome.tally.failures);
        let stats = server.shutdown(FUSE).stats;
        assert_eq!((stats.accepted, stats.refused), (200, 0));
        let expected = (1..=200).map(|host| IpAddr::from([198, 18, 0, host])).collect();
        assert_eq!(*seen.lock().expect("no thread panics"), expected);
    }
}

#[test]
fn each_session_of_a_churn_is_a_new_client() {
    let (server, seen) = one_for_each_address();
    let proxy = Some(Version::V2);
    let outcome = run(&Load { proxy, mode: Mode::Churn, connections: 5, threads: 2, ..load(address(&server)) });
    assert_eq!(outcome.tally.failures.total(), 0, "{:?}", outcome.tally.failures);
    let stats = server.shutdown(FUSE).stats;
    assert!(stats.accepted > 5);
    // They repeat after 65,534 sessions, which do not fit in the window.
    assert_eq!(seen.lock().expect("no thread panics").len() as u64, stats.accepted);
}

#[test]
fn adversaries_have_addresses_of_their_own() {
    let (server, seen) = one_for_each_address();
    let adversaries = Adversaries { idle: 3, slow_writers: 2, slow_readers: 2, resetters: 0 };
    let outcome = run(&Load { proxy: Some(Version::V1), adversaries, ..load(address(&server)) });
    assert_eq!(outcome.tally.failures.total(), 0, "{:?}", outcome.tally.failures);
    let _ = server.shutdown(FUSE);
    let hosts = (1..=7).map(|host| IpAddr::from([198, 19, 0, host]));
    let expected = hosts.chain([IpAddr::from([198, 18, 0, 1])]).collect();
    assert_eq!(*seen.lock().expect("no thread panics"), expected);
}

#[test]
fn clients_repeat_after_65534_and_those_of_six_seeds_differ() {
    let address = |number, seed| Client::Measured(number).address(seed);
    let client = |host: [u8; 2], port| SocketAddrV4::new([198, 18, host[0], host[1]].into(), port);
    assert_eq!(address(0, 1), client([0, 1], 1024));
    assert_eq!(address(65_533, 1), client([255, 254], 1024));
    assert_eq!(address(65_534, 1), client([0, 1], 1025));
    let mut hosts = HashSet::new();
    for seed in 1..=6 {
        hosts.extend((0..10_000).map(|number| *address(number, seed).ip()));
    }
    assert_eq!(hosts.len(), 60_000);
    // Whatever the numbers are, the address is in the network.
    for (number, seed) in [(u64::MAX, 1), (0, 0), (u64::MAX, u64::MAX)] {
        assert!(address(number, seed).ip().octets().starts_with(&[198, 18]));
    }
}

#[test]
fn the_library_reads_the_headers_back() {
    for number in [0, 255, 65_534, 1 << 40] {
        let client = Client::Measured(number).address(7);
        for server in ["127.0.0.1:1", "[::1]:65535"] {
            let server = Address::Tcp(server.parse().expect("an address"));
            for version in [Version::V1, Version::V2] {
                let header = header(version, client, &server);
                let source = Source::Client(SocketAddr::from(client).into());
                assert_eq!(parse(&header), Header::Complete { length: header.len(), source });
            }
        }
    }
}

#[test]
fn a_server_that_is_started_here_trusts_the_header() {
    let line = "load --proxy v2 --connections 3 --duration 100ms --warmup 0s";
    let arguments = Bench::try_parse_from(line.split_whitespace()).expect("the command line is valid");
    assert!(matches!(single::run(&BENCH, &arguments.single), Ok(true)));
}

/// Returns a path for the socket of one test.
fn path(name: &str) -> PathBuf {
    // A path in the target directory may be longer than the name of a socket may be.
    let path = std::env::temp_dir().join(format!("hebra-load-{}-{name}.sock", std::process::id()));
    let _ = fs::remove_file(&path);
    path
}

#[test]
fn each_mode_measures_a_server_on_a_unix_socket() {
    let path = path("modes");
    let abstract_name = format!("@hebra-load-{}", std::process::id());
    for name in [path.as_path(), Path::new(&abstract_name)] {
        let listen = format!("unix:{}", name.display());
        let server = Program::spawn(Program::command().args(["--listen", &listen, "--workers", "16"]), 0);
        assert_eq!(server.next_shown(), format!("listening on {listen}"));
        for mode in [Mode::Echo, Mode::Churn, Mode::Stream] {
            let adversaries = Adversaries { idle: 1, slow_writers: 1, slow_readers: 1, resetters: 1 };
            let load = Load { mode, connections: 4, adversaries, ..load(([127, 0, 0, 1], 1).into()) };
            let outcome = run(&Load { address: Address::Unix(name.into()), ..load });
            assert_eq!(outcome.tally.failures.total(), 0, "{mode:?} {name:?} {:?}", outcome.tally.failures);
            assert!(outcome.tally.answers > 0, "{mode:?}");
        }
        drop(server);
    }
    let _ = fs::remove_file(&path);
}

#[test]
fn clients_wait_while_the_queue_of_a_unix_socket_is_full() {
    let path = path("full");
    let listener = Socket::new(Domain::UNIX, Type::STREAM, None).expect("a socket");
    listener.bind(&SockAddr::unix(&path).expect("a short path")).expect("it is free");
    listener.listen(0).expect("a bound socket");
    let load = Load { connections: 5, ..load(([127, 0, 0, 1], 1).into()) };
    let load = Load { address: Address::Unix(path.clone()), ..load };
    let outcome = thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..5 {
                let (stream, _) = listener.accept().expect("a client");
                scope.spawn(move || std::io::copy(&mut &stream, &mut &stream));
            }
        });
        run(&load)
    });
    assert_eq!(outcome.tally.failures.total(), 0, "{:?}", outcome.tally.failures);
    assert!(outcome.tally.answers > 0);

    // Nobody accepts any more, and one client has room in the queue.
    let unserved = run(&Load { timeout: Duration::from_millis(300), ..load });
    assert!(unserved.tally.failures.count(Failure::TimedOut) >= 4, "{:?}", unserved.tally.failures);
    let _ = fs::remove_file(&path);
}
