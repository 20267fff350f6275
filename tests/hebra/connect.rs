//! The interactive client: on a terminal, in a pipe, and with each kind of failure.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::process::{Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use hebra::Framing;
use nix::sys::signal::Signal;
use nix::sys::wait::WaitStatus;
use rexpect::session::PtySession;
use socket2::{Domain, SockRef, Socket, Type};

use crate::support::{
    address, assert_same, config, connect_command, connect_on_terminal, random_bytes, run, start,
};

/// A server that a test plays itself, and where it listens.
fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback exists");
    let address = listener.local_addr().expect("a socket");
    (listener, address)
}

/// Runs the client in a pipe: its exit code, output and standard error.
fn talk(arguments: &[&str], input: &[u8]) -> (Option<i32>, Vec<u8>, String) {
    let Output { status, stdout, stderr } = run(&mut connect_command(arguments), input);
    (status.code(), stdout, String::from_utf8(stderr).expect("text"))
}

/// What the client says when it fails, with its exit code.
fn failure(arguments: &[&str]) -> (Option<i32>, String) {
    let (code, stdout, stderr) = talk(arguments, b"hello\n");
    assert!(stdout.is_empty(), "{}", stdout.escape_ascii());
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    (code, stderr.trim_end().to_owned())
}

#[test]
fn sixteen_mebibytes_pass_through_a_pipe_unchanged() {
    let server = start(config().framing(Framing::Raw));
    let input = random_bytes(16 << 20);
    let (code, output, stderr) = talk(&[&address(&server).to_string()], &input);
    assert_eq!((code, stderr.as_str()), (Some(0), ""));
    assert_same(&output, &input);
}

#[test]
fn a_server_that_has_said_all_and_reads_nothing_ends_the_client() {
    let (listener, address) = listen();
    let server = thread::spawn(move || {
        let (stream, _) = listener.accept().expect("a client comes");
        stream.shutdown(Shutdown::Write).expect("it is connected");
        stream
    });
    // More than the kernels of both sides take.
    let (code, output, _) = talk(&[&address.to_string()], &vec![b'x'; 32 << 20]);
    assert_eq!((code, output), (Some(0), vec![]));
    drop(server.join().expect("it only waits"));
}

