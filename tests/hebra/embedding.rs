//! What an embedder relies on: listeners of its own, control of a running server, and what becomes of its handlers.

use std::borrow::Cow;
use std::io::{self, Write};
use std::net::TcpListener;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use hebra::testing::Script;
use hebra::{
    ClientThread, CloseReason, Echo, Error, Event, Framing, Handler, Next, RunningServer, Server, ServerConfig,
};

use crate::support::{
    FUSE, address, config, connect, connect_served, exchange, read_to_end, send_and_finish, start,
};

/// A handler that is a function of each message.
struct Answer(fn(&[u8], &mut dyn Write) -> io::Result<Next>);

impl Handler for Answer {
    fn message(&mut self, message: &[u8], reply: &mut dyn Write) -> io::Result<Next> {
        self.0(message, reply)
    }
}

fn serve(config: ServerConfig, answer: fn(&[u8], &mut dyn Write) -> io::Result<Next>) -> RunningServer {
    Server::bind(config, move |_session| Answer(answer)).expect("it binds").start().expect("it starts")
}

#[test]
fn listeners_that_the_caller_has_bound_are_served() {
    let listeners =
        ["127.0.0.1:0", "127.0.0.2:0"].map(|address| TcpListener::bind(address).expect("loopback exists"));
    // As a service manager may pass them on.
    listeners[0].set_nonblocking(true).expect("a socket");
    let addresses = listeners.each_ref().map(|listener| listener.local_addr().expect("it is bound"));
    let server = Server::from_listeners(config().listen([""; 0]), listeners.into(), |_session| Echo);
    let server = server.expect("they listen").start().expect("it starts");
    assert_eq!(server.local_addrs(), addresses);
    for address in addresses {
        connect_served(address);
    }
    assert_eq!(server.shutdown(FUSE).stats.accepted, 2);
}

#[test]
fn a_field_that_cannot_work_is_named() {
    let error =
        Server::from_listeners(config().max_line(0), Vec::new(), |_session| Echo).expect_err("no line fits");
    assert!(matches!(error, Error::Config { field: "max_line", .. }), "{error}");
}

#[test]
fn one_client_can_be_disconnected_and_the_others_stay() {
    let server = start(config());
    let mut events = server.subscribe();
    let (mut first, mut second) = (connect_served(address(&server)), connect_served(address(&server)));
    let clients = server.clients();
    assert_eq!(
        clients.iter().map(|client| client.peer).collect::<Vec<_>>(),
        [&first, &second].map(|client| { client.local_addr().expect("a socket") })
    );
    assert!(server.disconnect(clients[0].id));
    assert_eq!(read_to_end(&mut first), b"error: disconnected by the operator\r\n");
    let reason = events.find_map(|event| match event {
        Event::Disconnected { reason, .. } => Some(reason),
        _ => None,
    });
    assert_eq!(reason, Some(CloseReason::Disconnected));
    assert_eq!(exchange(&mut second, b"still here"), b"still here");
    assert_eq!(server.clients(), clients[1..]);
    assert!(!server.disconnect(clients[0].id));
}

#[test]
fn a_stop_can_be_asked_for_from_any_thread() {
    let server = start(config());
    let handle = server.stop_handle();
    thread::scope(|scope| {
        let waiting = scope.spawn(|| server.wait());
        handle.stop();
        assert!(waiting.join().is_ok());
    });
    // From now on, and the server still runs.
    server.wait();
    connect_served(address(&server));
    assert_eq!(server.shutdown(FUSE).cut_off, 0);
}

#[test]
fn the_text_of_a_handlers_error_is_reported() {
    let server = serve(config(), |_, _| Err(io::Error::other("the database is\ndown")));
    let mut events = server.subscribe();
    assert_eq!(send_and_finish(&connect(address(&server)), b"hello"), b"");
    let event = events.find(|event| matches!(event, Event::HandlerFailed { .. })).expect("it is reported");
    assert!(event.to_string().ends_with(r": the service failed: the database is\ndown"), "{event}");
    let reason = events.find_map(|event| match event {
        Event::Disconnected { reason, .. } => Some(reason),
        _ => None,
    });
    assert_eq!(reason, Some(CloseReason::ServiceFailed(io::ErrorKind::Other)));
}

