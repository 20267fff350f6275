//! The chat: an operator on a terminal with users of telnet, and with the chat client of textbooks.

use rexpect::session::PtySession;

use crate::python::python;
use crate::support::{chat, chat_on_terminal, terminal};
use crate::telnet::telnet_to;

fn shows(terminal: &mut PtySession, text: &str) {
    terminal.exp_string(text).unwrap_or_else(|error| panic!("{text}: {error}"));
}

/// Types a line and Enter, which sends a carriage return. A line editor waits for that.
fn types(terminal: &mut PtySession, line: &str) {
    terminal.send(&format!("{line}\r")).and_then(|_| terminal.flush()).expect("it reads");
}

#[test]
fn an_operator_and_two_telnet_users_share_a_room() {
    let (mut operator, address) = chat_on_terminal(&["--room"]);
    let mut first = telnet_to("127.0.0.1", address.port());
    shows(&mut operator, "* <1> joined from 127.0.0.1:");
    let mut second = telnet_to("127.0.0.1", address.port());
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
    // A line that arrives while another is typed does not garble it, and the typed line is sent whole.
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
    let mut program = chat(&[]);
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/interop/textbook_chat_client.py");
    let mut client = python(&[script], &program);
    client.env("PYTHONIOENCODING", "utf-8");
    let mut client = terminal(client);
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
    // The end of the operator's input ends the chat.
    program.end_input();
    assert_eq!(program.finish().0, Some(0));
}
