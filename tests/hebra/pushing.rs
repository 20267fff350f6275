//! Sessions that are spoken to from other threads: what is pushed arrives whole and in order, whoever does not
//! read is dropped, and a stop loses nothing.

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

/// What the service tells the test.
type Told = Sender<(Client, Result<ClientHandle, CloseReason>)>;

/// Echoes, hands its client's handle out, and tells why the session ended.
struct Reachable {
    handle: ClientHandle,
    told: Told,
}

impl Handler for Reachable {
    fn open(&mut self, _reply: &mut dyn Write) -> io::Result<Next> {
        // Whoever has the test's end knows what it has missed.
        let _ = self.told.send((self.handle.client(), Ok(self.handle.clone())));
        Ok(Next::Continue)
    }

    fn message(&mut self, message: &[u8], reply: &mut dyn Write) -> io::Result<Next> {
        assert_ne!(message, b"panic");
        reply.write_all(message)?;
        Ok(Next::Continue)
    }

    fn closed(&mut self, reason: CloseReason) {
        let _ = self.told.send((self.handle.client(), Err(reason)));
    }
}

/// The test's end of that.
struct Heard(Receiver<(Client, Result<ClientHandle, CloseReason>)>);

impl Heard {
    fn next_handle(&self) -> ClientHandle {
        self.0.recv_timeout(FUSE).expect("a client came").1.expect("it has only come")
    }

    fn next_reason(&self) -> CloseReason {
        self.0.recv_timeout(FUSE).expect("a client left").1.expect_err("it has left")
    }
}

fn start(config: ServerConfig) -> (RunningServer, Heard) {
    let (told, heard) = channel();
    let factory = move |session: &Session| Reachable { handle: session.handle(), told: told.clone() };
    (Server::bind(config, factory).expect("it binds").start().expect("it starts"), Heard(heard))
}

#[test]
fn a_silent_client_gets_what_is_pushed_whole_and_in_order() {
    let (server, heard) = start(config());
    let mut client = connect(address(&server));
    let handle = heard.next_handle();
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
    assert_eq!(heard.next_reason(), CloseReason::ServiceClosed);
    let stats = server.shutdown(FUSE).stats;
    assert_eq!((stats.messages, stats.bytes_out), (0, text.len() as u64));
    assert_eq!(handle.push(b"late"), Err(PushError::Closed));
}

#[test]
fn answers_and_pushes_keep_the_order_of_the_calls() {
    let (server, heard) = start(config());
    let mut client = connect(address(&server));
    let handle = heard.next_handle();
    handle.push(b"first ").expect("there is room");
    client.write_all(b"second").expect("it is sent");
    let mut answer = [0; 12];
    client.read_exact(&mut answer).expect("both come");
    assert_eq!(&answer, b"first second");
    handle.push(b" third").expect("there is room");
    client.write_all(b"bye").expect("it is sent");
    assert_eq!(read_to_end(&mut client), b" third");
    assert_eq!(heard.next_reason(), CloseReason::Bye);
}

#[test]
fn answers_wait_for_a_slow_reader_and_arrive_whole() {
    let (server, _heard) = start(config().max_outgoing(1024));
    let input = random_bytes(1024 * 1024 + 7);
    assert!(send_and_finish(&connect(address(&server)), &input) == input);
    assert_eq!(server.shutdown(FUSE).stats.bytes_out, input.len() as u64);
}

#[test]
fn whoever_does_not_read_is_dropped_within_its_bound_and_nobody_waits_for_it() {
    let (server, heard) = start(config().max_outgoing(64 * 1024));
    let _client = connect(address(&server));
    let handle = heard.next_handle();
    let line = [b'x'; 1000];
    let mut pushed = 0;
    let error = loop {
        match handle.push(&line) {
            Ok(()) => pushed += line.len(),
            Err(error) => break error,
        }
    };
    assert_eq!(error, PushError::TooSlow);
    // The queue, a batch on its way, and the kernel's buffers at both ends.
    assert!(pushed < 16 * 1024 * 1024, "{pushed}");
    assert_eq!(heard.next_reason(), CloseReason::TooSlow);
    assert_eq!(handle.push(&line), Err(PushError::Closed));
    // Its worker and its writer have ended, or this would cut it off.
    assert_eq!(server.shutdown(FUSE).cut_off, 0);
}

#[test]
fn whoever_takes_nothing_in_time_is_dropped_too() {
    let config = config().write_timeout(Some(Duration::from_millis(50))).max_outgoing(1 << 30);
    let (server, heard) = start(config);
    let _client = connect(address(&server));
    let handle = heard.next_handle();
    handle.push(&vec![b'x'; 32 * 1024 * 1024]).expect("there is room");
    assert_eq!(heard.next_reason(), CloseReason::WriteTimeout);
    assert_eq!(server.shutdown(FUSE).cut_off, 0);
}

#[test]
fn a_stop_sends_what_was_pushed_before_it() {
    let (server, heard) = start(config());
    let mut clients: Vec<_> = (0..4).map(|_| connect(address(&server))).collect();
    let pushed = random_bytes(200 * 1000);
    for _ in 0..4 {
        heard.next_handle().push(&pushed).expect("there is room");
    }
    thread::scope(|scope| {
        let stop = scope.spawn(|| server.shutdown(FUSE));
        for client in &mut clients {
            assert!(read_to_end(client) == pushed);
        }
        drop(clients);
        assert_eq!(stop.join().expect("it stops").cut_off, 0);
    });
    assert_eq!(heard.next_reason(), CloseReason::Shutdown);
}

