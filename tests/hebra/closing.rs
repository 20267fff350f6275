//! The close of a session destroys nothing: a client that reads slowly and goes on talking receives every byte that
//! counts as sent, the farewell line included, and then a clean end of the stream, whatever the reason is.

use std::borrow::Cow;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::{Arc, Barrier, mpsc};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use hebra::{
    ClientHandle, CloseReason, Event, Framing, Handler, Next, RunningServer, Server, ServerConfig, ShutdownReport,
    Subscription,
};
use socket2::{Domain, Socket, Type};

use crate::support::{FUSE, address, config, connect, connect_served, random_bytes, read_to_end, start};

/// Sent by the client at once. The reader is slower than the server by far.
const MESSAGE: usize = 600_000;

/// A client with a small receive buffer, so that replies wait with the server.
fn connect_narrow(address: SocketAddr) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    socket.set_recv_buffer_size(16 * 1024).expect("a valid size");
    socket.connect(&address.into()).expect("it listens");
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(FUSE)).expect("a valid timeout");
    stream
}

/// A client that sends `first`, goes on talking for as long as the connection takes it, and reads a megabyte a second.
/// Returns the bytes that it has read when the stream ends, which is to be clean.
fn slow_talker(address: SocketAddr, first: &[u8], pause: Duration) -> JoinHandle<Vec<u8>> {
    let stream = connect_narrow(address);
    let mut talker = stream.try_clone().expect("a descriptor is free");
    let first = first.to_vec();
    thread::spawn(move || {
        let talking = thread::spawn(move || {
            let mut next = first;
            while talker.write_all(&next).is_ok() {
                next = b"more\n".to_vec();
                thread::sleep(pause);
            }
        });
        let output = read_slowly(&mut &stream);
        drop(stream.shutdown(Shutdown::Both));
        talking.join().expect("it only writes");
        output
    })
}

/// Reads a megabyte a second up to a clean end of the stream.
fn read_slowly(stream: &mut impl Read) -> Vec<u8> {
    let (mut output, mut buffer) = (Vec::new(), [0; 10_000]);
    loop {
        match stream.read(&mut buffer).expect("a clean end of the stream") {
            0 => return output,
            count => output.extend_from_slice(&buffer[..count]),
        }
        // The pace of the reader is the subject, not a synchronisation.
        thread::sleep(Duration::from_millis(10));
    }
}

/// Waits for the end of a session. Returns its reason and the bytes that count as sent.
fn ended(events: &mut Subscription) -> (CloseReason, u64) {
    events
        .find_map(|event| match event {
            Event::Disconnected { reason, bytes_out, .. } => Some((reason, bytes_out)),
            _ => None,
        })
        .expect("a session ends")
}

/// Asserts that a slow talker of `server` receives everything and then `farewell`.
fn assert_nothing_is_lost(
    server: &RunningServer,
    first: &[u8],
    pause: Duration,
    expected: CloseReason,
    farewell: &str,
    end: impl FnOnce(),
) {
    let mut events = server.subscribe();
    let client = slow_talker(address(server), first, pause);
    end();
    let (reason, sent) = ended(&mut events);
    assert_eq!(reason, expected);
    let output = client.join().expect("it reads to the end");
    assert_eq!(output.len() as u64, sent);
    assert!(output.ends_with(farewell.as_bytes()), "{:?}", String::from_utf8_lossy(&output[output.len() - 60..]));
}

const SHORT: Duration = Duration::from_millis(50);

#[test]
fn after_bye() {
    let message = [vec![b'x'; MESSAGE], b"\nbye\n".to_vec()].concat();
    assert_nothing_is_lost(&start(config()), &message, SHORT, CloseReason::Bye, "x\n", || ());
}

#[test]
fn at_the_idle_timeout() {
    let server = start(config().idle_timeout(Duration::from_millis(300)));
    let farewell = "idle: nothing was received for too long\r\n";
    let pause = Duration::from_millis(700);
    assert_nothing_is_lost(&server, &[b'x'; MESSAGE], pause, CloseReason::IdleTimeout, farewell, || ());
}

#[test]
fn at_the_end_of_the_lifetime() {
    let server = start(config().max_lifetime(Duration::from_millis(300)));
    let farewell = "error: the session has lasted too long\r\n";
    let (first, pause) = (&[b'x'; MESSAGE], Duration::from_millis(1));
    assert_nothing_is_lost(&server, first, pause, CloseReason::Expired, farewell, || ());
}

