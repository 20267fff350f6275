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

/// Telnet in character mode sends CR NUL for Enter, and C programs send buffers that are padded with NUL.
#[test]
fn bye_ends_with_cr_nul_and_may_be_padded_with_nul() {
    for framing in [Framing::Message, Framing::Text, Framing::Line] {
        for bye in [b"one\r\0bye\r\0".as_slice(), b"one\r\0\0 bye\0\0\0\0\n"] {
            let server = start(framed(framing));
            let mut client = connect(address(&server));
            client.write_all(bye).expect("the server reads");
            assert_eq!(read_to_end(&mut client), b"one\r\0", "{framing:?}");
        }
        let server = start(framed(framing));
        let events = server.subscribe();
        let mut client = connect(address(&server));
        for byte in b"x\r\0bye\r\0" {
            client.write_all(&[*byte]).expect("the server reads");
        }
        assert_eq!(next_reason(&events), CloseReason::Bye, "{framing:?}");
    }
}

#[test]
fn where_people_read_telnet_is_answered_and_never_a_message() {
    for framing in [Framing::Text, Framing::Line] {
        let server = start(framed(framing));
        let input = b"\xff\xfb\x1f\xff\xfd\x06a\n\xff\xf6\xff\xfd\x06b\n";
        let mut client = connect(address(&server));
        let mut output = Vec::new();
        for byte in input {
            client.write_all(&[*byte]).expect("the server reads");
        }
        client.shutdown(std::net::Shutdown::Write).expect("it is connected");
        output.extend(read_to_end(&mut client));
        assert_eq!(
            String::from_utf8_lossy(&output),
            String::from_utf8_lossy(b"\xff\xfe\x1f\xff\xfc\x06a\nhebra: yes, here\r\n\xff\xfc\x06b\n"),
            "{framing:?}"
        );
    }
}

#[test]
fn urgent_data_stays_in_the_stream() {
    for framing in [Framing::Message, Framing::Text, Framing::Line, Framing::PlainLine, Framing::Raw] {
        let server = start(framed(framing));
        let client = connect(address(&server));
        (&client).write_all(b"on").expect("the server reads");
        socket2::SockRef::from(&client).send_out_of_band(b"e").expect("the server reads");
        assert_eq!(send_and_finish(&client, b" and two\n"), b"one and two\n", "{framing:?}");
    }
}

/// Before it was bounded, one IAC SB without its end hid everything that followed, `bye` included.
#[test]
fn a_subnegotiation_without_an_end_does_not_hide_bye() {
    for framing in [Framing::Message, Framing::Text, Framing::Line] {
        let server = start(framed(framing));
        let events = server.subscribe();
        let mut client = connect(address(&server));
        client.write_all(&[b"\xff\xfa\x18".as_slice(), &[b'x'; 200], b"\nbye\n"].concat()).expect("it reads");
        assert_eq!(next_reason(&events), CloseReason::Bye, "{framing:?}");
    }
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
