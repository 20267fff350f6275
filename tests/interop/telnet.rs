//! telnet on a terminal, used as a person uses it.

use std::process::Command;

use rexpect::session::PtySession;

use crate::support::{Program, connect_served, terminal};
use crate::tool;

/// What telnet prints when the server closes.
const CLOSED: &str = "Connection closed by foreign host.\r\n";

/// Starts telnet on a terminal, and asserts that it connects to the first address that it tries.
fn telnet(host: &str, server: &Program) -> PtySession {
    telnet_to(host, server.address().port())
}

/// Does the same, with the port of the server.
pub(crate) fn telnet_to(host: &str, port: u16) -> PtySession {
    let mut command = Command::new("sh");
    // rexpect turns the terminal's echo off, and people have it on.
    command.args(["-c", "stty echo && exec \"$0\" \"$@\""]).arg(tool("telnet"));
    command.args([host, &port.to_string()]);
    let mut terminal = terminal(command);
    let tries = terminal.exp_string("Connected to ").expect("a connection");
    assert_eq!(tries.matches("Trying").count(), 1, "{tries}");
    terminal.exp_string("Escape character is '^]'.\r\n").expect("the greeting");
    terminal
}

/// Types a line, and expects it twice: as it is typed, and as it comes back.
fn type_and_see_echo(terminal: &mut PtySession, line: &str) {
    terminal.send_line(line).expect("telnet runs");
    // rexpect takes each byte for a character.
    let shown: String = line.bytes().map(char::from).collect();
    let before = terminal.exp_string(&format!("{shown}\r\n{shown}\r\n")).expect("an echo");
    assert!(matches!(before.as_str(), "" | "^C" | "^C\r\n"), "{before:?}");
}

/// Types `bye`, and expects the end of telnet.
fn say_bye(mut terminal: PtySession) {
    terminal.send_line("bye").expect("telnet runs");
    assert_eq!(terminal.exp_eof().expect("telnet ends"), format!("bye\r\n{CLOSED}"));
}

#[test]
fn lines_come_back_also_after_ctrl_c_and_bye_closes() {
    let server = Program::serve(&[]);
    let mut terminal = telnet("127.0.0.1", &server);
    type_and_see_echo(&mut terminal, "hello");
    type_and_see_echo(&mut terminal, "está bien, ¿no?");
    terminal.send_control('c').expect("telnet runs");
    // After Ctrl-C telnet shows nothing until its timing mark is answered. The echo returns its request, telnet answers
    // that, and the echo of this answer is what telnet waits for. A line sent before would be echoed and not shown.
    server.wait_for(r#"says "\xff\xfb\u{6}""#);
    type_and_see_echo(&mut terminal, "still here");
    say_bye(terminal);
    server.wait_for("disconnected: bye");
}

#[test]
fn line_framing_answers_ctrl_c_itself() {
    let server = Program::serve(&["--framing", "line"]);
    let mut terminal = telnet("127.0.0.1", &server);
    type_and_see_echo(&mut terminal, "hello");
    type_and_see_echo(&mut terminal, "está bien, ¿no?");
    terminal.send_control('c').expect("telnet runs");
    type_and_see_echo(&mut terminal, "still here");
    say_bye(terminal);
    server.wait_for("disconnected: bye");
}

#[test]
fn localhost_is_reached_at_the_first_try() {
    // All addresses of the name get the same port.
    let server = Program::spawn(Program::command().args(["--listen", "localhost:0"]), 1);
    let mut terminal = telnet("localhost", &server);
    type_and_see_echo(&mut terminal, "hello");
    say_bye(terminal);
}

#[test]
fn a_full_server_says_so_and_closes() {
    let server = Program::serve(&["--workers", "1", "--max-pending", "0"]);
    let _only = connect_served(server.address());
    let notice = telnet("127.0.0.1", &server).exp_eof().expect("telnet ends");
    assert!(notice.starts_with("busy: ") && notice.ends_with(&format!("\r\n{CLOSED}")), "{notice:?}");
}