#[test]
fn when_the_worker_is_needed_for_another() {
    let server = start(config().workers(1).yield_after(Duration::from_millis(200)));
    let farewell = "idle: the worker is needed for another client\r\n";
    let (first, pause) = (&[b'x'; MESSAGE], Duration::from_millis(900));
    let other = || drop(connect_served(address(&server)));
    assert_nothing_is_lost(&server, first, pause, CloseReason::Yielded, farewell, other);
}

#[test]
fn when_the_operator_disconnects_it() {
    let server = start(config());
    let disconnect = || {
        while server.stats().messages == 0 {
            thread::yield_now();
        }
        assert!(server.disconnect(1));
    };
    let (first, farewell) = (&[b'x'; MESSAGE], "error: disconnected by the operator\r\n");
    assert_nothing_is_lost(&server, first, SHORT, CloseReason::Disconnected, farewell, disconnect);
}

#[test]
fn after_a_line_that_is_too_long() {
    let server = start(config().framing(Framing::Line).max_line(1000));
    let line = [vec![b'x'; 999], b"\n".to_vec()].concat();
    let first = [line.repeat(MESSAGE / 1000), vec![b'y'; 2000]].concat();
    let farewell = "error: a line may have 1000 bytes\r\n";
    assert_nothing_is_lost(&server, &first, SHORT, CloseReason::LineTooLong, farewell, || ());
}

/// Answers with much, and then does what its function says.
#[derive(Clone, Copy)]
struct Much(fn() -> io::Result<Next>);

impl Handler for Much {
    fn message(&mut self, _: &[u8], reply: &mut dyn Write) -> io::Result<Next> {
        reply.write_all(&[b'x'; MESSAGE])?;
        (self.0)()
    }
}

#[test]
fn when_the_handler_closes_fails_or_panics() {
    let cases = [
        (Much(|| Ok(Next::Close)), CloseReason::ServiceClosed),
        (Much(|| Err(io::Error::other("enough"))), CloseReason::ServiceFailed(io::ErrorKind::Other)),
        (Much(|| panic!("enough")), CloseReason::Panicked),
    ];
    for (handler, reason) in cases {
        let server = Server::bind(config(), move |_session| handler).expect("it binds").start().expect("it starts");
        assert_nothing_is_lost(&server, b"go\n", SHORT, reason, "xxxx", || ());
    }
}

/// Starts a server that answers nothing. It sends the handles of its clients.
fn start_pushing(config: ServerConfig) -> (RunningServer, mpsc::Receiver<ClientHandle>) {
    struct Silent;
    impl Handler for Silent {
        fn message(&mut self, _: &[u8], _: &mut dyn Write) -> io::Result<Next> {
            Ok(Next::Continue)
        }
    }
    let (sender, handles) = mpsc::channel();
    let factory = move |session: &hebra::Session| {
        sender.send(session.handle()).expect("the test waits");
        Silent
    };
    (Server::bind(config, factory).expect("it binds").start().expect("it starts"), handles)
}

#[test]
fn when_the_operator_disconnects_it_while_pushes_wait() {
    let (server, handles) = start_pushing(config().max_outgoing(2 * MESSAGE));
    let mut client = connect_narrow(address(&server));
    let handle = handles.recv().expect("a client comes");
    handle.push(&[b'x'; MESSAGE]).expect("there is room");
    assert!(client.peek(&mut [0]).is_ok_and(|count| count > 0), "the first push is on its way");
    handle.push(&[b'x'; MESSAGE]).expect("there is room");
    assert!(server.disconnect(1));
    while handle.push(b"").is_ok() {
        thread::yield_now();
    }
    // The farewell line is queued. Only now does the client read.
    let output = read_slowly(&mut client);
    assert_eq!(output.len(), 2 * MESSAGE + b"error: disconnected by the operator\r\n".len());
}

#[test]
fn when_a_handle_closes_it_after_a_push() {
    let (server, handles) = start_pushing(config().max_outgoing(2 * MESSAGE));
    let push = || {
        let handle = handles.recv().expect("a client comes");
        handle.push(&[vec![b'x'; MESSAGE], b"over".to_vec()].concat()).expect("there is room");
        handle.close();
    };
    assert_nothing_is_lost(&server, b"hello\n", SHORT, CloseReason::ServiceClosed, "over", push);
}

