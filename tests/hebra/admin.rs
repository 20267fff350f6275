//! `--admin`: metrics, health, sessions and a page over HTTP, beside the service and independent of it.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::Value;
use socket2::SockRef;

use crate::support::{
    FUSE, Program, clog, connect, connect_served, exchange, read_to_end, say_bye, send_and_finish, start,
};

const DRAINED: Option<i32> = Some(0);
const CUT_OFF: Option<i32> = Some(3);

/// How long a signal that comes again is part of the same request.
const AGAIN: Duration = Duration::from_millis(250);

/// Starts `hebra serve` with an admin server. Returns the address of the latter too.
pub(super) fn serve(flags: &[&str]) -> (Program, SocketAddr) {
    let program = Program::serve(&[&["--admin", "127.0.0.1:0"], flags].concat());
    let line = program.next_shown();
    let address = line.strip_prefix("admin on http://").and_then(|rest| rest.strip_suffix('/'));
    let address = address.unwrap_or_else(|| panic!("{line}")).parse().expect("an address");
    (program, address)
}

/// Sends a whole request, and returns the status line, the fields and the body of the answer.
fn ask(admin: SocketAddr, request: &str) -> (String, String, String) {
    let answer = send_and_finish(&connect(admin), request.as_bytes());
    split(&String::from_utf8(answer).expect("text"))
}

fn split(answer: &str) -> (String, String, String) {
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{answer:?}"));
    let (status, fields) = head.split_once("\r\n").expect("there are fields");
    (status.to_owned(), fields.to_owned(), body.to_owned())
}

/// Returns the status and the body of a page.
pub(super) fn get(admin: SocketAddr, path: &str) -> (String, String) {
    let (status, _, body) = ask(admin, &format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n"));
    let code = status.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)).expect("a status");
    (code.to_owned(), body)
}

/// Returns the sessions as `/sessions` lists them.
pub(super) fn sessions(admin: SocketAddr) -> Vec<Value> {
    let (code, body) = get(admin, "/sessions");
    assert_eq!(code, "200");
    serde_json::from_str::<Value>(&body).expect("JSON").as_array().expect("an array").clone()
}

/// Returns a number of the metrics, by its name and labels.
pub(super) fn metric(metrics: &str, series: &str) -> u64 {
    let value = metrics.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    value.unwrap_or_else(|| panic!("no {series} in {metrics}")).parse().expect("a number")
}

/// Returns the bytes that the service has received and sent.
fn bytes(admin: SocketAddr) -> (u64, u64) {
    let (_, metrics) = get(admin, "/metrics");
    (metric(&metrics, "hebra_received_bytes_total"), metric(&metrics, "hebra_sent_bytes_total"))
}

/// Waits until a number of the metrics has this value.
fn wait_for_metric(admin: SocketAddr, series: &str, value: u64) -> String {
    let begun = Instant::now();
    loop {
        let (_, metrics) = get(admin, "/metrics");
        if metric(&metrics, series) == value {
            return metrics;
        }
        assert!(begun.elapsed() < FUSE, "{series} is not {value}: {metrics}");
        thread::yield_now();
    }
}