#[test]
fn a_server_that_closes_first_ends_the_client_although_its_input_is_open() {
    let server = start(config().workers(1).max_pending(0));
    let mut command = connect_command(&[&address(&server).to_string()]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("it is built");
    let mut stdin = child.stdin.take().expect("piped");
    stdin.write_all(b"hello\n").expect("it runs");
    let mut stdout = BufReader::new(child.stdout.take().expect("piped"));
    let mut line = String::new();
    stdout.read_line(&mut line).expect("an echo");
    assert_eq!(line, "hello\n");
    // Its place is taken, so another is told so and ends.
    let refused =
        command.stdin(Stdio::piped()).spawn().and_then(|child| child.wait_with_output()).expect("it ends");
    assert!(refused.stdout.starts_with(b"busy: "), "{}", refused.stdout.escape_ascii());
    assert_eq!(refused.status.code(), Some(0));
    stdin.write_all(b"bye\n").expect("it runs");
    assert_eq!(child.wait().expect("it ends").code(), Some(0));
    drop(stdin);
}

#[test]
fn what_a_server_sends_by_itself_is_printed_as_it_comes() {
    let (listener, address) = listen();
    let mut command = connect_command(&[&address.to_string()]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it is built");
    let (mut server, _) = listener.accept().expect("it connects");
    let mut stdout = child.stdout.take().expect("piped");
    for sent in [&b"hola"[..], b"\x1b[2J\xff\r\n\0"] {
        server.write_all(sent).expect("it is sent");
        let mut printed = vec![0; sent.len()];
        stdout.read_exact(&mut printed).expect("it is printed");
        assert_eq!(printed, sent);
    }
    drop(server);
    assert_eq!(child.wait().expect("it ends").code(), Some(0));
}

#[test]
fn a_reader_that_has_seen_enough_ends_the_client_quietly() {
    let (listener, address) = listen();
    let mut command = connect_command(&[&address.to_string()]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("it is built");
    let (mut server, _) = listener.accept().expect("it connects");
    drop(child.stdout.take());
    // A child that another test starts at this moment holds the pipe too, until it is the program it is to be.
    while server.write_all(b"hola\n").is_ok() {}
    let stdin = child.stdin.take();
    let output = child.wait_with_output().expect("it ends");
    assert_eq!((output.status.code(), output.stderr), (Some(0), Vec::new()));
    drop(stdin);
}

#[test]
fn a_refused_connection_is_exit_code_5() {
    // An address of which no other test takes a port, so that the one given back stays free.
    let free = TcpListener::bind("127.0.1.11:0").and_then(|listener| listener.local_addr()).expect("a free port");
    let told = format!("hebra: cannot connect to {free}: connection refused");
    assert_eq!(failure(&[&free.to_string()]), (Some(5), told));
}

#[test]
fn a_name_of_nobody_is_exit_code_4_and_an_address_without_a_port_2() {
    let (code, told) = failure(&["nowhere.invalid:1"]);
    assert_eq!(code, Some(4), "{told}");
    assert!(told.starts_with("hebra: cannot resolve \"nowhere.invalid:1\": "), "{told}");
    let told = "hebra: ADDR: \"\\u{1b}[2J\" lacks its port; an address looks like localhost:1234";
    assert_eq!(failure(&["\u{1b}[2J"]), (Some(2), format!("{told} (see hebra connect --help)")));
    for wrong in ["0s", "-1"] {
        let (code, told) = failure(&["--timeout", wrong]);
        assert_eq!(code, Some(2), "{told}");
        assert!(told.contains(&format!("--timeout: \"{wrong}\" is ")), "{told}");
    }
}

#[test]
fn a_server_that_does_not_answer_is_exit_code_6() {
    // A listener that accepts nobody, with a queue that is full: the kernel leaves further clients without an
    // answer.
    let listener = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    listener.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).expect("a free port");
    listener.listen(0).expect("it listens");
    let address = listener.local_addr().ok().and_then(|address| address.as_socket()).expect("an address");
    let mut queued = Vec::new();
    while let Ok(client) = TcpStream::connect_timeout(&address, Duration::from_millis(100)) {
        queued.push(client);
    }
    let told = format!("hebra: cannot connect to {address}: timed out");
    assert_eq!(failure(&["--timeout", "50ms", &address.to_string()]), (Some(6), told));
}

#[test]
fn a_connection_that_is_reset_is_exit_code_7() {
    let (listener, address) = listen();
    let server = thread::spawn(move || {
        let (mut client, _) = listener.accept().expect("it connects");
        client.read_exact(&mut [0; 6]).expect("it sends a line");
        SockRef::from(&client).set_linger(Some(Duration::ZERO)).expect("a socket");
    });
    let told = format!("hebra: connection to {address} broke: connection reset");
    assert_eq!(failure(&[&address.to_string()]), (Some(7), told));
    server.join().expect("it only resets");
}

/// The client at its prompt, and the connection that a test answers itself.
fn terminal_and_server() -> (PtySession, TcpStream) {
    let (listener, address) = listen();
    let terminal = connect_on_terminal(address);
    (terminal, listener.accept().expect("it connects").0)
}

/// Waits for the client's end: its exit code.
fn code(terminal: &PtySession) -> i32 {
    match terminal.process().wait().expect("it ends") {
        WaitStatus::Exited(_, code) => code,
        other => panic!("{other:?}"),
    }
}

/// Waits until the client has ended well: what it showed last.
fn rest(terminal: &mut PtySession) -> String {
    let rest = terminal.exp_eof().expect("it ends");
    assert_eq!(code(terminal), 0);
    rest
}

#[test]
fn lines_typed_on_a_terminal_come_back_and_bye_ends() {
    let server = start(config());
    let mut terminal = connect_on_terminal(address(&server));
    for line in ["hello", "está bien, ¿no?"] {
        terminal.send_line(line).expect("it runs");
        // The terminal's reader takes each byte for a character. What is typed is drawn, then what comes back.
        let shown: String = line.bytes().map(char::from).collect();
        terminal.exp_string(&shown).expect("the line");
        terminal.exp_string(&format!("{shown}\r\n")).expect("its echo");
        terminal.exp_string("> ").expect("a prompt");
    }
    terminal.send_line("bye").expect("it runs");
    rest(&mut terminal);
}

#[test]
fn two_lines_typed_at_once_are_both_sent() {
    let (mut terminal, server) = terminal_and_server();
    terminal.send("one\rtwo\r").expect("it runs");
    terminal.flush().expect("it runs");
    let lines: Vec<String> = BufReader::new(&server).lines().take(2).map_while(Result::ok).collect();
    assert_eq!(lines, ["one", "two"]);
}

#[test]
fn a_byte_that_is_no_text_is_left_out_and_the_line_goes_on() {
    let (mut terminal, server) = terminal_and_server();
    let mut keys = terminal.process().get_file_handle().expect("a terminal");
    // The second is half of a character, which only the key after it tells.
    for typed in [&b"half a l\xff"[..], b"\xc3x"] {
        keys.write_all(typed).expect("it runs");
        terminal
            .exp_string("hebra: left out: a byte that is not UTF-8, and what came with it")
            .expect("it is told");
        terminal.exp_string("> half a l").expect("the line is there");
    }
    terminal.send_line("ine").expect("it runs");
    terminal.send_line("another").expect("it runs");
    // Two to the left, a byte that is no text, and a letter: the cursor is where it was.
    keys.write_all(b"abcd\x1b[D\x1b[D").expect("it runs");
    terminal.exp_string("abcd\u{1b}[D\u{1b}[D").expect("it is typed");
    keys.write_all(b"\xff").expect("it runs");
    terminal.exp_string("and what came with it").expect("it is told");
    terminal.exp_string("> abcd").expect("the line is there");
    terminal.send_line("-").expect("it runs");
    let lines: Vec<String> = BufReader::new(&server).lines().take(3).map_while(Result::ok).collect();
    assert_eq!(lines, ["half a line", "another", "ab-cd"]);
}

#[test]
fn what_comes_while_a_line_is_typed_is_shown_above_it_and_cannot_control_the_terminal() {
    let (mut terminal, mut server) = terminal_and_server();
    terminal.send("half a l").expect("it runs");
    terminal.flush().expect("it runs");
    terminal.exp_string("half a l").expect("what is typed is shown");
    server.write_all(b"hola \x1b[2J").expect("it is sent");
    terminal.exp_string("hola \\u{1b}[2J\r\n> half a l").expect("it is above the line");
    terminal.send_line("ine").expect("it runs");
    let mut line = String::new();
    BufReader::new(&server).read_line(&mut line).expect("the whole line");
    assert_eq!(line, "half a line\n");
}

#[test]
fn long_lines_that_come_at_the_prompt_are_shown_whole() {
    let (mut terminal, mut server) = terminal_and_server();
    // Each comes in several reads.
    let long = "x".repeat(200_000);
    for end in ["one", "two", "three"] {
        server.write_all(format!("{long}{end}\n").as_bytes()).expect("it is sent");
    }
    for end in ["one", "two", "three"] {
        let before = terminal.exp_string(&format!("{end}\r\n")).expect("it is shown");
        assert!(before.ends_with(&long), "{} of {}", before.len() - before.trim_end_matches('x').len(), long.len());
    }
}

#[test]
fn what_has_come_of_a_line_is_shown_when_its_end_takes_its_time() {
    let (mut terminal, mut server) = terminal_and_server();
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        // Never is there a pause in which nothing comes.
        scope.spawn(|| {
            while !over.load(Relaxed) {
                server.write_all(b".").expect("it is sent");
                thread::sleep(Duration::from_millis(10));
            }
        });
        let shown = terminal.exp_string("..\r\n").map(drop);
        over.store(true, Relaxed);
        shown.expect("it is shown");
    });
}