#[test]
fn at_a_stop_and_the_stop_waits_for_it() {
    let server = start(config());
    let mut events = server.subscribe();
    let client = slow_talker(address(&server), &random_bytes(MESSAGE), SHORT);
    while server.stats().messages == 0 {
        thread::yield_now();
    }
    let report = server.shutdown(FUSE);
    let (reason, sent) = ended(&mut events);
    assert_eq!((reason, report.cut_off), (CloseReason::Shutdown, 0));
    assert_eq!(client.join().expect("it reads to the end").len() as u64, sent);
}

#[test]
fn a_stop_whose_deadline_comes_before_everything_has_arrived_says_so() {
    let server = start(config());
    let mut stalled = connect_narrow(address(&server));
    stalled.write_all(&[b'x'; MESSAGE]).expect("it is sent");
    while server.stats().bytes_out < MESSAGE as u64 {
        thread::yield_now();
    }
    let report = server.shutdown(Duration::from_millis(200));
    assert_eq!((report.cut_off, report.abandoned), (1, 0));
}

#[test]
fn half_a_line_is_answered_at_a_stop() {
    for framing in [Framing::Line, Framing::PlainLine] {
        let server = start(config().framing(framing));
        let mut idle = connect(address(&server));
        idle.write_all(b"one\nhalf").expect("it is sent");
        idle.read_exact(&mut [0; 4]).expect("the first line is answered");
        assert_eq!(server.shutdown(FUSE).cut_off, 0);
        assert_eq!(read_to_end(&mut idle), b"half");
    }
}

#[test]
fn clients_linger_at_the_same_time() {
    const CLIENTS: usize = 50;
    let server = start(config().workers(CLIENTS));
    let mut clients: Vec<TcpStream> = (0..CLIENTS).map(|_| connect_served(address(&server))).collect();
    for client in &mut clients {
        client.write_all(b"bye").expect("it is sent");
        assert_eq!(read_to_end(client), b"");
    }
    // None of them closes, and each has half a second: one after the other they would take far longer than the fuse of
    // a stop's test.
    let began = std::time::Instant::now();
    assert_eq!(server.shutdown(FUSE).cut_off, 0);
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
}

#[test]
fn more_clients_than_may_linger_leave_the_first_ones_their_replies() {
    let server = start(ServerConfig::default().listen(["127.0.0.1:0"]).workers(2).max_pending(1));
    let _held = connect_served(address(&server));
    let mut events = server.subscribe();
    let message = [vec![b'x'; MESSAGE], b"\nbye\n".to_vec()].concat();
    let client = slow_talker(address(&server), &message, SHORT);
    let (_, sent) = ended(&mut events);
    let _other = connect_served(address(&server));
    // Refused clients that do not close take the places of each other.
    let refused: Vec<TcpStream> = (0..300).map(|_| connect(address(&server))).collect();
    assert_eq!(client.join().expect("it reads to the end").len() as u64, sent);
    drop(refused);
}

