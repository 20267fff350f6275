//! ncat in a pipe: it closes its sending side when its input ends and prints what still comes.

use crate::support::{Program, assert_same, connect_served, random_bytes};
use crate::{client, pipe};

#[test]
fn what_ncat_sends_comes_back_and_bye_closes() {
    let server = Program::serve(&[]);
    assert_eq!(pipe(&mut client("ncat", server.address()), b"hello\nbye\n"), b"hello\n");
}

#[test]
fn sixty_four_mebibytes_come_back_whole_after_a_half_close() {
    let server = Program::serve(&["--framing", "raw"]);
    let input = random_bytes(64 << 20);
    assert_same(&pipe(&mut client("ncat", server.address()), &input), &input);
    server.wait_for("disconnected: end of stream");
}

#[test]
fn ncat_is_served_over_ipv6() {
    // Without ::1 the server says so and the test fails: nothing was tested then.
    let server = Program::spawn(Program::command().args(["--listen", "[::1]:0"]), 1);
    assert_eq!(pipe(client("ncat", server.address()).arg("-6"), b"hello\nbye\n"), b"hello\n");
    server.wait_for("client 1 ([::1]:");
}

#[test]
fn a_full_server_tells_ncat_that_it_is_busy() {
    let server = Program::serve(&["--workers", "1", "--max-pending", "0"]);
    let _only = connect_served(server.address());
    let told = pipe(&mut client("ncat", server.address()), b"hello\n");
    assert!(told.starts_with(b"busy: ") && told.ends_with(b"\r\n"), "{}", told.escape_ascii());
}
