//! The greeting service.

use std::io::{Read, Write};
use std::net::Shutdown;

use nix::sys::signal::Signal;

use crate::support::{Program, connect, read_to_end};

#[test]
fn each_client_gets_one_greeting_for_any_message() {
    let program = Program::serve(&["--service", "greet"]);
    for message in [&b"Hola"[..], b"bye", b"bye\r\n", b"\xe9", &[b'x'; 100_000]] {
        let mut client = connect(program.address());
        client.write_all(message).expect("it is sent");
        assert_eq!(read_to_end(&mut client), b"Un saludo crack!\n");
    }
    program.wait_for("says \"Hola\" (4 bytes)");
    program.signal(Signal::SIGTERM);
    assert_eq!(program.finish().0, Some(0));
}

#[test]
fn the_operator_chooses_the_greeting() {
    let program = Program::serve(&["--service", "greet", "--greeting", "¡Buenos días!"]);
    let mut client = connect(program.address());
    client.write_all(b"hello").expect("it is sent");
    client.shutdown(Shutdown::Write).expect("it is connected");
    assert_eq!(read_to_end(&mut client), "¡Buenos días!\n".as_bytes());
}

#[test]
fn a_client_that_sends_nothing_gets_no_greeting() {
    let program = Program::serve(&["--service", "greet"]);
    let mut client = connect(program.address());
    client.shutdown(Shutdown::Write).expect("it is connected");
    assert_eq!(client.read(&mut [0]).expect("a clean end of stream"), 0);
}

#[test]
fn telnet_commands_are_answered_and_not_greeted() {
    let program = Program::serve(&["--service", "greet"]);
    let mut client = connect(program.address());
    // WILL TERMINAL-TYPE, then WILL WINDOW-SIZE in two pieces.
    client.write_all(b"\xff\xfb\x18\xff\xfb").expect("it is sent");
    let mut refusal = [0; 3];
    client.read_exact(&mut refusal).expect("an answer");
    assert_eq!(&refusal, b"\xff\xfe\x18");
    client.write_all(b"\x1f").expect("it is sent");
    client.read_exact(&mut refusal).expect("an answer");
    assert_eq!(&refusal, b"\xff\xfe\x1f");
    client.write_all(b"bye").expect("it is sent");
    assert_eq!(read_to_end(&mut client), b"Un saludo crack!\n");
}
