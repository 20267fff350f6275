//! Sessions to which other threads push: what is pushed arrives whole and in order, a client that does not read is
//! dropped, and a stop loses nothing.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use hebra::{
    Client, ClientHandle, CloseReason, Framing, Handler, Next, PushError, RunningServer, Server, ServerConfig,
    Session,
};
use socket2::SockRef;

use crate::support::{FUSE, address, config, connect, exchange, random_bytes, read_to_end, send_and_finish};

/// What a handler reports to the test: the handle of a new client, or why a session has ended.
type Report = (Client, Result<ClientHandle, CloseReason>);

/// Echoes, and reports the client's handle and the end of the session.
struct Reachable {
    handle: ClientHandle,
    reports: Sender<Report>,
}

impl Handler for Reachable {
    fn open(&mut self, _reply: &mut dyn Write) -> io::Result<Next> {
        // The test may have dropped the receiver if it needs no more reports.
        let _ = self.reports.send((self.handle.client(), Ok(self.handle.clone())));
        Ok(Next::Continue)
    }

    fn message(&mut self, message: &[u8], reply: &mut dyn Write) -> io::Result<Next> {
        assert_ne!(message, b"panic");
        reply.write_all(message)?;
        Ok(Next::Continue)
    }

    fn closed(&mut self, reason: CloseReason) {
        let _ = self.reports.send((self.handle.client(), Err(reason)));
    }
}

/// The reports of all sessions of a server.
struct Reports(Receiver<Report>);

impl Reports {
    fn next_handle(&self) -> ClientHandle {
        self.0.recv_timeout(FUSE).expect("a report").1.expect("a session begins")
    }

    fn next_reason(&self) -> CloseReason {
        self.0.recv_timeout(FUSE).expect("a report").1.expect_err("a session ends")
    }
}

/// Starts a server whose handlers are made from a [`Reachable`] by `wrap`.
fn start_wrapped<H: Handler + 'static>(config: ServerConfig, wrap: fn(Reachable) -> H) -> (RunningServer, Reports) {
    let (sender, reports) = channel();
    let factory = move |session: &Session| wrap(Reachable { handle: session.handle(), reports: sender.clone() });
    (Server::bind(config, factory).expect("it binds").start().expect("it starts"), Reports(reports))
}

fn start(config: ServerConfig) -> (RunningServer, Reports) {
    start_wrapped(config, |handler| handler)
}

#[test]
fn a_silent_client_gets_what_is_pushed_whole_and_in_order() {
    let (server, reports) = start(config());
    let mut client = connect(address(&server));
    let handle = reports.next_handle();
    thread::scope(|scope| {
        for pusher in 0..4 {
            let handle = handle.clone();
            scope.spawn(move || {
                for number in 0..500 {
                    handle.push(format!("{pusher} {number}\n").as_bytes()).expect("there is room");
                }
            });
        }
    });
    handle.close();
    let mut text = String::new();
    client.read_to_string(&mut text).expect("a clean end of stream");
    for pusher in 0..4 {
        let prefix = format!("{pusher} ");
        let numbers: Vec<u32> = text.lines().filter_map(|line| line.strip_prefix(&prefix)?.parse().ok()).collect();
        assert_eq!(numbers, (0..500).collect::<Vec<_>>());
    }
    assert_eq!(text.lines().count(), 2000);
    assert_eq!(reports.next_reason(), CloseReason::ServiceClosed);
    let stats = server.shutdown(FUSE).stats;
    assert_eq!((stats.messages, stats.bytes_out), (0, text.len() as u64));
    assert_eq!(handle.push(b"late"), Err(PushError::Closed));
}

#[test]
fn answers_and_pushes_keep_the_order_of_the_calls() {
    let (server, reports) = start(config());
    let mut client = connect(address(&server));
    let handle = reports.next_handle();
    handle.push(b"first ").expect("there is room");
    client.write_all(b"second").expect("it is sent");
    let mut answer = [0; 12];
    client.read_exact(&mut answer).expect("both arrive");
    assert_eq!(&answer, b"first second");
    handle.push(b" third").expect("there is room");
    client.write_all(b"bye").expect("it is sent");
    assert_eq!(read_to_end(&mut client), b" third");
    assert_eq!(reports.next_reason(), CloseReason::Bye);
}

#[test]
fn answers_wait_for_a_slow_reader_and_arrive_whole() {
    let (server, _reports) = start(config().max_outgoing(1024));
    let input = random_bytes(1024 * 1024 + 7);
    assert!(send_and_finish(&connect(address(&server)), &input) == input);
    assert_eq!(server.shutdown(FUSE).stats.bytes_out, input.len() as u64);
}