#[test]
fn each_page_answers_get_and_head_and_what_is_wrong_has_its_status() {
    let (_program, admin) = serve(&[]);
    for (path, content_type) in [
        ("/", "text/html; charset=utf-8"),
        ("/metrics", "text/plain; version=0.0.4; charset=utf-8"),
        ("/livez", "text/plain; charset=utf-8"),
        ("/readyz", "text/plain; charset=utf-8"),
        ("/sessions", "application/json"),
        ("/history", "application/json"),
        ("/livez?verbose", "text/plain; charset=utf-8"),
        ("http://localhost/livez", "text/plain; charset=utf-8"),
    ] {
        let (status, fields, body) = ask(admin, &format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n"));
        assert_eq!(status, "HTTP/1.1 200 OK", "{path}");
        for field in [
            format!("Content-Type: {content_type}"),
            format!("Content-Length: {}", body.len()),
            "Connection: close".to_owned(),
        ] {
            assert!(fields.lines().any(|line| line == field), "{path}: {fields} lacks {field}");
        }
        let (status, fields, body) = ask(admin, &format!("HEAD {path} HTTP/1.0\r\n\r\n"));
        assert_eq!((status.as_str(), body.as_str()), ("HTTP/1.1 200 OK", ""), "{path}");
        assert!(fields.contains("Content-Length: "), "{path}");
    }
    for (request, expected) in [
        ("GET /nowhere HTTP/1.0\r\n\r\n".to_owned(), "404 Not Found"),
        ("GET /metrics/ HTTP/1.0\r\n\r\n".to_owned(), "404 Not Found"),
        ("POST / HTTP/1.0\r\nContent-Length: 1\r\n\r\nx".to_owned(), "405 Method Not Allowed"),
        ("GET / HTTP/1.1\r\n\r\n".to_owned(), "400 Bad Request"),
        ("GET /\r\n\r\n".to_owned(), "400 Bad Request"),
        ("bye\r\n".to_owned(), "400 Bad Request"),
        ("GET / HTTP/3.0\r\n\r\n".to_owned(), "505 HTTP Version Not Supported"),
        (format!("GET /{} HTTP/1.0\r\n\r\n", "x".repeat(8192)), "431 Request Header Fields Too Large"),
        (format!("GET / HTTP/1.0\r\n{}\r\n", "a: b\r\n".repeat(65)), "431 Request Header Fields Too Large"),
        (format!("GET / HTTP/1.0\r\nx: {}", "x".repeat(1 << 20)), "431 Request Header Fields Too Large"),
    ] {
        let (status, _, body) = ask(admin, &request);
        let shown: String = request.chars().take(40).collect();
        assert_eq!((status, body), (format!("HTTP/1.1 {expected}"), format!("{expected}\n")), "{shown}");
    }
}

#[test]
fn the_page_loads_nothing_but_itself() {
    let (_program, admin) = serve(&[]);
    let (_, fields, page) = ask(admin, "GET / HTTP/1.0\r\n\r\n");
    let policy = fields.lines().find_map(|line| line.strip_prefix("Content-Security-Policy: ")).expect("a policy");
    assert!(policy.starts_with("default-src 'none'; ") && !policy.contains("unsafe"), "{policy}");
    for outside in ["http://", "https://", "src=", "@import", "innerHTML", "url("] {
        // The name of a language of pictures is no address.
        let page = page.replace("http://www.w3.org/2000/svg", "");
        assert!(!page.contains(outside), "{outside}");
    }
}

/// A web page whose name was made to lead to this machine (DNS rebinding) could read what only this machine may.
#[test]
fn on_the_loopback_interface_only_requests_for_localhost_or_an_address_are_answered() {
    let (_program, admin) = serve(&[]);
    for host in [&admin.to_string(), "localhost:9090", "[::1]"] {
        let (status, ..) = ask(admin, &format!("GET /sessions HTTP/1.1\r\nHost: {host}\r\n\r\n"));
        assert_eq!(status, "HTTP/1.1 200 OK", "{host}");
    }
    for request in
        ["/sessions HTTP/1.1\r\nHost: rebound.example:9090", "http://rebound.example/ HTTP/1.1\r\nHost: localhost"]
    {
        let (status, _, body) = ask(admin, &format!("GET {request}\r\n\r\n"));
        assert_eq!(status, "HTTP/1.1 421 Misdirected Request", "{request}");
        assert_eq!(body, "421 Misdirected Request: the host must be localhost or an IP address\n", "{request}");
    }

    // A network of the platform has names of its own.
    let program = Program::serve(&["--admin", "0.0.0.0:0"]);
    let line = program.next_shown();
    let port = line.trim_end_matches('/').rsplit_once(':').expect("a port").1.parse().expect("a number");
    let admin = SocketAddr::from(([127, 0, 0, 1], port));
    let (status, ..) = ask(admin, "GET /livez HTTP/1.1\r\nHost: hebra.example:9090\r\n\r\n");
    assert_eq!(status, "HTTP/1.1 200 OK");
}

#[test]
fn a_request_may_come_in_pieces_and_only_the_first_of_several_is_answered() {
    let (_program, admin) = serve(&[]);
    let request = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let mut client = connect(admin);
    for byte in request {
        client.write_all(&[*byte]).expect("it is sent");
    }
    // The sending side stays open: the server closes.
    let answer = String::from_utf8(read_to_end(&mut client)).expect("text");
    assert!(answer.ends_with("\r\n\r\nok\n"), "{answer}");

    let (_, _, body) = ask(admin, &"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(100));
    assert_eq!(body, "ok\n");
}

#[test]
fn sessions_are_listed_with_what_they_did() {
    let (program, admin) = serve(&[]);
    assert_eq!(sessions(admin), Vec::<Value>::new());
    let mut first = connect_served(program.address());
    let mut second = connect_served(program.address());
    exchange(&mut second, b"hola\n");
    let listed = sessions(admin);
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    for (position, (session, client)) in listed.iter().zip([&first, &second]).enumerate() {
        let keys: Vec<&String> = session.as_object().expect("an object").keys().collect();
        assert_eq!(
            keys,
            [
                "client",
                "peer",
                "proxied_by",
                "listener",
                "age_s",
                "silence_s",
                "messages",
                "bytes_in",
                "bytes_out",
                "faults"
            ]
        );
        assert_eq!(session["client"], position + 1);
        assert_eq!(text(&session["peer"]), client.local_addr().expect("a socket").to_string());
        assert_eq!(text(&session["listener"]), program.address().to_string());
        assert!(session["proxied_by"].is_null());
        let [age, silence] = ["age_s", "silence_s"].map(|key| session[key].as_f64().expect("a number"));
        assert!(0.0 <= silence && silence <= age, "{session}");
        let bytes = if position == 0 { 7 } else { 12 };
        assert_eq!((&session["messages"], &session["bytes_in"]), (&(position + 1).into(), &bytes.into()));
    }
    assert_eq!(listed.len(), 2);
    say_bye(&mut first);
    say_bye(&mut second);
    assert_eq!(sessions(admin), Vec::<Value>::new());
}

/// Returns the numbers of a line of totals, by their names.
fn totals(line: &str) -> impl Fn(&str) -> u64 {
    let fields: Vec<(String, u64)> = line
        .split(' ')
        .filter_map(|field| field.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.parse().expect("a number")))
        .collect();
    move |name| fields.iter().find(|field| field.0 == name).map_or(0, |field| field.1)
}

#[test]
fn the_counters_equal_the_final_totals_after_mixed_sessions() {
    let (program, admin) = serve(&["--workers", "4", "--max-pending", "0", "--log-messages", "off"]);
    let address = program.address();
    let one_client = |number: usize| {
        // Refused ones are part of the mix.
        let Ok(mut client) = TcpStream::connect(address) else { return };
        client.set_read_timeout(Some(FUSE)).expect("a valid timeout");
        for _ in 0..number % 5 {
            let _ = client.write_all(&vec![b'x'; 10 + number % 3000]);
        }
        match number % 4 {
            0 => drop(client.write_all(b"\nbye\n")),
            1 => drop(client.shutdown(Shutdown::Write)),
            2 => drop(SockRef::from(&client).set_linger(Some(Duration::ZERO))),
            _ => return,
        }
        if number % 4 < 2 {
            let _ = client.read_to_end(&mut Vec::new());
        }
    };
    thread::scope(|scope| {
        for thread in 0..8 {
            scope.spawn(move || (0..100).for_each(|number| one_client(thread + 8 * number)));
        }
    });
    wait_for_metric(admin, "hebra_connections_accepted_total", 800);
    let metrics = wait_for_metric(admin, "hebra_sessions_live", 0);
    program.signal(Signal::SIGTERM);
    let line = program.wait_for("totals: ");
    assert_eq!(program.finish().0, DRAINED);
    let total = totals(&line);
    for (series, field) in [
        ("hebra_connections_accepted_total", "accepted"),
        ("hebra_messages_total", "messages"),
        ("hebra_received_bytes_total", "bytes_in"),
        ("hebra_sent_bytes_total", "bytes_out"),
        ("hebra_events_dropped_total", "events_dropped"),
        ("hebra_handler_panics_total", "panicked"),
        ("hebra_sessions_live", "live"),
        ("hebra_sessions_waiting", "waiting"),
        ("hebra_connections_refused_total{reason=\"full\"}", "refused_full"),
        ("hebra_sessions_finished_total{reason=\"bye\"}", "finished_bye"),
        ("hebra_sessions_finished_total{reason=\"end_of_stream\"}", "finished_end_of_stream"),
        ("hebra_sessions_finished_total{reason=\"connection_failed\"}", "finished_connection_failed"),
        ("hebra_queue_wait_seconds_count", "finished"),
        ("hebra_queue_wait_seconds_bucket{le=\"+Inf\"}", "finished"),
    ] {
        assert_eq!(metric(&metrics, series), total(field), "{series}: {line}");
    }
    let sum = |name: &str| -> u64 {
        let lines = metrics.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix('{')?.split_once(' '));
        lines.map(|(_, value)| value.parse::<u64>().expect("a number")).sum()
    };
    assert_eq!(sum("hebra_connections_refused_total"), total("refused"));
    assert_eq!(sum("hebra_sessions_finished_total"), total("finished"));
    assert_eq!(total("refused") + total("finished"), 800, "{line}");
    assert_eq!(metric(&metrics, "hebra_workers"), 4);
    assert_eq!(metric(&metrics, &format!("hebra_build_info{{version=\"{}\"}}", env!("CARGO_PKG_VERSION"))), 1);
}

