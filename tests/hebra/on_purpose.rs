//! Faults on purpose: what clients see of them, that they repeat, and that a waiting answer holds up nothing.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use hebra::testing::Script;
use hebra::{
    ClientHandle, CloseReason, Echo, Event, Faults, Framing, Handler, Next, RunningServer, Server, ServerConfig,
    Session,
};
use nix::sys::signal::Signal;
use socket2::SockRef;

use super::admin;
use crate::support::{
    Answer, FUSE, Program, address, assert_same, config, connect, exchange, next_reason, random_bytes, read_to_end,
    send_and_finish,
};

const LONG: Duration = Duration::from_secs(60 * 60);
const SHORT: Duration = Duration::from_millis(50);

/// Starts an echo with faults in this process.
fn start(config: ServerConfig, faults: Faults) -> RunningServer {
    Server::bind(config, move |session| faults.wrap(session, Echo)).expect("it binds").start().expect("it starts")
}

fn delay(time: Duration) -> Faults {
    Faults::default().delay(time..=time)
}

/// Returns a number of faults by its kind.
fn count(server: &RunningServer, kind: &str) -> u64 {
    server.stats().faults_by_kind().find(|(label, _)| *label == kind).expect("there is such a kind").1
}

/// Sends a message whose answer is delayed, and returns when it waits.
fn send_and_wait(server: &RunningServer, message: &[u8]) -> TcpStream {
    let mut client = connect(address(server));
    client.write_all(message).expect("it is sent");
    while count(server, "delayed") == 0 {
        thread::yield_now();
    }
    client
}

#[test]
fn the_answers_to_lines_of_one_read_are_delayed_one_by_one() {
    const DELAY: Duration = Duration::from_millis(300);
    let server = start(config().framing(Framing::Line), delay(DELAY));
    let mut client = connect(address(&server));
    let sent = Instant::now();
    // All of them take longer than the fuse of a read.
    client.write_all(&b"x\n".repeat(250)).expect("it is sent");
    for number in 1..=3 {
        client.read_exact(&mut [0; 2]).expect("it is answered");
        assert!(sent.elapsed() >= number * DELAY, "{number}: {:?}", sent.elapsed());
    }
}

#[test]
fn a_delay_is_neither_silence_of_the_client_nor_its_time_for_the_answer() {
    let limits = config().idle_timeout(SHORT).write_timeout(SHORT).yield_after(SHORT);
    let server = start(limits.clone(), delay(4 * SHORT));
    assert_eq!(exchange(&mut connect(address(&server)), b"hello"), b"hello");
    // Writes that are short, after the write timeout.
    let faults = delay(2 * SHORT);
    let script = Script::reads(["hello"]).accept(1).accept(1).accept(1);
    let outcome = script.run(&limits, |session| faults.wrap(session, Echo));
    assert_eq!((outcome.written.as_slice(), outcome.reason), (b"hello".as_slice(), CloseReason::EndOfStream));
}

#[test]
fn a_waiting_answer_is_cut_off_at_the_drain_deadline() {
    const GRACE: Duration = Duration::from_millis(300);
    // In the last case the line ends with the stop.
    for (framing, message) in
        [(Framing::Message, &b"hello"[..]), (Framing::Line, b"hello\n"), (Framing::Line, b"hello")]
    {
        let server = start(config().framing(framing), delay(LONG));
        let events = server.subscribe();
        let mut client = match message.ends_with(b"\n") || framing == Framing::Message {
            true => send_and_wait(&server, message),
            false => {
                let mut client = connect(address(&server));
                client.write_all(message).expect("it is sent");
                while server.stats().bytes_in == 0 {
                    thread::yield_now();
                }
                client
            }
        };
        let begun = Instant::now();
        let report = server.shutdown(GRACE);
        assert!((GRACE..FUSE / 2).contains(&begun.elapsed()), "{:?}", begun.elapsed());
        assert_eq!((report.cut_off, report.abandoned), (1, 0), "{framing:?} {message:?}");
        assert_eq!(next_reason(&events), CloseReason::CutOff);
        assert!(matches!(client.read(&mut [0; 8]), Ok(0) | Err(_)));
    }
}

#[test]
fn an_answer_that_is_due_before_the_deadline_is_given() {
    let server = start(config(), delay(4 * SHORT));
    let mut client = send_and_wait(&server, b"hello");
    let report = server.shutdown(FUSE);
    assert_eq!((report.cut_off, report.stats.finished), (0, 1));
    assert_eq!(read_to_end(&mut client), b"hello");
}

