//! Two servers behind a real HAProxy with `examples/deploy/haproxy.cfg`, of which one is restarted, or full.

use std::env::temp_dir;
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::haproxy::HaProxy;
use crate::harness::traffic::load::{Adversaries, End, Load, Mode};
use crate::harness::traffic::run;
use crate::support::{FUSE, Program, connect_from, exchange, free_address, say_bye, send_and_finish};
use crate::tool;

const CONFIGURATION: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/deploy/haproxy.cfg");

/// A client that is not the proxy, so that its connection needs no header.
const NOT_THE_PROXY: [u8; 4] = [127, 0, 0, 5];

/// HAProxy with the example, whose file is its statistics socket, and the addresses of its two servers.
struct Example {
    haproxy: HaProxy,
    frontend: SocketAddr,
    hosts: [String; 2],
    port: u16,
    admin_port: u16,
}

impl Example {
    /// Starts HAProxy with the addresses of network 127.0.`network`.0, which no other test uses.
    fn start(network: u8) -> Self {
        let [front, a, b] = [1, 2, 3].map(|host| format!("127.0.{network}.{host}"));
        let [frontend, port, admin_port] = [free_address(&front), free_address(&a), free_address(&a)];
        let [port, admin_port] = [port, admin_port].map(|address| address.port());
        let socket = temp_dir().join(format!("hebra-haproxy-{}-{network}.sock", std::process::id()));
        let mut command = Command::new(tool("haproxy"));
        command.args(["-q", "-db", "-f", CONFIGURATION]).stdout(Stdio::null());
        command.env("HEBRA_PROXY_BIND", frontend.to_string()).env("HEBRA_SERVER_A", &a).env("HEBRA_SERVER_B", &b);
        command.env("HEBRA_SERVER_PORT", port.to_string()).env("HEBRA_SERVER_ADMIN_PORT", admin_port.to_string());
        let haproxy = HaProxy::spawn(command.env("HEBRA_PROXY_SOCKET", &socket), socket);
        Self { haproxy, frontend, hosts: [a, b], port, admin_port }
    }

    /// Starts the server of this number, and waits until it listens.
    fn serve(&self, number: usize, flags: &[&str]) -> Program {
        let host = &self.hosts[number];
        let mut command = Program::command();
        command.args(["--listen", &format!("{host}:{}", self.port), "--proxy-protocol", "127.0.0.1"]);
        command.args(["--admin", &format!("{host}:{}", self.admin_port), "--log-sessions", "off"]);
        Program::spawn(command.args(flags), 1)
    }

    /// Waits until HAProxy thinks so of a server.
    fn wait_until(&self, number: usize, status: &str) {
        let row = format!("hebra,{},", ["a", "b"][number]);
        let began = Instant::now();
        let mut last = String::new();
        while began.elapsed() < FUSE {
            last = self.statistics();
            let columns = last.lines().find_map(|line| line.strip_prefix(&row));
            if columns.and_then(|columns| columns.split(',').nth(15)) == Some(status) {
                return;
            }
            thread::sleep(Duration::from_millis(20));
        }
        panic!("server {number} is not {status}: {last}");
    }

    /// Returns what `show stat` prints, or nothing if HAProxy has only just been started.
    fn statistics(&self) -> String {
        let mut text = String::new();
        if let Ok(mut stream) = UnixStream::connect(&self.haproxy.file) {
            stream.write_all(b"show stat\n").expect("it reads");
            stream.read_to_string(&mut text).expect("it answers");
        }
        text
    }
}

#[test]
fn the_example_has_no_warning() {
    let mut haproxy = Command::new(tool("haproxy"));
    let checked = haproxy.args(["-dW", "-c", "-f", CONFIGURATION]).output().expect("it is installed");
    let [stdout, stderr] = [checked.stdout, checked.stderr].map(|text| String::from_utf8(text).expect("text"));
    assert!(checked.status.success(), "{stdout}{stderr}");
    assert_eq!((stdout.trim(), stderr.trim()), ("Configuration file is valid", ""));
}

/// How long a stopping server still accepts. HAProxy needs 1.2 s to take it out.
const DRAIN_DELAY: &str = "3s";

/// Runs a load through HAProxy until `stop`.
fn load(haproxy: &Example, mode: Mode, connections: usize, rate: f64, stop: &Arc<AtomicBool>) -> Load {
    Load {
        address: haproxy.frontend.into(),
        proxy: None,
        mode,
        connections,
        duration: 3 * FUSE,
        warmup: Duration::ZERO,
        size: 512,
        depth: 1,
        rate: Some(rate),
        end: End::Close,
        threads: 1,
        timeout: FUSE / 2,
        seed: 1,
        reconnect: mode == Mode::Echo,
        expect_faults: false,
        start_at: None,
        stop: Some(Arc::clone(stop)),
        adversaries: Adversaries::default(),
    }
}