#[test]
fn a_stop_cuts_off_who_does_not_read_what_was_pushed() {
    let (server, heard) = start(config().max_outgoing(1 << 30));
    let _client = connect(address(&server));
    heard.next_handle().push(&vec![b'x'; 32 * 1024 * 1024]).expect("there is room");
    let report = server.shutdown(Duration::from_millis(300));
    assert_eq!((report.cut_off, report.abandoned), (1, 0));
}

#[test]
fn a_panic_ends_a_pushing_session_and_its_writer() {
    let (server, heard) = start(config());
    let mut client = connect(address(&server));
    assert_eq!(exchange(&mut client, b"hello"), b"hello");
    let handle = heard.next_handle();
    handle.push(b"pushed").expect("there is room");
    client.write_all(b"panic").expect("it is sent");
    assert_eq!(read_to_end(&mut client), b"pushed");
    let report = server.shutdown(FUSE);
    assert_eq!((report.cut_off, report.stats.panicked), (0, 1));
    assert_eq!(handle.push(b"late"), Err(PushError::Closed));
}

/// Speaks first, and turns every second client away.
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
    // What it sends is not read, and does not destroy the answer.
    second.write_all(&[b'x'; 100_000]).expect("it is sent");
    assert_eq!(read_to_end(&mut second), b"not today\n");
    assert_eq!(exchange(&mut first, b"hello"), b"hello");
}

#[test]
fn a_burst_does_not_gather_until_there_is_no_room() {
    let (server, heard) = start(config().max_outgoing(64 * 1024));
    let mut client = connect(address(&server));
    let handle = heard.next_handle();
    let reader = thread::spawn(move || read_to_end(&mut client));
    // The first is sent at once, and what follows is gathered.
    handle.push(b"1").expect("there is room");
    thread::sleep(Duration::from_millis(1));
    for _ in 0..4 {
        handle.push(&[b'x'; 40 * 1024]).expect("the client reads all the time");
        thread::sleep(Duration::from_millis(3));
    }
    handle.close();
    assert_eq!(reader.join().expect("it reads").len(), 4 * 40 * 1024 + 1);
}

/// Pushes more than fits to its own client, and answers.
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
fn an_answer_after_a_push_without_room_does_not_hide_the_reason() {
    for framing in [Framing::Message, Framing::Line] {
        let (told, heard) = channel();
        let factory =
            move |session: &Session| Overflowing(Reachable { handle: session.handle(), told: told.clone() });
        let config = config().max_outgoing(1000).framing(framing);
        let server = Server::bind(config, factory).expect("it binds").start().expect("it starts");
        connect(address(&server)).write_all(b"hello\n").expect("it is sent");
        assert_eq!(Heard(heard).next_reason(), CloseReason::TooSlow);
    }
}

#[test]
fn a_client_that_reads_gets_megabytes_at_once() {
    let (server, heard) = start(config().max_outgoing(1 << 30));
    let mut client = connect(address(&server));
    let handle = heard.next_handle();
    let pushed = random_bytes(16 * 1024 * 1024);
    let began = Instant::now();
    handle.push(&pushed).expect("there is room");
    handle.close();
    assert!(read_to_end(&mut client) == pushed);
    // It takes milliseconds; with a wait for each acknowledgement it took ten seconds.
    assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
}

/// Answers more than the client's buffer holds, and ends the session.
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
    let (told, heard) = channel();
    let factory = move |session: &Session| Farewell(Reachable { handle: session.handle(), told: told.clone() });
    let server = Server::bind(config(), factory).expect("it binds").start().expect("it starts");
    let heard = Heard(heard);
    let client = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).expect("a socket");
    client.set_recv_buffer_size(4096).expect("a small one");
    client.connect(&address(&server).into()).expect("it connects");
    let mut client = TcpStream::from(client);
    let handle = heard.next_handle();
    client.write_all(b"hello").expect("it is sent");
    assert_eq!(heard.next_reason(), CloseReason::ServiceClosed);
    // Its last answer is on the way, and it still types.
    thread::sleep(Duration::from_millis(50));
    handle.close();
    thread::sleep(Duration::from_millis(50));
    client.write_all(b"typing").expect("it is sent");
    thread::sleep(Duration::from_millis(50));
    assert_eq!(read_to_end(&mut client).len(), 40_000);
}

#[test]
fn who_is_dismissed_while_it_sends_gets_what_was_pushed_before() {
    let (server, heard) = start(config());
    let mut client = connect(address(&server));
    SockRef::from(&client).set_recv_buffer_size(4096).expect("a socket");
    // More than the client's kernel takes before it reads.
    let pushed = random_bytes(40_000);
    let handle = heard.next_handle();
    handle.push(&pushed).expect("there is room");
    handle.close();
    client.write_all(b"wait").expect("it is sent");
    assert!(read_to_end(&mut client) == pushed);
    drop(client);
    assert_eq!(heard.next_reason(), CloseReason::ServiceClosed);
}

#[test]
fn who_is_dismissed_and_does_not_leave_holds_no_worker() {
    let (server, heard) = start(config());
    let mut client = connect(address(&server));
    heard.next_handle().close();
    assert_eq!(read_to_end(&mut client), b"");
    // The client does not close; the server does.
    assert_eq!(heard.next_reason(), CloseReason::ServiceClosed);
    assert_eq!(server.shutdown(FUSE).cut_off, 0);
}
