//! The library as an embedder uses it: listeners of its own, control of a running server, and handlers that fail.

use std::borrow::Cow;
use std::io::{self, Write};
use std::net::TcpListener;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use hebra::testing::Script;
use hebra::{ClientThread, CloseReason, Echo, Error, Event, Framing, Handler, Next, Peer, Server, ServerConfig};

use crate::support::{
    Answer, FUSE, address, config, connect, connect_served, exchange, next_reason, read_to_end, send_and_finish,
    serve, start,
};

#[test]
fn listeners_that_the_caller_has_bound_are_served() {
    let listeners =
        ["127.0.0.1:0", "127.0.0.2:0"].map(|address| TcpListener::bind(address).expect("loopback exists"));
    // A service manager may pass on a listener in this state.
    listeners[0].set_nonblocking(true).expect("a socket");
    let addresses = listeners.each_ref().map(|listener| listener.local_addr().expect("it is bound"));
    let server = Server::from_listeners(config().listen([""; 0]), listeners, |_session| Echo);
    let server = server.expect("they listen").start().expect("it starts");
    assert_eq!(server.local_addrs(), addresses);
    for address in addresses {
        connect_served(address);
    }
    assert_eq!(server.shutdown(FUSE).stats.accepted, 2);
}

#[test]
fn an_invalid_field_of_the_configuration_is_named() {
    let error = Server::from_listeners(config().max_line(0), Vec::<TcpListener>::new(), |_session| Echo)
        .expect_err("no line fits");
    assert!(matches!(error, Error::Config { field: "max_line", .. }), "{error}");
}

#[test]
fn one_client_can_be_disconnected_and_the_others_stay() {
    let server = start(config());
    let events = server.subscribe();
    let (mut first, mut second) = (connect_served(address(&server)), connect_served(address(&server)));
    let clients = server.clients();
    assert_eq!(
        clients.iter().map(|client| client.peer).collect::<Vec<_>>(),
        [&first, &second].map(|client| Peer::Ip(client.local_addr().expect("a socket")))
    );
    assert!(server.disconnect(clients[0].id));
    assert_eq!(read_to_end(&mut first), b"error: disconnected by the operator\r\n");
    assert_eq!(next_reason(&events), CloseReason::Disconnected);
    assert_eq!(exchange(&mut second, b"still here"), b"still here");
    assert_eq!(server.clients(), clients[1..]);
    assert!(!server.disconnect(clients[0].id));
}

#[test]
fn a_stop_can_be_requested_from_any_thread() {
    let server = start(config());
    let handle = server.stop_handle();
    thread::scope(|scope| {
        let waiting = scope.spawn(|| server.wait());
        handle.stop();
        assert!(waiting.join().is_ok());
    });
    // The request stays, and the server runs until it is shut down.
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
    assert_eq!(next_reason(&events), CloseReason::ServiceFailed(io::ErrorKind::Other));
}

/// Echoes lines. Panics at a line that begins with `bad`, after it has written the answer.
fn picky(line: &[u8], reply: &mut dyn Write) -> io::Result<Next> {
    reply.write_all(line)?;
    assert!(!line.starts_with(b"bad"), "a bad line");
    Ok(Next::Continue)
}

#[test]
fn a_panic_does_not_discard_the_answers_to_earlier_lines() {
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
    // There is no farewell in a raw stream, nor after a reset.
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
fn messages_are_not_reported_by_default() {
    let server = start(ServerConfig::default().listen(["127.0.0.1:0"]).workers(1));
    let events = server.subscribe();
    connect_served(address(&server));
    assert_eq!(server.shutdown(Duration::from_secs(10)).stats.messages, 1);
    assert!(!events.into_iter().any(|event| matches!(event, Event::Message { .. })));
}