#[test]
fn it_answers_while_every_worker_is_taken_and_clients_wait() {
    let (program, admin) = serve(&["--workers", "8", "--max-pending", "8"]);
    let served: Vec<TcpStream> = (0..8).map(|_| connect_served(program.address())).collect();
    let waiting: Vec<TcpStream> = (0..8).map(|_| connect(program.address())).collect();
    let metrics = wait_for_metric(admin, "hebra_sessions_waiting", 8);
    assert_eq!(metric(&metrics, "hebra_sessions_live"), 8);
    assert_eq!(sessions(admin).len(), 8);
    assert_eq!(get(admin, "/livez").0, "200");
    drop((served, waiting));
}

#[test]
fn its_connections_are_in_no_total_and_logged_at_level_debug_under_a_name_of_their_own() {
    for (level, shown) in [("info", false), ("debug", true)] {
        let mut command = Program::command();
        command
            .args(["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"])
            .env("RUST_LOG", format!("hebra={level}"));
        let program = Program::spawn(&mut command, 1);
        let line = program.next_shown();
        let admin = line.trim_start_matches("admin on http://").trim_end_matches('/').parse().expect("an address");
        assert_eq!(metric(&get(admin, "/metrics").1, "hebra_connections_accepted_total"), 0);
        program.signal(Signal::SIGTERM);
        let (code, lines) = program.finish();
        assert_eq!(code, DRAINED);
        let of_admin: Vec<&String> = lines.iter().filter(|line| line.contains("hebra::admin")).collect();
        assert_eq!(!of_admin.is_empty(), shown, "{lines:#?}");
        assert!(of_admin.iter().all(|line| line.contains("DEBUG hebra::admin] ")), "{lines:#?}");
        let totals: Vec<&String> = lines.iter().filter(|line| line.contains("INFO  hebra] totals: ")).collect();
        assert!(totals.len() == 1 && totals[0].contains("accepted=0 "), "{lines:#?}");
    }
}