#[test]
fn a_session_that_waits_can_be_disconnected_and_expires() {
    let server = start(config(), delay(LONG));
    let events = server.subscribe();
    let mut client = send_and_wait(&server, b"hello");
    assert!(server.disconnect(1));
    assert_eq!(read_to_end(&mut client), b"error: disconnected by the operator\r\n");
    assert_eq!(next_reason(&events), CloseReason::Disconnected);

    let server = start(config().max_lifetime(4 * SHORT), Faults::default().rate(1));
    let events = server.subscribe();
    let mut client = connect(address(&server));
    client.write_all(&[b'x'; 1000]).expect("it is sent");
    assert!(read_to_end(&mut client).ends_with(b"error: the session has lasted too long\r\n"));
    assert_eq!(next_reason(&events), CloseReason::Expired);
}

#[test]
fn a_client_that_resets_its_connection_ends_the_wait() {
    let server = start(config().framing(Framing::Line), delay(LONG));
    let events = server.subscribe();
    let client = send_and_wait(&server, b"one\ntwo\n");
    SockRef::from(&client).set_linger(Some(Duration::ZERO)).expect("a socket");
    drop(client);
    assert_eq!(next_reason(&events), CloseReason::Failed(ErrorKind::ConnectionReset));
    assert_eq!(count(&server, "delayed"), 1, "the second line is not begun");
}

#[test]
fn a_session_is_closed_after_its_messages_or_before_the_first() {
    for framing in [Framing::Message, Framing::Line, Framing::Raw] {
        let server = start(config().framing(framing), Faults::default().close_after(2));
        let events = server.subscribe();
        let mut client = connect(address(&server));
        assert_eq!(exchange(&mut client, b"one\n"), b"one\n");
        client.write_all(b"two\n").expect("it is sent");
        assert_eq!(read_to_end(&mut client), b"two\n");
        assert_eq!(next_reason(&events), CloseReason::FaultClose);
        // Or the stop gives it time to close.
        drop(client);
        assert_eq!((count(&server, "closed"), server.shutdown(FUSE).cut_off), (1, 0));
    }
    let program = Program::serve(&["--fault-close-after", "0"]);
    assert_eq!(read_to_end(&mut connect(program.address())), b"");
    // It looks like a health probe, and is none.
    assert!(program.wait_for("disconnected: closed on purpose").contains("INFO"));
}

#[test]
fn a_connection_is_reset_after_its_answers() {
    for framing in [Framing::Message, Framing::Line] {
        let server = start(config().framing(framing), Faults::default().reset_after(2));
        let events = server.subscribe();
        let mut client = connect(address(&server));
        assert_eq!(exchange(&mut client, b"one\n"), b"one\n");
        assert_eq!(exchange(&mut client, b"two\n"), b"two\n");
        let error = client.read(&mut [0; 8]).expect_err("it is reset");
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
        assert_eq!(next_reason(&events), CloseReason::FaultReset);
        assert_eq!((count(&server, "reset"), server.shutdown(FUSE).cut_off), (1, 0));
    }
}

#[test]
fn a_reset_on_purpose_during_a_stop_is_no_session_that_was_cut_off() {
    let server = start(config(), delay(4 * SHORT).reset_after(1));
    let _client = send_and_wait(&server, b"hello");
    let report = server.shutdown(FUSE);
    assert_eq!((report.cut_off, report.stats.finished), (0, 1));
}

#[test]
fn a_unix_socket_has_the_same_faults_and_is_reset_only_if_input_is_unread() {
    let name = format!("hebra-on-purpose-{}", std::process::id());
    let faults = delay(SHORT).reset_after(1).corrupt(1.0);
    let server = start(config().listen([format!("unix:@{name}")]).framing(Framing::PlainLine), faults);
    let ask = |unread: usize| {
        let socket = socket2::Socket::new(socket2::Domain::UNIX, socket2::Type::STREAM, None).expect("a socket");
        socket.connect(&socket2::SockAddr::unix(format!("\0{name}")).expect("an address")).expect("it listens");
        let mut client = UnixStream::from(std::os::fd::OwnedFd::from(socket));
        client.set_read_timeout(Some(FUSE)).expect("a valid timeout");
        client.write_all(&[b"hello\n", &vec![b'x'; unread][..]].concat()).expect("it is sent");
        let mut answer = Vec::new();
        let end = client.read_to_end(&mut answer).map_err(|error| error.kind());
        assert!(answer.len() == 6 && answer.iter().zip(b"hello\n").all(|(got, sent)| got != sent), "{answer:?}");
        end.err()
    };
    assert_eq!(ask(0), None);
    assert_eq!((count(&server, "delayed"), count(&server, "corrupted")), (1, 6));
    // More than one read returns.
    let reset = cfg!(target_os = "linux").then_some(ErrorKind::ConnectionReset);
    assert_eq!(ask(64 * 1024), reset);
}

