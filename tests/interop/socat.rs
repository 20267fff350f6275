//! socat between a pipe and a connection.

use std::process::Command;

use crate::support::{Program, assert_same, random_bytes};
use crate::{pipe, tool};

/// Returns a socat command that waits for the end of the stream after the end of its input. By default socat waits for
/// half a second only.
fn socat(server: &Program) -> Command {
    let mut command = Command::new(tool("socat"));
    command.args(["-t", "60", "-", &format!("TCP:{}", server.address())]);
    command
}

#[test]
fn messages_from_socat_come_back_and_bye_closes() {
    let server = Program::serve(&[]);
    assert_eq!(pipe(&mut socat(&server), b"hello\nbye\nlost\n"), b"hello\n");
    server.wait_for("disconnected: bye");
}

#[test]
fn a_mebibyte_comes_back_whole_after_a_half_close() {
    let server = Program::serve(&["--framing", "raw"]);
    let input = random_bytes(1 << 20);
    assert_same(&pipe(&mut socat(&server), &input), &input);
    server.wait_for("disconnected: end of stream");
}
