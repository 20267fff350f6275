//! The admin server with what asks it in practice: promtool, curl, jq, and a browser.

use std::io::Write;
use std::net::TcpStream;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::support::{Program, connect, connect_served, exchange, run};
use crate::{pipe, tool};

/// Starts `hebra serve` with an admin server, and returns the address of its page.
fn serve(flags: &[&str]) -> (Program, String) {
    let program = Program::serve(&[&["--admin", "127.0.0.1:0"], flags].concat());
    let line = program.next_shown();
    let page = line.strip_prefix("admin on ").unwrap_or_else(|| panic!("{line}")).to_owned();
    (program, page)
}

/// Returns what curl prints for a page.
fn curl(arguments: &[&str]) -> Vec<u8> {
    pipe(Command::new(tool("curl")).args(["--silent", "--show-error", "--max-time", "60"]).args(arguments), b"")
}

#[test]
fn promtool_finds_nothing_wrong_with_the_metrics() {
    let (program, page) = serve(&["--workers", "1", "--max-pending", "0"]);
    let served = connect_served(program.address());
    // One is refused, and another label value is not zero.
    drop(connect(program.address()));
    let metrics = curl(&[&format!("{page}metrics")]);
    let found = run(Command::new(tool("promtool")).args(["check", "metrics"]), &metrics);
    let text = [found.stdout, found.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
    assert!(found.status.success() && text == ["", ""], "{text:?}");
    drop(served);
}

#[test]
fn curl_and_jq_read_the_sessions() {
    let (program, page) = serve(&[]);
    let mut client = connect_served(program.address());
    exchange(&mut client, b"hola\n");
    let listed = curl(&[&format!("{page}sessions")]);
    let line = pipe(Command::new(tool("jq")).args(["-r", ".[] | [.peer, .messages, .bytes_out] | @csv"]), &listed);
    let expected = format!("\"{}\",2,12\n", client.local_addr().expect("a socket"));
    assert_eq!(String::from_utf8(line).expect("text"), expected);
    // Several requests, one connection each, and a HEAD.
    let statuses = ["--write-out", "%{http_code} ", "--output", "/dev/null", "--output", "/dev/null"];
    let pages = [format!("{page}livez"), format!("{page}readyz")];
    assert_eq!(curl(&[&statuses[..], &[&pages[0], &pages[1]]].concat()), b"200 200 ");
    assert!(curl(&["--head", &page]).starts_with(b"HTTP/1.1 200 OK\r\n"));
}

#[test]
fn a_browser_shows_the_page_and_keeps_it_fresh_without_a_reload() {
    let (program, page) = serve(&[]);
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/interop/page.py");
    let mut browser = Command::new(tool("python3"));
    // Without files of bytecode beside the script.
    browser.args(["-B", script]).arg(tool("chromium")).args([page, program.address().to_string()]);
    pipe(&mut browser, b"");
}

/// Clients that send the head of a request line by line, as the tool `slowloris` does.
#[test]
fn two_hundred_slow_clients_keep_nobody_from_an_answer() {
    let (program, page) = serve(&[]);
    let mut client = connect_served(program.address());
    let admin = page.trim_start_matches("http://").trim_end_matches('/').parse().expect("an address");
    let mut slow: Vec<TcpStream> = Vec::new();
    for _ in 0..200 {
        // Beyond the workers, the queue and the backlog the kernel takes none.
        let Ok(mut one) = TcpStream::connect_timeout(&admin, Duration::from_millis(200)) else { break };
        one.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n").expect("it is sent");
        slow.push(one);
    }
    let begun = Instant::now();
    for _ in 0..100 {
        assert_eq!(exchange(&mut client, b"hola\n"), b"hola\n");
    }
    assert!(begun.elapsed() < Duration::from_secs(5), "the service notices: {:?}", begun.elapsed());
    assert_eq!(curl(&["--retry", "5", "--retry-connrefused", &format!("{page}livez")]), b"ok\n");
    drop(slow);
}