/// Returns what each of two clients of a new server gets back.
fn received(config: ServerConfig, faults: &Faults, input: &[u8]) -> [Vec<u8>; 2] {
    let server = start(config, faults.clone());
    [(); 2].map(|()| send_and_finish(&connect(address(&server)), input))
}

#[test]
fn a_seed_gives_the_same_faults_to_the_same_client_however_the_stream_is_cut() {
    let input = random_bytes(1 << 18);
    let faults = Faults::default().corrupt(0.001).drop(0.001).seed(7);
    let [first, second] = received(config(), &faults, &input);
    assert!(first.len() < input.len() && first != second);
    assert!([first.clone(), second] == received(config(), &faults, &input));
    assert!(first != received(config(), &faults.clone().seed(8), &input)[0]);
    // Other reads, other writes: the rate cuts the answers into pieces of 2 KiB and less.
    let paced = faults.rate(4_000_000);
    let script =
        Script::reads(input.chunks(1)).run(&config(), |session| paced.clone().rate(None).wrap(session, Echo));
    assert!(first == received(config(), &paced, &input)[0] && first == script.written);
}

#[test]
fn the_counts_are_those_of_the_bytes() {
    let input = random_bytes(1 << 20);
    let server = start(config(), Faults::default().drop(0.01));
    let output = send_and_finish(&connect(address(&server)), &input);
    let stats = server.shutdown(FUSE).stats;
    let dropped = stats.faults_by_kind().find(|(kind, _)| *kind == "dropped").expect("a kind").1;
    assert_eq!((output.len() as u64 + dropped, stats.bytes_out), (input.len() as u64, output.len() as u64));
    let server = start(config(), Faults::default().corrupt(0.01));
    let output = send_and_finish(&connect(address(&server)), &input);
    let differ = output.iter().zip(&input).filter(|(got, sent)| got != sent).count() as u64;
    assert_eq!((output.len(), differ), (input.len(), count(&server, "corrupted")));
}

#[test]
fn a_byte_rate_is_kept_and_changes_no_byte() {
    const RATE: u64 = 2 << 20;
    for framing in [Framing::Message, Framing::Line] {
        let server = start(config().framing(framing).max_line(2 << 20), Faults::default().rate(RATE));
        let mut input = random_bytes(1 << 20).iter().map(|byte| byte & 0x3f | 0x40).collect::<Vec<u8>>();
        *input.last_mut().expect("it is long") = b'\n';
        let begun = Instant::now();
        assert_same(&send_and_finish(&connect(address(&server)), &input), &input);
        assert!(begun.elapsed().as_secs_f64() > 0.95 * input.len() as f64 / RATE as f64, "{:?}", begun.elapsed());
        assert!(count(&server, "paced") > 0);
    }
}

#[test]
fn a_slow_answer_arrives_piece_by_piece() {
    for framing in [Framing::Message, Framing::Line] {
        let server = start(config().framing(framing), Faults::default().rate(10));
        let mut client = connect(address(&server));
        // All of it takes longer than the fuse of a read.
        client.write_all(&[&[b'x'; 999][..], b"\n"].concat()).expect("it is sent");
        client.read_exact(&mut [0; 3]).expect("it is answered");
    }
}

#[test]
fn a_panic_of_the_wrapped_handler_costs_its_session_and_no_earlier_answer() {
    let handler = |line: &[u8], reply: &mut dyn Write| {
        assert_ne!(line, b"panic\n", "on purpose");
        reply.write_all(line)?;
        Ok(Next::Continue)
    };
    let faults = delay(Duration::from_millis(1)).corrupt(1.0);
    let config = config().framing(Framing::PlainLine);
    let server = Server::bind(config, move |session| faults.wrap(session, Answer(handler))).expect("it binds");
    let server = server.start().expect("it starts");
    let events = server.subscribe();
    let mut client = connect(address(&server));
    client.write_all(b"hello\npanic\n").expect("it is sent");
    assert_eq!(read_to_end(&mut client).len(), 6);
    assert_eq!(next_reason(&events), CloseReason::Panicked);
    assert_eq!(send_and_finish(&connect(address(&server)), b"hello\n").len(), 6);
}

