//! `hebra connect`: in a pipe, on a terminal, and with each kind of failure.

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
    address, assert_same, config, connect_command, connect_on_terminal, free_address, random_bytes, run, start,
};

/// Returns a listener for a server that the test plays itself, and its address.
fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback exists");
    let address = listener.local_addr().expect("a socket");
    (listener, address)
}

/// Runs the client in a pipe, and returns its exit code, standard output and standard error.
fn talk(arguments: &[&str], input: &[u8]) -> (Option<i32>, Vec<u8>, String) {
    let Output { status, stdout, stderr } = run(&mut connect_command(arguments), input);
    (status.code(), stdout, String::from_utf8(stderr).expect("text"))
}

/// Runs a client that must fail, and returns its exit code and the line that it prints.
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
fn a_server_that_half_closes_and_reads_nothing_ends_the_client() {
    let (listener, address) = listen();
    let server = thread::spawn(move || {
        let (stream, _) = listener.accept().expect("a client connects");
        stream.shutdown(Shutdown::Write).expect("it is connected");
        stream
    });
    // This is more than the kernels of both sides buffer.
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
    // It occupies the only worker, so a second client is refused and ends.
    let refused =
        command.stdin(Stdio::piped()).spawn().and_then(|child| child.wait_with_output()).expect("it ends");
    assert!(refused.stdout.starts_with(b"busy: "), "{}", refused.stdout.escape_ascii());
    assert_eq!(refused.status.code(), Some(0));
    stdin.write_all(b"bye\n").expect("it runs");
    assert_eq!(child.wait().expect("it ends").code(), Some(0));
    drop(stdin);
}

