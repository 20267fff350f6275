//! A real HAProxy, and curl, which name their clients with PROXY headers.

use std::env::temp_dir;
use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::support::{FUSE, Program, connect_from, exchange, free_address, read_to_end, say_bye, send_and_finish};
use crate::{pipe, tool};

const FROM_LOOPBACK: &[&str] = &["--proxy-protocol", "127.0.0.1"];

/// A running HAProxy, which is killed when this is dropped, and a file of its own, which is removed then.
pub(crate) struct HaProxy {
    process: Child,
    pub(crate) file: PathBuf,
}

impl HaProxy {
    /// Starts HAProxy with the command `haproxy`.
    pub(crate) fn spawn(haproxy: &mut Command, file: PathBuf) -> Self {
        let process = haproxy.stdin(Stdio::null()).spawn().expect("it is installed");
        Self { process, file }
    }

    /// Starts HAProxy between `frontend` and `server`, with these options for the server, and waits until it listens.
    fn between(frontend: SocketAddr, server: &Program, options: &str) -> Self {
        let configuration = temp_dir().join(format!("hebra-haproxy-{}-{frontend}.cfg", std::process::id()));
        let timeouts = "timeout connect 5s\n timeout client 60s\n timeout server 60s\n timeout check 5s";
        let listen = format!("listen front\n bind {frontend}\n server hebra {} {options}", server.address());
        fs::write(&configuration, format!("defaults\n mode tcp\n {timeouts}\n{listen}\n"))
            .expect("a temporary directory");
        let mut command = Command::new(tool("haproxy"));
        let proxy = Self::spawn(command.args(["-q", "-db", "-f"]).arg(&configuration), configuration);
        let began = Instant::now();
        while TcpStream::connect(frontend).is_err() {
            assert!(began.elapsed() < FUSE, "HAProxy does not listen");
            std::thread::sleep(Duration::from_millis(10));
        }
        proxy
    }
}

impl Drop for HaProxy {
    fn drop(&mut self) {
        // If it has ended by itself, its test has failed for that.
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = fs::remove_file(&self.file);
    }
}

/// Asserts that the server counts and names the clients of HAProxy, and not HAProxy.
fn assert_names_its_clients(host: &str, option: &str) {
    let server = Program::serve(&[FROM_LOOPBACK, &["--max-per-ip", "1"]].concat());
    let frontend = free_address(host);
    let _proxy = HaProxy::between(frontend, &server, option);
    let mut first = connect_from([127, 0, 0, 5], frontend);
    let address = first.local_addr().expect("it is bound");
    assert_eq!(exchange(&mut first, b"hello"), b"hello");
    server.wait_for(&format!(" ({address}) connected"));
    server.wait_for(&format!(" ({address}) says \"hello\" (5 bytes)"));

    let mut second = connect_from([127, 0, 0, 5], frontend);
    let refused = second.local_addr().expect("it is bound");
    assert_eq!(read_to_end(&mut second), b"busy: too many connections from your address\r\n");
    server.wait_for(&format!(" ({refused}) refused: too many connections from your address"));

    let mut other = connect_from([127, 0, 0, 6], frontend);
    assert_eq!(exchange(&mut other, b"hello"), b"hello");
    say_bye(&mut first);
    server.wait_for(&format!(" ({address}) disconnected: bye"));
    let again = connect_from([127, 0, 0, 5], frontend);
    assert_eq!(send_and_finish(&again, b"hello again"), b"hello again");
}

#[test]
fn send_proxy_names_each_client() {
    assert_names_its_clients("127.0.3.1", "send-proxy");
}

#[test]
fn send_proxy_v2_names_each_client() {
    assert_names_its_clients("127.0.3.2", "send-proxy-v2");
}

#[test]
fn send_proxy_v2_with_more_details_names_each_client() {
    assert_names_its_clients("127.0.3.3", "send-proxy-v2 proxy-v2-options crc32c,unique-id");
}