/// A service that pushes, and does not care whether its answers are taken.
struct Careless(ClientHandle);

impl Handler for Careless {
    fn message(&mut self, message: &[u8], reply: &mut dyn Write) -> io::Result<Next> {
        let _ = self.0.push(b"pushed ");
        let _ = reply.write_all(message);
        Ok(Next::Continue)
    }
}

fn start_careless(faults: Faults) -> RunningServer {
    let careless = move |session: &_| faults.wrap(session, Careless(Session::handle(session)));
    Server::bind(config(), careless).expect("it binds").start().expect("it starts")
}

#[test]
fn a_session_that_is_pushed_to_has_the_same_faults_and_pushes_are_untouched() {
    let server = start_careless(delay(SHORT).corrupt(1.0).reset_after(1));
    let events = server.subscribe();
    let mut client = connect(address(&server));
    let answer = exchange(&mut client, b"hello, you!!");
    assert!(answer.starts_with(b"pushed ") && !answer.ends_with(b"hello"), "{answer:?}");
    assert_eq!(next_reason(&events), CloseReason::FaultReset);

    let server = start_careless(delay(LONG));
    let events = server.subscribe();
    let client = send_and_wait(&server, b"hello");
    assert!(server.disconnect(1));
    assert_eq!(next_reason(&events), CloseReason::Disconnected);
    drop(client);
    let _client = send_and_wait(&server, b"hello");
    assert_eq!(server.shutdown(SHORT).abandoned, 0);
}

#[test]
fn a_handle_that_closes_its_session_ends_the_wait() {
    let (sender, handles) = mpsc::channel();
    let faults = delay(LONG);
    let factory = move |session: &Session| {
        sender.send(session.handle()).expect("the test waits");
        faults.wrap(session, Echo)
    };
    let server = Server::bind(config(), factory).expect("it binds").start().expect("it starts");
    let events = server.subscribe();
    let mut client = send_and_wait(&server, b"hello");
    handles.recv_timeout(FUSE).expect("a session began").close();
    assert_eq!(read_to_end(&mut client), b"");
    assert_eq!(next_reason(&events), CloseReason::ServiceClosed);
}

#[test]
fn the_end_of_a_session_reports_its_faults() {
    let server = start(config(), Faults::default().corrupt(1.0).close_after(1));
    let events = server.subscribe();
    let mut client = connect(address(&server));
    client.write_all(b"hello").expect("it is sent");
    client.shutdown(Shutdown::Write).expect("it is open");
    assert_eq!(read_to_end(&mut client).len(), 5);
    let end = events.into_iter().find(|event| matches!(event, Event::Disconnected { .. })).expect("a session ends");
    assert!(matches!(end, Event::Disconnected { faults: 6, .. }), "{end}");
    assert!(end.to_string().contains("disconnected: closed on purpose; messages=1 "), "{end}");
    assert!(end.to_string().ends_with(" faults=6"), "{end}");
}

#[test]
fn a_handler_of_ones_own_can_wait_and_need_not_know_why_it_ends() {
    struct Slow(hebra::Waiter);
    impl Handler for Slow {
        fn message(&mut self, message: &[u8], reply: &mut dyn Write) -> io::Result<Next> {
            self.0.wait(Duration::ZERO)?;
            reply.write_all(message)?;
            self.0.wait_until(Instant::now() + LONG)?;
            Ok(Next::Close)
        }
    }
    let server = Server::bind(config(), |session| Slow(session.waiter())).expect("it binds");
    let server = server.start().expect("it starts");
    let events = server.subscribe();
    let mut client = connect(address(&server));
    assert_eq!(exchange(&mut client, b"hello"), b"hello");
    assert!(server.disconnect(1));
    assert_eq!(next_reason(&events), CloseReason::Disconnected);
    let session = Arc::clone(&hebra::testing::session(1));
    let waiter = session.waiter();
    assert_eq!(waiter.wait(Duration::from_millis(1)), Ok(()));
    drop(session);
    assert!(waiter.wait(LONG).is_err(), "the session is gone");
}