#[test]
fn a_client_that_does_not_read_is_dropped_at_its_bound_and_blocks_no_push() {
    let (server, reports) = start(config().max_outgoing(64 * 1024));
    let _client = connect(address(&server));
    let handle = reports.next_handle();
    let line = [b'x'; 1000];
    let mut pushed = 0;
    let error = loop {
        match handle.push(&line) {
            Ok(()) => pushed += line.len(),
            Err(error) => break error,
        }
    };
    assert_eq!(error, PushError::TooSlow);
    // The bytes are in the queue, in a batch that is being sent, and in the kernel's buffers at both ends.
    assert!(pushed < 16 * 1024 * 1024, "{pushed}");
    assert_eq!(reports.next_reason(), CloseReason::TooSlow);
    assert_eq!(handle.push(&line), Err(PushError::Closed));
    // The worker and the writer end. The reset counts as cut off if the stop begins before it.
    assert_eq!(server.shutdown(FUSE).abandoned, 0);
}

#[test]
fn a_client_that_takes_nothing_until_the_write_timeout_is_dropped() {
    let config = config().write_timeout(Some(Duration::from_millis(50))).max_outgoing(1 << 30);
    let (server, reports) = start(config);
    let _client = connect(address(&server));
    let handle = reports.next_handle();
    handle.push(&vec![b'x'; 32 * 1024 * 1024]).expect("there is room");
    assert_eq!(reports.next_reason(), CloseReason::WriteTimeout);
    assert_eq!(server.shutdown(FUSE).abandoned, 0);
}

#[test]
fn a_stop_sends_what_was_pushed_before_it() {
    let (server, reports) = start(config());
    let mut clients: Vec<_> = (0..4).map(|_| connect(address(&server))).collect();
    let pushed = random_bytes(200 * 1000);
    for _ in 0..4 {
        reports.next_handle().push(&pushed).expect("there is room");
    }
    thread::scope(|scope| {
        let stop = scope.spawn(|| server.shutdown(FUSE));
        for client in &mut clients {
            assert!(read_to_end(client) == pushed);
        }
        drop(clients);
        assert_eq!(stop.join().expect("it stops").cut_off, 0);
    });
    assert_eq!(reports.next_reason(), CloseReason::Shutdown);
}

#[test]
fn a_stop_cuts_off_a_client_that_does_not_read_what_was_pushed() {
    let (server, reports) = start(config().max_outgoing(1 << 30));
    let _client = connect(address(&server));
    reports.next_handle().push(&vec![b'x'; 32 * 1024 * 1024]).expect("there is room");
    let report = server.shutdown(Duration::from_millis(300));
    assert_eq!((report.cut_off, report.abandoned), (1, 0));
}

#[test]
fn a_panic_ends_a_pushing_session_and_its_writer() {
    let (server, reports) = start(config());
    let mut client = connect(address(&server));
    assert_eq!(exchange(&mut client, b"hello"), b"hello");
    let handle = reports.next_handle();
    handle.push(b"pushed").expect("there is room");
    client.write_all(b"panic").expect("it is sent");
    assert_eq!(read_to_end(&mut client), b"pushed");
    let report = server.shutdown(FUSE);
    assert_eq!((report.cut_off, report.stats.panicked), (0, 1));
    assert_eq!(handle.push(b"late"), Err(PushError::Closed));
}

/// Greets its client, and turns every second client away.
struct Doorman(Client);

impl Handler for Doorman {
    fn open(&mut self, reply: &mut dyn Write) -> io::Result<Next> {
        if self.0.id.is_multiple_of(2) {
            reply.write_all(b"not today\n")?;
            return Ok(Next::Close);
        }
        reply.write_all(b"welcome\n")?;
        Ok(Next::Continue)
    }

    fn message(&mut self, message: &[u8], reply: &mut dyn Write) -> io::Result<Next> {
        reply.write_all(message)?;
        Ok(Next::Continue)
    }
}

#[test]
fn a_service_may_speak_first_and_turn_a_client_away() {
    let server = Server::bind(config(), |session| Doorman(session.client())).expect("it binds");
    let server = server.start().expect("it starts");
    let mut first = connect(address(&server));
    let mut welcome = [0; 8];
    first.read_exact(&mut welcome).expect("it speaks first");
    assert_eq!(&welcome, b"welcome\n");
    let mut second = connect(address(&server));
    // The server does not read what this client sends, and the answer still arrives.
    second.write_all(&[b'x'; 100_000]).expect("it is sent");
    assert_eq!(read_to_end(&mut second), b"not today\n");
    assert_eq!(exchange(&mut first, b"hello"), b"hello");
}