#[test]
fn hostile_clients_harm_neither_it_nor_the_service() {
    let (program, admin) = serve(&[]);
    let mut client = connect_served(program.address());
    // They send the beginning of a request, and nothing more.
    let silent: Vec<TcpStream> = (0..64)
        .map(|_| {
            let mut client = connect(admin);
            client.write_all(b"GET / HTTP/1.1\r\nHost: ").expect("it is sent");
            client
        })
        .collect();
    // Half of a request, and the end of the stream.
    assert_eq!(send_and_finish(&connect(admin), b"GET / HT"), b"");
    // Nothing that looks like HTTP, without an end.
    let garbage: Vec<u8> = (0..1 << 20).map(|number: u32| (number * 31 % 251) as u8).collect();
    let answer = send_and_finish(&connect(admin), &garbage);
    assert!(answer.starts_with(b"HTTP/1.1 400 Bad Request\r\n"), "{}", String::from_utf8_lossy(&answer));
    // They ask, and reset or leave before the answer.
    for number in 0..100 {
        let mut rude = connect(admin);
        rude.write_all(b"GET /history HTTP/1.0\r\n\r\n").expect("it is sent");
        if number % 2 == 0 {
            SockRef::from(&rude).set_linger(Some(Duration::ZERO)).expect("a socket");
        }
    }
    // They do not read.
    let deaf: Vec<TcpStream> = (0..32)
        .map(|_| {
            let mut client = connect(admin);
            client.write_all(&b"GET / HTTP/1.0\r\n\r\n".repeat(1000)).expect("it is sent");
            client
        })
        .collect();
    assert_eq!(exchange(&mut client, b"still here"), b"still here");
    assert_eq!(get(admin, "/livez"), ("200".to_owned(), "ok\n".to_owned()));
    assert_eq!(sessions(admin).len(), 1);
    drop((silent, deaf));
    say_bye(&mut client);
}