/// A service that may keep something, such as a waiter.
struct Answering<F>(F);

impl<F: FnMut(&[u8], &mut dyn Write) -> io::Result<Next> + Send> Handler for Answering<F> {
    fn message(&mut self, message: &[u8], reply: &mut dyn Write) -> io::Result<Next> {
        self.0(message, reply)
    }
}

#[test]
fn a_wait_on_another_thread_ends_with_its_session_and_keeps_no_connection_open() {
    for (message, reason) in [
        ("hello", CloseReason::EndOfStream),
        ("bye", CloseReason::Bye),
        ("reset", CloseReason::FaultReset),
        ("panic", CloseReason::Panicked),
    ] {
        let (sender, outcomes) = mpsc::channel();
        let factory = move |session: &Session| {
            let (waiter, sender) = (session.waiter(), sender.clone());
            // Before the session can end, and after its end if the thread is slow.
            thread::spawn(move || sender.send(waiter.wait(LONG)));
            Answering(|message: &[u8], reply: &mut dyn Write| {
                assert_ne!(message, b"panic", "on purpose");
                reply.write_all(message)?;
                Ok(if message == b"reset" { Next::FaultReset } else { Next::Continue })
            })
        };
        let server = Server::bind(config(), factory).expect("it binds").start().expect("it starts");
        let events = server.subscribe();
        let mut client = connect(address(&server));
        client.write_all(message.as_bytes()).expect("it is sent");
        if reason == CloseReason::EndOfStream {
            client.read_exact(&mut [0; 5]).expect("it is answered");
            client.shutdown(Shutdown::Write).expect("it is open");
        }
        assert_eq!(next_reason(&events), reason);
        let end = client.read_to_end(&mut Vec::new()).map_err(|error| error.kind());
        let is_reset = reason == CloseReason::FaultReset;
        assert_eq!(end.err(), is_reset.then_some(ErrorKind::ConnectionReset), "{message}");
        assert!(outcomes.recv_timeout(FUSE).expect("the wait ends").is_err(), "{message}");
    }
}

#[test]
fn all_waits_of_a_session_end_when_its_client_resets_the_connection_and_the_reason_is_the_reset() {
    for is_mapped in [true, false] {
        let (sender, outcomes) = mpsc::channel();
        let factory = move |session: &Session| {
            let (waiter, sender) = (session.waiter(), sender.clone());
            Answering(move |_: &[u8], _: &mut dyn Write| {
                let (other, sender) = (waiter.clone(), sender.clone());
                thread::spawn(move || sender.send(other.wait(LONG)));
                match waiter.wait(LONG) {
                    Err(ended) if is_mapped => Err(io::Error::other(format!("lookup: {ended}"))),
                    // It takes no notice.
                    _ => Ok(Next::Continue),
                }
            })
        };
        let server = Server::bind(config(), factory).expect("it binds").start().expect("it starts");
        let events = server.subscribe();
        let mut client = connect(address(&server));
        client.write_all(b"hello").expect("it is sent");
        while server.stats().messages == 0 {
            thread::yield_now();
        }
        SockRef::from(&client).set_linger(Some(Duration::ZERO)).expect("a socket");
        drop(client);
        assert!(outcomes.recv_timeout(FUSE).expect("the wait ends").is_err());
        assert_eq!(next_reason(&events), CloseReason::Failed(ErrorKind::ConnectionReset), "{is_mapped}");
    }
}

#[test]
fn an_error_with_words_of_its_own_after_a_wait_that_was_broken_off_is_no_failure_of_the_service() {
    let start = || {
        let factory = |session: &Session| {
            let waiter = session.waiter();
            Answering(move |_: &[u8], reply: &mut dyn Write| {
                reply.write_all(b"wait\n")?;
                waiter.wait(LONG).map_err(|error| io::Error::other(format!("lookup: {error}")))?;
                Ok(Next::Continue)
            })
        };
        let server = Server::bind(config(), factory).expect("it binds").start().expect("it starts");
        let events = server.subscribe();
        let mut client = connect(address(&server));
        assert_eq!(exchange(&mut client, b"hello"), b"wait\n");
        (server, events, client)
    };
    let (server, events, _client) = start();
    assert!(server.disconnect(1));
    assert_eq!(next_reason(&events), CloseReason::Disconnected);
    let (server, events, _client) = start();
    assert_eq!(server.shutdown(SHORT).cut_off, 1);
    assert_eq!(next_reason(&events), CloseReason::CutOff);
}