#[test]
fn a_client_that_has_closed_its_side_gets_the_whole_farewell() {
    const LENGTH: usize = 10_000_000;
    struct Verbose;
    impl Handler for Verbose {
        fn message(&mut self, _: &[u8], _: &mut dyn Write) -> io::Result<Next> {
            Ok(Next::Continue)
        }
        fn farewell(&mut self, _: CloseReason, _: Option<Cow<'static, str>>) -> Option<Cow<'static, str>> {
            Some("x".repeat(LENGTH).into())
        }
    }
    let config = config().framing(Framing::Line).max_line(10);
    let server = Server::bind(config, |_session| Verbose).expect("it binds").start().expect("it starts");
    let mut events = server.subscribe();
    let mut client = connect_narrow(address(&server));
    client.write_all(b"longer than ten bytes").expect("it is sent");
    client.shutdown(Shutdown::Write).expect("it is connected");
    assert_eq!(ended(&mut events).0, CloseReason::LineTooLong);
    assert_eq!(read_to_end(&mut client).len(), LENGTH + 2);
}

/// Stops a server while each of `clients` clients waits for a reply of `length` bytes, which begins only then. Returns the
/// clients, the events from then on, and the stop.
fn stop_before_replies(
    config: ServerConfig,
    clients: usize,
    length: usize,
) -> (Vec<TcpStream>, Subscription, JoinHandle<ShutdownReport>) {
    struct Gated(Arc<Barrier>, usize);
    impl Handler for Gated {
        fn message(&mut self, _: &[u8], reply: &mut dyn Write) -> io::Result<Next> {
            self.0.wait();
            reply.write_all(&vec![b'x'; self.1]).map(|()| Next::Close)
        }
    }
    let gate = Arc::new(Barrier::new(clients + 1));
    let opened = Arc::clone(&gate);
    let server = Server::bind(config.workers(clients), move |_session| Gated(Arc::clone(&opened), length));
    let server = server.expect("it binds").start().expect("it starts");
    let mut events = server.subscribe();
    let mut clients: Vec<TcpStream> = (0..clients).map(|_| connect_narrow(address(&server))).collect();
    for client in &mut clients {
        client.write_all(b"go").expect("it is sent");
    }
    while server.stats().messages < clients.len() as u64 {
        thread::yield_now();
    }
    let stop = thread::spawn(move || server.shutdown(FUSE));
    events.find(|event| matches!(event, Event::Draining { .. })).expect("it stops");
    gate.wait();
    (clients, events, stop)
}

#[test]
fn at_a_stop_more_clients_linger_than_otherwise_may() {
    const REPLY: usize = 50_000;
    let (clients, mut events, stop) = stop_before_replies(config(), 140, REPLY);
    for _ in &clients {
        assert_eq!(ended(&mut events), (CloseReason::ServiceClosed, REPLY as u64));
    }
    for mut client in clients {
        // It would reset a connection that is closed already.
        client.write_all(b"more").expect("it is sent");
        assert_eq!(read_to_end(&mut client).len(), REPLY);
    }
    assert_eq!(stop.join().expect("it stops").cut_off, 0);
}

#[test]
fn clients_that_keep_their_connections_open_take_no_place_from_one_that_reads() {
    // They say nothing but `bye` in the first round, and are of another address in the second.
    for (message, other) in [(b"bye\n".as_slice(), [127, 0, 0, 1]), (b"hello\nbye\n", [127, 0, 0, 2])] {
        let server = start(config().workers(2));
        let mut events = server.subscribe();
        let first = [vec![b'x'; MESSAGE], b"\nbye\n".to_vec()].concat();
        let client = slow_talker(address(&server), &first, SHORT);
        let (_, sent) = ended(&mut events);
        let held: Vec<TcpStream> = (0..140)
            .map(|_| {
                let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
                socket.bind(&SocketAddr::from((other, 0)).into()).expect("a loopback address");
                socket.connect(&address(&server).into()).expect("it listens");
                let mut stream = TcpStream::from(socket);
                stream.set_read_timeout(Some(FUSE)).expect("a valid timeout");
                stream.write_all(message).expect("it is sent");
                read_to_end(&mut stream);
                stream
            })
            .collect();
        assert_eq!(client.join().expect("it reads to the end").len() as u64, sent);
        drop(held);
    }
}

#[test]
fn a_stop_counts_a_client_that_runs_into_the_write_timeout() {
    let config = config().write_timeout(Duration::from_millis(100));
    let (_clients, mut events, stop) = stop_before_replies(config, 1, 32 << 20);
    assert_eq!(ended(&mut events).0, CloseReason::WriteTimeout);
    assert_eq!(stop.join().expect("it stops").cut_off, 1);
}

#[test]
fn a_stop_waits_for_what_a_client_that_has_closed_its_side_does_not_read() {
    if !cfg!(target_os = "linux") {
        return;
    }
    for cut_off in [0, 1] {
        let server = start(config());
        let mut events = server.subscribe();
        let mut client = connect_narrow(address(&server));
        let length = 200_000;
        client.write_all(&vec![b'x'; length]).expect("it is sent");
        while server.stats().bytes_out < length as u64 {
            thread::yield_now();
        }
        let grace = if cut_off > 0 { Duration::from_secs(1) } else { FUSE };
        let stop = thread::spawn(move || server.shutdown(grace));
        events.find(|event| matches!(event, Event::Draining { .. })).expect("it stops");
        client.shutdown(Shutdown::Write).expect("it is connected");
        ended(&mut events);
        if cut_off == 0 {
            assert!(!stop.is_finished());
            assert_eq!(read_to_end(&mut client).len(), length);
        }
        assert_eq!(stop.join().expect("it stops").cut_off, cut_off);
    }
}