/// Sends the beginning of a request, and then a byte now and then for as long as the server takes them.
fn trickle(admin: SocketAddr) -> TcpStream {
    let client = connect(admin);
    let mut sender = client.try_clone().expect("a descriptor is free");
    thread::spawn(move || {
        let mut text: &[u8] = b"GET / HTTP/1.1\r\nx: ";
        while sender.write_all(text).is_ok() {
            text = b"y";
            thread::sleep(Duration::from_millis(10));
        }
    });
    client
}

#[test]
fn a_request_that_trickles_in_for_too_long_ends() {
    let (_program, admin) = serve(&[]);
    assert_eq!(read_to_end(&mut trickle(admin)), b"");
}

/// Each could hold a worker for five seconds.
#[test]
fn requests_that_trickle_in_end_sooner_while_others_wait() {
    let (_program, admin) = serve(&[]);
    let mut slow: Vec<TcpStream> = (0..150).map(|_| trickle(admin)).collect();
    assert_eq!(get(admin, "/livez").0, "200");
    // On a busy machine one may be silent for a moment, and is ended for that.
    assert!(slow.iter_mut().any(|client| read_to_end(client).starts_with(b"HTTP/1.1 408 Request Timeout\r\n")));
}

/// The probes of Kubernetes wait for a second.
#[test]
fn silent_clients_that_come_back_at_once_do_not_make_a_probe_fail() {
    let (_program, admin) = serve(&[]);
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..200 {
            scope.spawn(|| {
                while !is_over.load(Relaxed) {
                    let Ok(mut silent) = TcpStream::connect_timeout(&admin, FUSE) else { continue };
                    silent.set_read_timeout(Some(FUSE)).expect("a valid timeout");
                    let _ = silent.read(&mut [0]);
                }
            });
        }
        // All of them are there.
        thread::sleep(Duration::from_millis(500));
        let mut times: Vec<Duration> = (0..20)
            .map(|_| {
                let begun = Instant::now();
                assert_eq!(get(admin, "/livez").0, "200");
                begun.elapsed()
            })
            .collect();
        is_over.store(true, Relaxed);
        times.sort_unstable();
        assert!(times[10] < Duration::from_millis(500), "{times:?}");
    });
}