#[test]
fn the_end_of_a_line_that_was_shown_already_is_no_line() {
    let (mut terminal, mut server) = terminal_and_server();
    server.write_all(b"Your name?").expect("it is sent");
    terminal.exp_string("Your name?\r\n").expect("it is shown");
    server.write_all(b"\nnext\n").expect("it is sent");
    let between = terminal.exp_string("next\r\n").expect("it is shown");
    // What wakes the editor goes a line up before it goes one down.
    assert!(!between.replace("\u{1b}[A\r\n", "").contains('\n'), "{between:?}");
}

#[test]
fn what_has_come_of_a_line_is_shown_when_a_signal_ends_the_client() {
    let (mut terminal, mut server) = terminal_and_server();
    server.write_all(b"whole\nbegun").expect("it is sent");
    terminal.exp_string("whole\r\n").expect("it is shown");
    terminal.process_mut().signal(Signal::SIGTERM).expect("it runs");
    terminal.exp_string("begun").expect("it is shown");
}

#[test]
fn ctrl_d_closes_the_sending_side_and_the_rest_is_printed() {
    let (mut terminal, mut server) = terminal_and_server();
    terminal.send_control('d').expect("it runs");
    assert_eq!(server.read(&mut [0]).expect("a clean end of stream"), 0);
    server.write_all(b"the rest").expect("it is sent");
    terminal.exp_string("the rest").expect("it is shown");
    drop(server);
    // What ends without a line feed gets one.
    let rest = rest(&mut terminal);
    assert!(rest.starts_with("\r\nhebra: connection to "), "{rest:?}");
}

