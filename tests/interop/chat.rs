//! The chat: an operator on a terminal with telnet users, and with the client of the textbooks.

use std::process::{Command, Stdio};

use rexpect::session::{PtySession, spawn_command};

use crate::python::python;
use crate::support::{FUSE, Program};
use crate::telnet::telnet_to;

/// The operator's terminal, and the port that the chat listens on.
fn operator(flags: &[&str]) -> (PtySession, u16) {
    let mut command = Program::command();
    command
        .env("TERM", "xterm")
        .stdin(Stdio::inherit())
        .args(["--listen", "127.0.0.1:0", "--service", "chat"])
        .args(flags);
    let mut terminal = spawn_command(command, Some(FUSE.as_millis() as u64)).expect("a terminal");
    terminal.exp_string("listening on 127.0.0.1:").expect("it listens");
    let port = terminal.read_line().expect("a port").trim().parse().expect("a number");
    terminal.exp_string("> ").expect("a prompt");
    (terminal, port)
}

fn shows(terminal: &mut PtySession, text: &str) {
    terminal.exp_string(text).unwrap_or_else(|error| panic!("{text}: {error}"));
}

/// Types a line with Enter's own key, which is what a line editor waits for.
fn types(terminal: &mut PtySession, line: &str) {
    terminal.send(&format!("{line}\r")).and_then(|_| terminal.flush()).expect("it reads");
}

#[test]
fn an_operator_and_two_telnet_users_share_a_room() {
    let (mut operator, port) = operator(&["--room"]);
    let mut first = telnet_to("127.0.0.1", port);
    shows(&mut operator, "* <1> joined from 127.0.0.1:");
    let mut second = telnet_to("127.0.0.1", port);
    shows(&mut operator, "* <2> joined from 127.0.0.1:");

    first.send_line("hello").expect("telnet runs");
    shows(&mut operator, "<1> hello");
    shows(&mut second, "<1> hello\r\n");
    types(&mut operator, "welcome both");
    shows(&mut first, "<operator> welcome both\r\n");
    shows(&mut second, "<operator> welcome both\r\n");
    types(&mut operator, "@2 only you");
    shows(&mut second, "<operator> only you\r\n");
    types(&mut operator, "/who");
    shows(&mut operator, "* here: 2");
    // A line half typed is not garbled by what comes meanwhile, and is sent whole.
    operator.send("half and ").and_then(|_| operator.flush()).expect("it reads");
    second.send_line("am I interrupting?").expect("telnet runs");
    shows(&mut operator, "<2> am I interrupting?");
    shows(&mut first, "<2> am I interrupting?\r\n");
    types(&mut operator, "half");
    shows(&mut first, "<operator> half and half\r\n");

    types(&mut operator, "/kick 1");
    shows(&mut operator, "* <1> left: closed by the service");
    shows(&mut first, "Connection closed by foreign host.");
    types(&mut operator, "bye");
    shows(&mut second, "<operator> bye\r\n");
    shows(&mut second, "Connection closed by foreign host.");
    shows(&mut operator, "* <2> left: server shutdown");
    operator.exp_eof().expect("it ends");
}

#[test]
fn the_textbook_chat_client_takes_turns_with_an_operator() {
    let mut command = Program::command();
    command.args(["--listen", "127.0.0.1:0", "--service", "chat"]).stdin(Stdio::piped());
    let mut program = Program::spawn(&mut command, 1);
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/interop/textbook_chat_client.py");
    let mut client: Command = python(&[script], &program);
    client.env("PYTHONIOENCODING", "utf-8");
    let mut client = spawn_command(client, Some(FUSE.as_millis() as u64)).expect("a terminal");
    assert!(program.next_shown().starts_with("* <1> joined from "));
    for (said, answered) in [("Hola", "Buenas"), ("que tal?", "aqui andamos")] {
        shows(&mut client, " -> ");
        client.send_line(said).expect("it reads");
        assert_eq!(program.next_shown(), format!("<1> {said}"));
        program.type_line(answered);
        shows(&mut client, &format!("Received from server: {answered}\r\n"));
    }
    client.send_line("bye").expect("it reads");
    client.exp_eof().expect("it ends");
    assert_eq!(program.next_shown(), "* <1> left: end of stream");
    // The next one is welcome.
    program.end_input();
    assert_eq!(program.finish().0, Some(0));
}
