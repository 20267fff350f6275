//! telnet on a terminal, as a person uses it.

use std::process::Command;

use rexpect::session::{PtySession, spawn_command};

use crate::support::{FUSE, Program, connect_served};
use crate::tool;

/// What telnet says when the server closes.
const CLOSED: &str = "Connection closed by foreign host.\r\n";

/// telnet on a terminal of its own, connected at its first try.
fn telnet(host: &str, server: &Program) -> PtySession {
    telnet_to(host, server.address().port())
}

/// The same, to a server that is known by its port.
pub(crate) fn telnet_to(host: &str, port: u16) -> PtySession {
    let mut command = Command::new("sh");
    // The terminal comes with its echo off, and people have theirs on.
    command.args(["-c", "stty echo && exec \"$0\" \"$@\""]).arg(tool("telnet"));
    command.args([host, &port.to_string()]);
    let mut terminal = spawn_command(command, Some(FUSE.as_millis() as u64)).expect("a terminal");
    let tries = terminal.exp_string("Connected to ").expect("a connection");
    assert_eq!(tries.matches("Trying").count(), 1, "{tries}");
    terminal.exp_string("Escape character is '^]'.\r\n").expect("the greeting");
    terminal
}

/// Types a line and sees it twice: as it is typed, and as it comes back.
fn type_and_see_echo(terminal: &mut PtySession, line: &str) {
    terminal.send_line(line).expect("telnet runs");
    // The terminal's reader takes each byte for a character.
    let shown: String = line.bytes().map(char::from).collect();
    let before = terminal.exp_string(&format!("{shown}\r\n{shown}\r\n")).expect("an echo");
    assert!(matches!(before.as_str(), "" | "^C" | "^C\r\n"), "{before:?}");
}

/// Says bye and sees telnet end.
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
    // telnet shows nothing until its timing mark is answered. Ours comes back as a request, and the answer
    // to that comes back as the answer; a line that overtook it would be echoed and not shown.
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
    // All addresses of the name share the port of the first.
    let server = Program::spawn(Program::command().args(["--listen", "localhost:0"]), 1);
    let mut terminal = telnet("localhost", &server);
    type_and_see_echo(&mut terminal, "hello");
    say_bye(terminal);
}

#[test]
fn a_full_server_says_so_and_closes() {
    let server = Program::serve(&["--workers", "1", "--max-pending", "0"]);
    let _only = connect_served(server.address());
    let told = telnet("127.0.0.1", &server).exp_eof().expect("telnet ends");
    assert!(told.starts_with("busy: ") && told.ends_with(&format!("\r\n{CLOSED}")), "{told:?}");
}