#[test]
fn ctrl_c_at_the_prompt_ends_the_client_as_the_signal_would() {
    let (mut terminal, mut server) = terminal_and_server();
    terminal.send_control('c').expect("it runs");
    assert_eq!(server.read(&mut [0]).expect("a clean end of stream"), 0);
    let status = terminal.process().wait().expect("it ends");
    assert!(matches!(status, WaitStatus::Signaled(_, signal, _) if signal as i32 == 2), "{status:?}");
}

#[test]
fn a_server_that_closes_at_the_prompt_loses_no_reply() {
    let (mut terminal, mut server) = terminal_and_server();
    server.write_all(b"idle: goodbye\r\n").expect("it is sent");
    drop(server);
    assert!(rest(&mut terminal).contains("idle: goodbye\r\n"));
}

#[test]
fn a_server_that_closes_while_the_history_is_searched_ends_the_client() {
    let (mut terminal, mut server) = terminal_and_server();
    terminal.send_line("once").expect("it runs");
    server.read_exact(&mut [0; 5]).expect("a line");
    terminal.exp_string("> ").expect("a prompt");
    terminal.send_control('r').expect("it runs");
    terminal.exp_string("reverse-i-search").expect("it searches");
    // The editor takes no notice of either until a key is pressed.
    server.write_all(b"goodbye\n").expect("it is sent");
    drop(server);
    assert!(rest(&mut terminal).contains("goodbye\r\n"));
}

#[test]
fn bye_closes_the_sending_side_for_servers_to_which_it_means_nothing() {
    let (mut terminal, mut server) = terminal_and_server();
    terminal.send_line("bye").expect("it runs");
    let mut sent = String::new();
    server.read_to_string(&mut sent).expect("a clean end of stream");
    assert_eq!(sent, "bye\n");
    server.write_all(b"the rest\n").expect("it is sent");
    drop(server);
    assert!(rest(&mut terminal).contains("the rest\r\n"));
}

#[test]
fn a_server_that_closes_within_a_line_is_told_of_on_the_next() {
    let (mut terminal, mut server) = terminal_and_server();
    server.write_all(b"goodbye").expect("it is sent");
    drop(server);
    let rest = rest(&mut terminal);
    assert!(rest.contains("goodbye\r\n"), "{rest:?}");
}