#[test]
fn output_of_the_server_is_printed_at_once_and_unchanged() {
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
fn a_closed_standard_output_ends_the_client_quietly() {
    let (listener, address) = listen();
    let mut command = connect_command(&[&address.to_string()]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("it is built");
    let (mut server, _) = listener.accept().expect("it connects");
    drop(child.stdout.take());
    // A child that another test forks at this moment also holds the pipe until its exec, so one write is not enough.
    while server.write_all(b"hola\n").is_ok() {}
    let stdin = child.stdin.take();
    let output = child.wait_with_output().expect("it ends");
    assert_eq!((output.status.code(), output.stderr), (Some(0), Vec::new()));
    drop(stdin);
}

#[test]
fn a_refused_connection_is_exit_code_5() {
    let free = free_address("127.0.1.11");
    let expected = format!("hebra: cannot connect to {free}: connection refused");
    assert_eq!(failure(&[&free.to_string()]), (Some(5), expected));
}

#[test]
fn an_unknown_name_is_exit_code_4_and_an_address_without_a_port_is_2() {
    let (code, line) = failure(&["nowhere.invalid:1"]);
    assert_eq!(code, Some(4), "{line}");
    assert!(line.starts_with("hebra: cannot resolve \"nowhere.invalid:1\": "), "{line}");
    let expected = "hebra: ADDR: \"\\u{1b}[2J\" lacks its port; an address looks like localhost:1234";
    assert_eq!(failure(&["\u{1b}[2J"]), (Some(2), format!("{expected} (see hebra connect --help)")));
    for wrong in ["0s", "-1"] {
        let (code, line) = failure(&["--timeout", wrong]);
        assert_eq!(code, Some(2), "{line}");
        assert!(line.contains(&format!("--timeout: \"{wrong}\" is ")), "{line}");
    }
}

#[test]
fn a_server_that_does_not_answer_is_exit_code_6() {
    // This listener accepts no client. Once its queue is full, the kernel does not answer further ones.
    let listener = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    listener.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).expect("a free port");
    listener.listen(0).expect("it listens");
    let address = listener.local_addr().ok().and_then(|address| address.as_socket()).expect("an address");
    let mut queued = Vec::new();
    while let Ok(client) = TcpStream::connect_timeout(&address, Duration::from_millis(100)) {
        queued.push(client);
    }
    let expected = format!("hebra: cannot connect to {address}: timed out");
    assert_eq!(failure(&["--timeout", "50ms", &address.to_string()]), (Some(6), expected));
}

#[test]
fn a_connection_that_is_reset_is_exit_code_7() {
    let (listener, address) = listen();
    let server = thread::spawn(move || {
        let (mut client, _) = listener.accept().expect("it connects");
        client.read_exact(&mut [0; 6]).expect("it sends a line");
        SockRef::from(&client).set_linger(Some(Duration::ZERO)).expect("a socket");
    });
    let expected = format!("hebra: connection to {address} broke: connection reset");
    assert_eq!(failure(&[&address.to_string()]), (Some(7), expected));
    server.join().expect("it only resets");
}

/// Starts the client on a terminal. Returns it at its prompt, and the connection, which the test answers itself.
fn terminal_and_server() -> (PtySession, TcpStream) {
    let (listener, address) = listen();
    let terminal = connect_on_terminal(address);
    (terminal, listener.accept().expect("it connects").0)
}

/// Waits for the end of the client, and returns its exit code.
fn code(terminal: &PtySession) -> i32 {
    match terminal.process().wait().expect("it ends") {
        WaitStatus::Exited(_, code) => code,
        other => panic!("{other:?}"),
    }
}

/// Waits for the end of the client, asserts exit code 0, and returns what it showed last.
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
        // rexpect takes each byte for a character. The line appears as it is typed, and then as it comes back.
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
fn a_byte_that_is_not_utf8_is_left_out_and_the_line_is_kept() {
    let (mut terminal, server) = terminal_and_server();
    let mut keys = terminal.process().get_file_handle().expect("a terminal");
    // The second begins a character of two bytes, and the next byte does not complete it.
    for typed in [&b"half a l\xff"[..], b"\xc3x"] {
        keys.write_all(typed).expect("it runs");
        terminal.exp_string("hebra: left out: a byte that is not UTF-8, and what came with it").expect("a notice");
        terminal.exp_string("> half a l").expect("the line is kept");
    }
    terminal.send_line("ine").expect("it runs");
    terminal.send_line("another").expect("it runs");
    // The cursor moves two places to the left. It must still be there after the byte that is left out.
    keys.write_all(b"abcd\x1b[D\x1b[D").expect("it runs");
    terminal.exp_string("abcd\u{1b}[D\u{1b}[D").expect("it is typed");
    keys.write_all(b"\xff").expect("it runs");
    terminal.exp_string("and what came with it").expect("a notice");
    terminal.exp_string("> abcd").expect("the line is kept");
    terminal.send_line("-").expect("it runs");
    let lines: Vec<String> = BufReader::new(&server).lines().take(3).map_while(Result::ok).collect();
    assert_eq!(lines, ["half a line", "another", "ab-cd"]);
}

#[test]
fn output_of_the_server_is_shown_above_the_line_being_typed_and_cannot_control_the_terminal() {
    let (mut terminal, mut server) = terminal_and_server();
    terminal.send("half a l").expect("it runs");
    terminal.flush().expect("it runs");
    terminal.exp_string("half a l").expect("the typed text is shown");
    server.write_all(b"hola \x1b[2J").expect("it is sent");
    terminal.exp_string("hola \\u{1b}[2J\r\n> half a l").expect("it is above the line");
    terminal.send_line("ine").expect("it runs");
    let mut line = String::new();
    BufReader::new(&server).read_line(&mut line).expect("the whole line");
    assert_eq!(line, "half a line\n");
}

#[test]
fn long_lines_that_arrive_at_the_prompt_are_shown_whole() {
    let (mut terminal, mut server) = terminal_and_server();
    // Each line arrives in several reads.
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
fn a_partial_line_is_shown_when_its_end_is_late() {
    let (mut terminal, mut server) = terminal_and_server();
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        // More bytes keep arriving, so that the client cannot wait for a pause.
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
fn the_late_end_of_a_shown_line_adds_no_empty_line() {
    let (mut terminal, mut server) = terminal_and_server();
    server.write_all(b"Your name?").expect("it is sent");
    terminal.exp_string("Your name?\r\n").expect("it is shown");
    server.write_all(b"\nnext\n").expect("it is sent");
    let between = terminal.exp_string("next\r\n").expect("it is shown");
    // The client wakes the editor with a cursor movement one line up and one down, which is not an empty line.
    assert!(!between.replace("\u{1b}[A\r\n", "").contains('\n'), "{between:?}");
}

#[test]
fn a_partial_line_is_shown_when_a_signal_ends_the_client() {
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
    // Output that ends without a line feed gets one.
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
    // During a search the editor notices neither the output nor the close until a key is pressed.
    server.write_all(b"goodbye\n").expect("it is sent");
    drop(server);
    assert!(rest(&mut terminal).contains("goodbye\r\n"));
}

#[test]
fn bye_closes_the_sending_side_for_servers_that_do_not_know_it() {
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
fn a_last_line_without_an_end_is_shown_with_one() {
    let (mut terminal, mut server) = terminal_and_server();
    server.write_all(b"goodbye").expect("it is sent");
    drop(server);
    let rest = rest(&mut terminal);
    assert!(rest.contains("goodbye\r\n"), "{rest:?}");
}
