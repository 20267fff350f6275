//! How a server stops: the drain, the deadline, and what clients see.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hebra::{Handler, Next, Server, ServerConfig};

use crate::support::{FUSE, address, clog_server, config, connect, connect_served, exchange, read_to_end, start};

#[test]
fn idle_sessions_end_with_a_clean_end_of_stream() {
    let server = start(config());
    let mut clients: Vec<TcpStream> = (0..4).map(|_| connect_served(address(&server))).collect();
    let report = server.shutdown(FUSE);
    assert_eq!((report.cut_off, report.abandoned, report.stats.finished), (0, 0, 4));
    for client in &mut clients {
        assert_eq!(read_to_end(client), b"");
    }
}

#[test]
fn a_session_that_is_polled_ends_like_any_other() {
    let server = start(config().busy_poll(Some(Duration::from_millis(1))));
    let mut client = connect(address(&server));
    // After so many quick messages the session is polled, if there is a core to spare.
    for _ in 0..100 {
        assert_eq!(exchange(&mut client, b"quick\n"), b"quick\n");
    }
    let report = server.shutdown(FUSE);
    assert_eq!((report.cut_off, report.abandoned, report.stats.finished), (0, 0, 1));
    assert_eq!(read_to_end(&mut client), b"");
}

#[test]
fn waiting_clients_get_a_notice_when_the_server_stops() {
    let server = start(config().workers(1));
    let mut events = server.subscribe();
    let _held = connect_served(address(&server));
    let mut waiting = connect(address(&server));
    waiting.write_all(b"anybody?").expect("it is sent");
    while server.stats().waiting == 0 {
        std::thread::yield_now();
    }
    server.shutdown(FUSE);
    assert_eq!(read_to_end(&mut waiting), b"busy: the server is shutting down\r\n");
    assert!(events.any(|event| event.to_string().ends_with("refused: the server is shutting down")));
}

#[test]
fn a_client_that_does_not_read_is_cut_off_at_the_deadline() {
    let server = start(config());
    let _client = clog_server(&server);
    let report = server.shutdown(Duration::from_millis(50));
    assert_eq!((report.cut_off, report.abandoned), (1, 0));
}

/// A handler that answers, and then blocks until the flag is set.
struct Stuck(Arc<AtomicBool>);

impl Handler for Stuck {
    fn message(&mut self, _message: &[u8], reply: &mut dyn Write) -> std::io::Result<Next> {
        reply.write_all(b"stuck")?;
        while !self.0.load(Ordering::SeqCst) {
            std::thread::park_timeout(Duration::from_millis(1));
        }
        Ok(Next::Continue)
    }
}

#[test]
fn a_handler_that_never_returns_does_not_delay_the_stop() {
    let free = Arc::new(AtomicBool::new(false));
    let handler = Arc::clone(&free);
    let server = Server::bind(config(), move |_client| Stuck(Arc::clone(&handler))).expect("it binds");
    let server = server.start().expect("it starts");
    let mut client = connect(address(&server));
    client.write_all(b"hello").expect("it is sent");
    let mut answer = [0; 5];
    client.read_exact(&mut answer).expect("it answers before it blocks");
    let report = server.shutdown(Duration::ZERO);
    assert_eq!((report.cut_off, report.abandoned), (1, 1));
    free.store(true, Ordering::SeqCst);
}

/// Returns the configuration of a server at an address that no other test uses, so that its port stays free afterwards.
fn apart(last: u8) -> ServerConfig {
    config().listen(vec![format!("127.0.1.{last}:0")])
}

#[test]
fn the_port_of_a_stopped_server_can_be_used_at_once() {
    let server = start(apart(1));
    let address = address(&server);
    let _client = connect_served(address);
    server.shutdown(FUSE);
    let next = start(config().listen(vec![address.to_string()]));
    connect_served(address);
    drop(next);
    TcpListener::bind(address).expect("the port is free after a drop too");
}

#[test]
fn a_server_that_is_dropped_before_it_starts_frees_its_port() {
    let server = Server::bind(apart(2), |_client| hebra::Echo).expect("it binds");
    let address = server.local_addrs()[0];
    drop(server);
    TcpListener::bind(address).expect("the port is free");
}
