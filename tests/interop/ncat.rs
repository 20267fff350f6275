//! ncat in a pipe. When its input ends, it closes its sending side and prints what still arrives.

use crate::support::{Program, assert_same, connect_served, random_bytes};
use crate::{client, pipe};

#[test]
fn messages_from_ncat_come_back_and_bye_closes() {
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
    // The server cannot start on a machine without ::1, and the test fails there.
    let server = Program::spawn(Program::command().args(["--listen", "[::1]:0"]), 1);
    assert_eq!(pipe(client("ncat", server.address()).arg("-6"), b"hello\nbye\n"), b"hello\n");
    server.wait_for("client 1 ([::1]:");
}

#[test]
fn a_full_server_tells_ncat_that_it_is_busy() {
    let server = Program::serve(&["--workers", "1", "--max-pending", "0"]);
    let _only = connect_served(server.address());
    let notice = pipe(&mut client("ncat", server.address()), b"hello\n");
    assert!(notice.starts_with(b"busy: ") && notice.ends_with(b"\r\n"), "{}", notice.escape_ascii());
}