/// Echoes lines, and panics at one that is `bad`, after it has begun to answer.
fn picky(line: &[u8], reply: &mut dyn Write) -> io::Result<Next> {
    reply.write_all(line)?;
    assert!(!line.starts_with(b"bad"), "a line that it does not like");
    Ok(Next::Continue)
}

#[test]
fn a_panic_leaves_the_answers_to_earlier_lines() {
    for framing in [Framing::Line, Framing::PlainLine] {
        let server = serve(config().framing(framing), picky);
        let output = send_and_finish(&connect(address(&server)), b"one\ntwo\nbad\nthree\n");
        assert_eq!(output, b"one\ntwo\n");
        assert_eq!(server.shutdown(FUSE).stats.panicked, 1);

        let mut script = Script::reads(["one\ntwo\nbad\nthree\n"]);
        let config = config().framing(framing);
        let session = ClientThread::new(&mut script, Answer(picky), &config);
        assert!(catch_unwind(AssertUnwindSafe(|| session.run())).is_err());
        assert_eq!(script.writes(), [b"one\ntwo\n"]);
    }
}

#[test]
fn a_handler_chooses_the_words_of_the_farewell() {
    struct Curt(mpsc::Sender<Option<String>>);
    impl Handler for Curt {
        fn message(&mut self, _: &[u8], _: &mut dyn Write) -> io::Result<Next> {
            Ok(Next::Continue)
        }
        fn farewell(&mut self, reason: CloseReason, usual: Option<Cow<'static, str>>) -> Option<Cow<'static, str>> {
            self.0.send(usual.map(Cow::into_owned)).expect("the test waits");
            match reason {
                CloseReason::Bye => Some("221 bye".into()),
                CloseReason::IdleTimeout => Some("421 idle".into()),
                _ => None,
            }
        }
    }
    let (sender, usual) = mpsc::channel();
    let run = |framing, script: Script| script.run(&config().framing(framing), |_| Curt(sender.clone()));
    assert_eq!(run(Framing::Message, Script::reads(["bye"])).written, b"221 bye\r\n");
    assert_eq!(usual.recv(), Ok(None));
    let idle = || Script::default().fail_read(io::ErrorKind::WouldBlock);
    assert_eq!(run(Framing::Line, idle()).written, b"421 idle\r\n");
    assert_eq!(usual.recv(), Ok(Some("idle: nothing was received for too long".to_owned())));
    assert_eq!(run(Framing::Line, Script::reads([vec![b'x'; 100_000]])).written, b"");
    assert_eq!(usual.recv(), Ok(Some("error: a line may have 65536 bytes".to_owned())));
    // A raw stream carries nothing but replies, and a client that takes none gets no line.
    assert_eq!(run(Framing::Raw, idle()).written, b"");
    assert_eq!(run(Framing::Message, Script::default().fail_read(io::ErrorKind::ConnectionReset)).written, b"");
    assert_eq!(usual.try_recv(), Err(mpsc::TryRecvError::Empty));
}

#[test]
fn an_array_of_60_kilobytes_fits_the_stack_of_a_handler() {
    let server = serve(config(), |message, reply| {
        let mut copy = std::hint::black_box([0_u8; 60 * 1024]);
        copy[..message.len()].copy_from_slice(message);
        reply.write_all(&copy[..message.len()])?;
        Ok(Next::Continue)
    });
    assert_eq!(exchange(&mut connect(address(&server)), b"hello"), b"hello");
}

#[test]
fn nothing_that_clients_send_is_reported_unless_it_was_asked_for() {
    let server = start(ServerConfig::default().listen(["127.0.0.1:0"]).workers(1));
    let events = server.subscribe();
    connect_served(address(&server));
    assert_eq!(server.shutdown(Duration::from_secs(10)).stats.messages, 1);
    assert!(!events.into_iter().any(|event| matches!(event, Event::Message { .. })));
}