/// Restarts a server. Returns the new one, and the number of sessions that the stop ended.
fn restart(haproxy: &Example, number: usize, server: Program) -> (Program, u64) {
    server.signal(Signal::SIGTERM);
    haproxy.wait_until(number, "DOWN");
    // HAProxy has stopped to send clients before the server stops to take them.
    let address = server.address();
    let mut late = connect_from(NOT_THE_PROXY, address);
    assert_eq!(exchange(&mut late, b"late\n"), b"late\n");
    say_bye(&mut late);
    let (code, log) = server.finish();
    assert_eq!(code, Some(0), "{log:?}");
    let totals = log.iter().rev().find(|line| line.contains("totals: ")).expect("they are logged at the end");
    let ended = totals.split(' ').find_map(|field| field.strip_prefix("finished_shutdown="));
    let server = haproxy.serve(number, &["--drain-delay", DRAIN_DELAY, "--log-messages", "off"]);
    assert_eq!(server.address(), address);
    haproxy.wait_until(number, "UP");
    (server, ended.map_or(0, |count| count.parse().expect("a number")))
}

#[test]
fn each_of_two_servers_is_restarted_three_times_under_load_and_no_session_fails() {
    const LONG: usize = 20;
    let haproxy = Example::start(5);
    let flags = ["--drain-delay", DRAIN_DELAY, "--log-messages", "off"];
    let mut servers = [0, 1].map(|number| Some(haproxy.serve(number, &flags)));
    for number in [0, 1] {
        haproxy.wait_until(number, "UP");
    }
    let stop = Arc::new(AtomicBool::new(false));
    let spawn = |load: Load| thread::spawn(move || run::run(&load, None, &mut |_| ()).expect("it has descriptors"));
    let churn = spawn(load(&haproxy, Mode::Churn, 16, 200.0, &stop));
    let long = spawn(load(&haproxy, Mode::Echo, LONG, 200.0, &stop));
    let mut ended = 0;
    for _ in 0..3 {
        for (number, server) in servers.iter_mut().enumerate() {
            let (new, count) = restart(&haproxy, number, server.take().expect("it runs"));
            *server = Some(new);
            ended += count;
        }
    }
    stop.store(true, Ordering::Relaxed);
    let [churn, long] = [churn, long].map(|load| load.join().expect("it does not panic").tally);
    assert_eq!((churn.failures.total(), long.failures.total()), (0, 0), "{:?} {:?}", churn.failures, long.failures);
    // Each long session had one clean end for each restart of its server, and no other.
    assert_eq!((long.sessions.ended, long.sessions.reset), (ended, 0), "{:?}", long.sessions);
    assert_eq!(long.sessions.reconnected, ended);
    // After a restart all of them are on the other server.
    assert!(ended >= 5 * LONG as u64, "{ended}");
    assert!(churn.total_answers > 1000, "{}", churn.total_answers);
}

#[test]
fn whoami_shows_both_servers_and_names_the_client_and_the_proxy() {
    let haproxy = Example::start(7);
    let _servers = [0, 1].map(|number| {
        let label = format!("server={number}");
        haproxy.serve(number, &["--service", "whoami", "--label", &label])
    });
    for number in [0, 1] {
        haproxy.wait_until(number, "UP");
    }
    let mut seen = [false; 2];
    for _ in 0..10 {
        let client = connect_from([127, 0, 0, 7], haproxy.frontend);
        let answer: Value = serde_json::from_slice(&send_and_finish(&client, b"who?\n")).expect("one line of JSON");
        assert_eq!(answer["peer"], client.local_addr().expect("a socket").to_string());
        let proxy: SocketAddr = answer["proxied_by"].as_str().expect("a proxy").parse().expect("an address");
        assert_eq!((proxy.ip().to_string(), &answer["message"]), ("127.0.0.1".to_owned(), &json!("who?")));
        let server: usize = answer["labels"]["server"].as_str().expect("a label").parse().expect("a number");
        assert_eq!(answer["listener"], format!("{}:{}", haproxy.hosts[server], haproxy.port));
        seen[server] = true;
    }
    assert_eq!(seen, [true, true]);
}

#[test]
fn a_server_that_is_full_gets_no_clients_until_it_has_room() {
    let haproxy = Example::start(6);
    let full = haproxy.serve(0, &["--workers", "2", "--max-pending", "0"]);
    let _other = haproxy.serve(1, &[]);
    for number in [0, 1] {
        haproxy.wait_until(number, "UP");
    }
    let mut clients: Vec<_> = std::iter::from_fn(|| {
        let mut client = connect_from(NOT_THE_PROXY, full.address());
        // A check has the worker now and then.
        client.write_all(b"hello").expect("it is sent");
        let mut answer = [0; 5];
        client.read_exact(&mut answer).expect("it is answered");
        Some((client, &answer == b"hello"))
    })
    .filter_map(|(client, is_served)| is_served.then_some(client))
    .take(2)
    .collect();
    haproxy.wait_until(0, "DOWN");
    for _ in 0..20 {
        let client = connect_from([127, 0, 0, 7], haproxy.frontend);
        assert_eq!(send_and_finish(&client, b"hello"), b"hello");
    }
    clients.iter_mut().for_each(say_bye);
    haproxy.wait_until(0, "UP");
}
