//! `hebra connect` on a terminal: line editing, and output above the prompt.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use nix::sys::signal::Signal;
use nix::sys::wait::WaitStatus;
use rexpect::session::PtySession;
use socket2::SockRef;

use crate::support::{address, config, connect_command, connect_on_terminal, listen, start, terminal};

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
fn pasted_lines_are_as_many_messages() {
    // A terminal marks the text. Most send a carriage return for each line end, and some what was copied.
    for (pasted, sent) in [
        ("one\rtwo\rthree", &["one", "two", "three"][..]),
        ("one\n\ntwo\n", &["one", "", "two"]),
        ("one\r\ntwo", &["one", "two"]),
        ("one", &["one"]),
    ] {
        let (mut terminal, server) = terminal_and_server();
        terminal.send(&format!("\x1b[200~{pasted}\x1b[201~\r")).expect("it runs");
        terminal.send_line("bye").expect("it runs");
        let lines: Vec<String> = BufReader::new(&server).lines().map_while(Result::ok).collect();
        assert_eq!(lines, [sent, &["bye"]].concat(), "{pasted:?}");
    }
}

#[test]
fn with_crlf_typed_lines_end_in_cr_lf() {
    let (listener, address) = listen();
    let mut terminal = terminal(connect_command(&["--crlf", &address.to_string()]));
    let (mut server, _) = listener.accept().expect("it connects");
    terminal.exp_string("> ").expect("a prompt");
    terminal.send_line("hello").expect("it runs");
    terminal.send_line("bye").expect("it runs");
    let mut sent = String::new();
    server.read_to_string(&mut sent).expect("a clean end of stream");
    assert_eq!(sent, "hello\r\nbye\r\n");
}

#[test]
fn typed_lines_that_the_server_did_not_take_are_never_exit_code_0() {
    let (listener, address) = listen();
    // The server's kernel takes little.
    SockRef::from(&listener).set_recv_buffer_size(4096).expect("a socket");
    let mut terminal = connect_on_terminal(address);
    let (mut server, _) = listener.accept().expect("it connects");
    let pasted = format!("{}\n", "x".repeat(999)).repeat(50);
    terminal.send(&format!("\x1b[200~{pasted}\x1b[201~\r")).expect("it runs");
    terminal.flush().expect("it runs");
    server.read_exact(&mut [0; 1000]).expect("the first line");
    server.shutdown(Shutdown::Write).expect("it is connected");
    terminal.exp_string("hebra: input was lost: ").expect("it is reported");
    terminal.exp_eof().expect("it ends");
    assert_eq!(code(&terminal), 6);
    drop(server);
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