#[test]
fn a_burst_is_sent_before_the_queue_is_full() {
    let (server, reports) = start(config().max_outgoing(64 * 1024));
    let mut client = connect(address(&server));
    let handle = reports.next_handle();
    let reader = thread::spawn(move || read_to_end(&mut client));
    // The first byte is sent at once. What follows it closely is gathered for a while.
    handle.push(b"1").expect("there is room");
    thread::sleep(Duration::from_millis(1));
    for _ in 0..4 {
        handle.push(&[b'x'; 40 * 1024]).expect("the client reads all the time");
        thread::sleep(Duration::from_millis(3));
    }
    handle.close();
    assert_eq!(reader.join().expect("it reads").len(), 4 * 40 * 1024 + 1);
}

/// Pushes more to its own client than the queue holds, and then answers.
struct Overflowing(Reachable);

impl Handler for Overflowing {
    fn message(&mut self, message: &[u8], reply: &mut dyn Write) -> io::Result<Next> {
        assert_eq!(self.0.handle.push(&[0; 2000]), Err(PushError::TooSlow));
        self.0.message(message, reply)
    }

    fn closed(&mut self, reason: CloseReason) {
        self.0.closed(reason);
    }
}

#[test]
fn an_answer_after_a_push_that_failed_does_not_hide_the_reason() {
    for framing in [Framing::Message, Framing::Line] {
        let (server, reports) = start_wrapped(config().max_outgoing(1000).framing(framing), Overflowing);
        connect(address(&server)).write_all(b"hello\n").expect("it is sent");
        assert_eq!(reports.next_reason(), CloseReason::TooSlow);
    }
}

#[test]
fn a_client_that_reads_gets_megabytes_at_once() {
    let (server, reports) = start(config().max_outgoing(1 << 30));
    let mut client = connect(address(&server));
    let handle = reports.next_handle();
    let pushed = random_bytes(16 * 1024 * 1024);
    let began = Instant::now();
    handle.push(&pushed).expect("there is room");
    handle.close();
    assert!(read_to_end(&mut client) == pushed);
    // This takes milliseconds. It took ten seconds when each write waited for an acknowledgement.
    assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
}

/// Answers with more than the client's receive buffer holds, and closes the session.
struct Farewell(Reachable);

impl Handler for Farewell {
    fn open(&mut self, reply: &mut dyn Write) -> io::Result<Next> {
        self.0.open(reply)
    }

    fn message(&mut self, _message: &[u8], reply: &mut dyn Write) -> io::Result<Next> {
        reply.write_all(&[b'x'; 40_000])?;
        Ok(Next::Close)
    }

    fn closed(&mut self, reason: CloseReason) {
        self.0.closed(reason);
    }
}

#[test]
fn a_session_that_has_ended_is_not_ended_again() {
    let (server, reports) = start_wrapped(config(), Farewell);
    let client = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).expect("a socket");
    client.set_recv_buffer_size(4096).expect("a small buffer");
    client.connect(&address(&server).into()).expect("it connects");
    let mut client = TcpStream::from(client);
    let handle = reports.next_handle();
    client.write_all(b"hello").expect("it is sent");
    assert_eq!(reports.next_reason(), CloseReason::ServiceClosed);
    // The last answer is still on its way when the client sends more.
    thread::sleep(Duration::from_millis(50));
    handle.close();
    thread::sleep(Duration::from_millis(50));
    client.write_all(b"typing").expect("it is sent");
    thread::sleep(Duration::from_millis(50));
    assert_eq!(read_to_end(&mut client).len(), 40_000);
}

#[test]
fn a_client_that_sends_while_it_is_closed_gets_what_was_pushed_before() {
    let (server, reports) = start(config());
    let mut client = connect(address(&server));
    SockRef::from(&client).set_recv_buffer_size(4096).expect("a socket");
    // This is more than the client's kernel buffers while the client does not read.
    let pushed = random_bytes(40_000);
    let handle = reports.next_handle();
    handle.push(&pushed).expect("there is room");
    handle.close();
    client.write_all(b"wait").expect("it is sent");
    assert!(read_to_end(&mut client) == pushed);
    drop(client);
    assert_eq!(reports.next_reason(), CloseReason::ServiceClosed);
}

#[test]
fn a_client_that_stays_after_its_session_was_closed_holds_no_worker() {
    let (server, reports) = start(config());
    let mut client = connect(address(&server));
    reports.next_handle().close();
    assert_eq!(read_to_end(&mut client), b"");
    // The client does not close; the server does.
    assert_eq!(reports.next_reason(), CloseReason::ServiceClosed);
    assert_eq!(server.shutdown(FUSE).cut_off, 0);
}