#[test]
fn what_haproxy_denies_by_address_hebra_can_deny_too() {
    let server = Program::serve(&[FROM_LOOPBACK, &["--allow", "127.0.0.0/24", "--deny", "127.0.0.5"]].concat());
    let frontend = free_address("127.0.3.4");
    let _proxy = HaProxy::between(frontend, &server, "send-proxy-v2");
    let mut denied = connect_from([127, 0, 0, 5], frontend);
    let address = denied.local_addr().expect("it is bound");
    assert_eq!(read_to_end(&mut denied), b"");
    server.wait_for(&format!(" ({address}) refused: its address is not allowed"));
    let mut allowed = connect_from([127, 0, 0, 6], frontend);
    assert_eq!(exchange(&mut allowed, b"hello"), b"hello");
}

#[test]
fn a_hundred_health_checks_of_each_kind_leave_no_line() {
    for options in ["send-proxy check", "send-proxy-v2 check", "check check-send-proxy send-proxy", "check"] {
        let server = Program::serve(&[FROM_LOOPBACK, &["--stats-interval", "50ms", "--max-per-ip", "1"]].concat());
        let frontend = free_address("127.0.3.6");
        let proxy = HaProxy::between(frontend, &server, &format!("{options} inter 5ms"));
        let mut log: Vec<String> = Vec::new();
        // HAProxy resets the handshake of a bare check, so that the server may see none of them.
        let enough = if options == "check" { 0 } else { 100 };
        let began = Instant::now();
        while log.last().is_none_or(|line| accepted(line) < enough) || began.elapsed() < Duration::from_secs(1) {
            log.push(server.wait_for(""));
        }
        drop(proxy);
        server.signal(Signal::SIGTERM);
        let (code, rest) = server.finish();
        assert_eq!(code, Some(0));
        log.extend(rest);
        let others: Vec<&String> =
            log.iter().filter(|line| !line.contains("totals: ") && !line.contains("stopping; ")).collect();
        assert!(others.is_empty(), "{options}: {others:?}");
    }
}

/// Returns how many connections a line counts, if it is one of totals.
fn accepted(line: &str) -> u64 {
    let field = line.split(' ').find_map(|field| field.strip_prefix("accepted="));
    field.map_or(0, |count| count.parse().expect("a number"))
}

#[test]
fn curl_names_its_client_where_that_is_asked_for() {
    let server = Program::serve(FROM_LOOPBACK);
    let curl = |server: &Program| {
        let mut curl = Command::new(tool("curl"));
        curl.args(["--silent", "--no-buffer", "--haproxy-protocol", &format!("telnet://{}", server.address())]);
        curl
    };
    assert_eq!(pipe(&mut curl(&server), b"hello\nbye\n"), b"hello\n");
    let line = server.wait_for("disconnected: bye");
    assert!(line.contains(" bytes_in=10 bytes_out=6 "), "{line}");
    // Elsewhere a header is data.
    let server = Program::serve(&["--proxy-protocol", "127.0.0.2"]);
    let echoed = pipe(&mut curl(&server), b"hello\nbye\n");
    assert!(
        echoed.starts_with(b"PROXY TCP4 127.0.0.1 127.0.0.1 ") && echoed.ends_with(b"\r\nhello\n"),
        "{echoed:?}"
    );
}

#[test]
fn a_client_cannot_forge_a_header_through_haproxy() {
    let server = Program::serve(FROM_LOOPBACK);
    let frontend = free_address("127.0.3.5");
    let _proxy = HaProxy::between(frontend, &server, "send-proxy");
    let mut client = connect_from([127, 0, 0, 5], frontend);
    let forged = b"PROXY TCP4 203.0.113.7 192.0.2.1 5000 80\r\n";
    client.write_all(forged).expect("it is sent");
    let mut echo = vec![0; forged.len()];
    client.read_exact(&mut echo).expect("it is echoed");
    assert_eq!(echo, forged);
    let address = client.local_addr().expect("it is bound");
    server.wait_for(&format!(" ({address}) says \"PROXY TCP4 "));
}
