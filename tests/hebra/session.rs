//! A session as its client sees it: the echo, `bye`, the framings, the half-close, and handlers that fail.

use std::io::{self, Write};

use hebra::{CloseReason, Framing, Next, ServerConfig};

use crate::support::{
    address, config, connect, exchange, next_reason, random_bytes, read_to_end, say_bye, send_and_finish, serve,
    start,
};

fn framed(framing: Framing) -> ServerConfig {
    config().framing(framing)
}

#[test]
fn a_message_needs_no_newline_to_be_echoed() {
    let server = start(config());
    let mut client = connect(address(&server));
    assert_eq!(exchange(&mut client, b"Hola, servidor!"), b"Hola, servidor!");
    say_bye(&mut client);
}

#[test]
fn messages_before_bye_are_echoed_and_those_after_it_are_discarded() {
    let server = start(config());
    for (sent, echoed) in [
        (&b"hello\nbye\n"[..], &b"hello\n"[..]),
        (b"hello\r\nbye\r\nmore\r\n", b"hello\r\n"),
        (b"  bye \r\n", b""),
        (b"\xff\xf4\xff\xfd\x06bye\r\n", b"\xff\xf4\xff\xfd\x06"),
        (b"goodbye\nbye now\n", b"goodbye\nbye now\n"),
        (b"\xff\xfe\xfd\xfc not UTF-8 \x00", b"\xff\xfe\xfd\xfc not UTF-8 \x00"),
    ] {
        assert_eq!(send_and_finish(&connect(address(&server)), sent), echoed, "{}", sent.escape_ascii());
    }
}

#[test]
fn bye_typed_one_letter_at_a_time_ends_the_session() {
    let server = start(config());
    let mut client = connect(address(&server));
    for letter in [b"b", b"y", b"e"] {
        assert_eq!(exchange(&mut client, letter), letter);
    }
    client.write_all(b"\r\n").expect("it is sent");
    assert_eq!(read_to_end(&mut client), b"");
}

#[test]
fn data_that_follows_bye_does_not_destroy_the_reply() {
    let server = start(config());
    let rest = random_bytes(256 * 1024);
    for _ in 0..20 {
        let mut client = connect(address(&server));
        client.write_all(b"precious\nbye\n").expect("it is sent");
        // The session has ended or is about to end. A reset would be an error here or below.
        client.write_all(&rest).expect("the server still takes it");
        assert_eq!(read_to_end(&mut client), b"precious\n");
    }
}

#[test]
fn a_client_that_half_closes_gets_every_byte_back() {
    let server = start(framed(Framing::Raw));
    let input = random_bytes(64 * 1024 * 1024);
    let output = send_and_finish(&connect(address(&server)), &input);
    assert!(output == input, "a byte differs");
}

#[test]
fn nothing_is_special_in_raw_framing() {
    let server = start(framed(Framing::Raw));
    let input = b"bye\nbye\xff\xf4\xff\xfd\x06\nbye";
    assert_eq!(send_and_finish(&connect(address(&server)), input), input);
}

#[test]
fn line_framing_strips_telnet_commands_and_refuses_each_option_once() {
    let server = start(framed(Framing::Line));
    let input = b"he\xff\xf4llo\r\n\xff\xfd\x03\xff\xfd\x03\xff\xfb\x1fworld\nand\xff\xff\nrest";
    let output = send_and_finish(&connect(address(&server)), input);
    assert_eq!(output, b"hello\r\n\xff\xfc\x03\xff\xfe\x1fworld\nand\xff\xff\nrest");
    assert_eq!(send_and_finish(&connect(address(&server)), b"one\n bye \ntwo\n"), b"one\n");
    assert_eq!(send_and_finish(&connect(address(&server)), b"one\nbye"), b"one\n");
}

#[test]
fn a_line_over_the_cap_gets_one_line_and_a_clean_close() {
    let server = start(framed(Framing::Line).max_line(100));
    let fits = [&[b'x'; 100][..], b"\n"].concat();
    let over = [&fits[..], &[b'x'; 101], b"\nmore\n"].concat();
    let output = send_and_finish(&connect(address(&server)), &over);
    assert_eq!(output, [&fits[..], b"error: a line may have 100 bytes\r\n"].concat());
}

/// Closes, fails or panics if the message says so, and echoes it otherwise.
fn obedient(message: &[u8], reply: &mut dyn Write) -> io::Result<Next> {
    match message {
        b"close" => {
            write!(reply, "closing {}", 1)?;
            return Ok(Next::Close);
        }
        b"fail" => return Err(io::ErrorKind::InvalidData.into()),
        b"panic" => panic!("the client has sent `panic`"),
        _ => reply.write_all(message)?,
    }
    Ok(Next::Continue)
}

#[test]
fn a_handler_that_closes_fails_or_panics_ends_its_own_session_only() {
    let server = serve(config(), obedient);
    let events = server.subscribe();
    let mut bystander = connect(address(&server));
    let cases = [
        ("close", &b"closing 1"[..], CloseReason::ServiceClosed),
        ("fail", b"", CloseReason::ServiceFailed(io::ErrorKind::InvalidData)),
        ("panic", b"", CloseReason::Panicked),
    ];
    for (message, answer, expected) in cases {
        assert_eq!(exchange(&mut bystander, b"still here"), b"still here");
        let mut client = connect(address(&server));
        client.write_all(message.as_bytes()).expect("it is sent");
        assert_eq!(read_to_end(&mut client), answer);
        assert_eq!(next_reason(&events), expected);
    }
    // There are more panics than workers, and no worker is lost.
    for _ in 0..50 {
        let mut client = connect(address(&server));
        client.write_all(b"panic").expect("it is sent");
        assert_eq!(read_to_end(&mut client), b"");
    }
    assert_eq!(exchange(&mut bystander, b"still here"), b"still here");
    assert_eq!(server.stats().panicked, 51);
}