#[test]
fn an_end_on_purpose_is_counted_once_also_if_another_handler_asks_for_it() {
    let answer = |next| Answering(move |_: &[u8], _: &mut dyn Write| Ok(next));
    let close = move |_: &Session| answer(Next::FaultClose);
    let reset = move |_: &Session| answer(Next::FaultReset);
    let nested = |session: &Session| {
        let faults = Faults::default().close_after(1);
        faults.wrap(session, faults.wrap(session, Echo))
    };
    let check = |server: Server, kind: &str| {
        let server = server.start().expect("it starts");
        let events = server.subscribe();
        connect(address(&server)).write_all(b"hello").expect("it is sent");
        let end = events.into_iter().find(|event| matches!(event, Event::Disconnected { .. }));
        assert!(matches!(end, Some(Event::Disconnected { faults: 1, .. })), "{end:?}");
        assert_eq!(count(&server, kind), 1, "{kind}");
        let stats = server.shutdown(FUSE).stats;
        let finished = stats.finished_by_reason().find(|(label, _)| *label == format!("fault_{}", &kind[..5]));
        assert_eq!(finished.map(|(_, count)| count), Some(1), "{kind}");
    };
    check(Server::bind(config(), close).expect("it binds"), "closed");
    check(Server::bind(config(), reset).expect("it binds"), "reset");
    check(Server::bind(config(), nested).expect("it binds"), "closed");
}

#[test]
fn the_program_says_that_its_faults_are_on_purpose_and_counts_them_everywhere() {
    let (program, admin) =
        admin::serve(&["--fault-delay", "1ms..2ms", "--fault-corrupt", "1", "--fault-seed", "7"]);
    program.wait_for("WARN  hebra] faults on purpose: delay=1ms..2ms corrupt=1 seed=7");
    let mut client = connect(program.address());
    let answer = exchange(&mut client, b"hello");
    assert!(answer.iter().zip(b"hello").all(|(got, sent)| got != sent));
    assert_eq!(admin::sessions(admin)[0]["faults"], 6);
    let (_, metrics) = admin::get(admin, "/metrics");
    for (kind, count) in
        [("delayed", 1), ("corrupted", 5), ("dropped", 0), ("paced", 0), ("closed", 0), ("reset", 0)]
    {
        let series = format!("hebra_faults_total{{kind=\"{kind}\"}}");
        assert_eq!(admin::metric(&metrics, &series), count);
    }
    program.signal(Signal::SIGUSR1);
    assert!(program.wait_for("is connected").ends_with(" faults=6"));
    drop(client);
    assert!(program.wait_for("disconnected: end of stream").ends_with(" faults=6"));
    program.signal(Signal::SIGTERM);
    let (code, lines) = program.finish();
    assert_eq!(code, Some(0));
    let totals = lines.iter().find(|line| line.contains("totals: ")).expect("there are totals");
    assert!(totals.ends_with(" finished_end_of_stream=1 faults_delayed=1 faults_corrupted=5"), "{totals}");
}

#[test]
fn every_service_of_the_program_has_faults_and_a_variable_sets_them() {
    let mut command = Program::command();
    command.args(["--listen", "127.0.0.1:0", "--service", "greet"]).env("HEBRA_FAULT_RESET_AFTER", "1");
    let program = Program::spawn(&mut command, 1);
    let mut client = connect(program.address());
    client.write_all(b"hello").expect("it is sent");
    let mut answer = Vec::new();
    let error = client.read_to_end(&mut answer).expect_err("it is reset");
    assert_eq!((error.kind(), answer.as_slice()), (ErrorKind::ConnectionReset, b"Un saludo crack!\n".as_slice()));
    program.wait_for("disconnected: reset on purpose");
}

#[test]
fn a_program_whose_answer_waits_stops_at_its_drain_deadline_with_code_3() {
    let program = Program::serve(&["--fault-delay", "1h", "--drain-timeout", "300ms"]);
    let mut client = connect(program.address());
    client.write_all(b"hello").expect("it is sent");
    program.wait_for(" says ");
    let begun = Instant::now();
    program.signal(Signal::SIGTERM);
    assert_eq!(program.finish().0, Some(3));
    assert!(begun.elapsed() < FUSE / 2);
}