#[test]
fn during_the_drain_delay_clients_are_served_and_readiness_is_off() {
    let (program, admin) = serve(&["--drain-delay", "60s"]);
    assert_eq!(get(admin, "/readyz"), ("200".to_owned(), "ok\n".to_owned()));
    program.signal(Signal::SIGTERM);
    program.wait_for("clients are accepted for 60s more");
    assert_eq!(get(admin, "/readyz"), ("503".to_owned(), "stopping\n".to_owned()));
    assert_eq!(get(admin, "/livez").0, "200");
    let mut client = connect_served(program.address());
    say_bye(&mut client);
    // A later signal ends the delay, and not the sessions.
    thread::sleep(AGAIN + AGAIN / 2);
    let mut busy = connect_served(program.address());
    program.signal(Signal::SIGTERM);
    assert_eq!(read_to_end(&mut busy), b"");
    drop(busy);
    let (code, lines) = program.finish();
    assert_eq!(code, DRAINED, "{lines:#?}");
}

#[test]
fn the_drain_delay_ends_by_itself_and_a_third_signal_cuts() {
    let (program, _) = serve(&["--drain-delay", "100ms"]);
    program.signal(Signal::SIGTERM);
    assert_eq!(program.finish().0, DRAINED);

    let (program, admin) = serve(&["--drain-delay", "60s", "--drain-timeout", "60s", "--write-timeout", "off"]);
    let _clogged = clog(program.address(), || bytes(admin));
    program.signal(Signal::SIGTERM);
    program.wait_for("clients are accepted for 60s more");
    thread::sleep(AGAIN + AGAIN / 2);
    program.signal(Signal::SIGTERM);
    program.wait_for("stopping; sessions to end: 1");
    thread::sleep(AGAIN + AGAIN / 2);
    program.signal(Signal::SIGTERM);
    assert_eq!(program.finish().0, CUT_OFF);
}

#[test]
fn it_answers_until_the_last_session_has_ended() {
    let (program, admin) = serve(&["--drain-timeout", "60s", "--write-timeout", "off"]);
    let clogged = clog(program.address(), || bytes(admin));
    program.signal(Signal::SIGTERM);
    program.wait_for("stopping; sessions to end: 1");
    assert_eq!(get(admin, "/livez").0, "200");
    assert_eq!(get(admin, "/readyz").0, "503");
    assert_eq!(metric(&get(admin, "/metrics").1, "hebra_sessions_live"), 1);
    // It leaves, and its second descriptor with it.
    clogged.shutdown(Shutdown::Both).expect("a socket");
    drop(clogged);
    program.finish();
    assert!(TcpStream::connect(admin).is_err());
}

#[test]
fn every_address_of_a_name_answers_and_one_that_is_taken_is_an_error() {
    let mut command = Program::command();
    command.args(["--listen", "127.0.0.1:0"]).env("HEBRA_ADMIN", "localhost:0");
    let program = Program::spawn(&mut command, 1);
    for host in ["127.0.0.1", "[::1]"] {
        let line = program.next_shown();
        let port = line.strip_prefix(&format!("admin on http://{host}:")).and_then(|rest| rest.strip_suffix('/'));
        let address = format!("{host}:{}", port.unwrap_or_else(|| panic!("{line}")));
        assert_eq!(get(address.parse().expect("an address"), "/livez").0, "200");
    }

    let other = start(crate::support::config());
    let taken = other.local_addrs()[0].to_string();
    let output =
        Program::command().args(["--listen", "127.0.0.1:0", "--admin", &taken]).output().expect("it is built");
    assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(1), b"".as_slice()));
    let line = String::from_utf8(output.stderr).expect("text");
    assert!(line.starts_with(&format!("hebra: cannot listen on {taken}: ")), "{line}");
}
