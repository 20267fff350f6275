//! How often a session reads and writes its stream, and how it ends when the stream fails.
//!
//! The stream is a script in memory, so every count is exact and no test waits.

use std::io::ErrorKind;
use std::time::Duration;

use hebra::testing::Script;
use hebra::{ClientThread, CloseReason, Echo, Framing, Handler, Next, ServerConfig};

use crate::support::{Answer, FUSE};

const FRAMINGS: [Framing; 3] = [Framing::Message, Framing::Line, Framing::Raw];

#[test]
fn each_message_costs_one_read_and_one_write() {
    for framing in [Framing::Message, Framing::Raw] {
        let mut script = Script::reads([b"hello\n".as_slice(); 100]);
        assert_eq!(run(&mut script, Echo, &config(framing)), CloseReason::EndOfStream);
        assert_eq!((script.read_calls(), script.writes().len()), (101, 100));
        assert_eq!(script.written(), b"hello\n".repeat(100));
    }
}

#[test]
fn many_lines_in_one_read_cost_one_write() {
    let mut script = Script::reads([b"one\r\ntwo\n\nthr".as_slice(), b"ee\nbye\nnot read\n"]);
    assert_eq!(run(&mut script, Echo, &config(Framing::Line)), CloseReason::Bye);
    assert_eq!(script.read_calls(), 2);
    assert_eq!(script.writes(), [b"one\r\ntwo\n\n".as_slice(), b"three\n"]);
}

#[test]
fn answers_to_a_flood_of_commands_are_sent_before_they_fill_memory() {
    const ARE_YOU_THERE: [u8; 2] = [255, 246];
    for framing in [Framing::Text, Framing::Line] {
        let mut script = Script::reads([ARE_YOU_THERE.repeat(100_000)]);
        assert_eq!(run(&mut script, Echo, &config(framing)), CloseReason::EndOfStream);
        assert_eq!(script.written().len(), b"hebra: yes, here\r\n".len() * 100_000);
        assert!(script.writes().iter().all(|write| write.len() < 65 * 1024));
    }
}

#[test]
fn replies_to_many_lines_are_sent_before_they_fill_memory() {
    let mut script = Script::reads([&[b'\n'; 1000]]);
    let thousand = Answer(|_message, reply| reply.write_all(&[b'x'; 1000]).map(|()| Next::Continue));
    assert_eq!(run(&mut script, thousand, &config(Framing::Line)), CloseReason::EndOfStream);
    assert_eq!(script.written().len(), 1_000_000);
    assert!(script.writes().iter().all(|write| write.len() < 65 * 1024));
    assert_eq!(script.writes().len(), 16);
}

#[test]
fn a_message_before_bye_is_echoed_and_bye_is_not() {
    let mut script = Script::reads([b"hello\nbye\n".as_slice(), b"not read"]);
    assert_eq!(run(&mut script, Echo, &config(Framing::Message)), CloseReason::Bye);
    assert_eq!((script.read_calls(), script.writes()), (1, [b"hello\n".to_vec()].as_slice()));

    let mut script = Script::reads([b"bye"]);
    assert_eq!(run(&mut script, Echo, &config(Framing::Message)), CloseReason::Bye);
    assert_eq!((script.read_calls(), script.writes().len()), (1, 0));
}

#[test]
fn raw_framing_echoes_bye_like_anything_else() {
    let mut script = Script::reads([b"bye".as_slice(), b"bye\n", b"\xff\xfd\x06"]);
    assert_eq!(run(&mut script, Echo, &config(Framing::Raw)), CloseReason::EndOfStream);
    assert_eq!(script.written(), b"byebye\n\xff\xfd\x06");
}

#[test]
fn line_framing_refuses_options_and_doubles_255() {
    let mut script = Script::reads([b"a\xff\xfd\x03\xff\xff\n\xff\xfd\x03b".as_slice(), b"\xff\xfb\x1f\n"]);
    assert_eq!(run(&mut script, Echo, &config(Framing::Line)), CloseReason::EndOfStream);
    assert_eq!(script.writes(), [b"\xff\xfc\x03a\xff\xff\n".as_slice(), b"\xff\xfe\x1fb\n"]);
}

#[test]
fn the_last_line_needs_no_line_feed() {
    let mut script = Script::reads([b"one\ntwo"]);
    assert_eq!(run(&mut script, Echo, &config(Framing::Line)), CloseReason::EndOfStream);
    assert_eq!(script.writes(), [b"one\n".as_slice(), b"two"]);

    let mut script = Script::reads([b"one\nbye"]);
    assert_eq!(run(&mut script, Echo, &config(Framing::Line)), CloseReason::Bye);
    assert_eq!(script.writes(), [b"one\n"]);
}

#[test]
fn the_error_for_a_line_over_the_cap_follows_the_earlier_replies() {
    let config = config(Framing::Line).max_line(4);
    let mut script = Script::reads([b"1234\n12345\n"]);
    assert_eq!(run(&mut script, Echo, &config), CloseReason::LineTooLong);
    assert_eq!(script.writes(), [b"1234\n".as_slice(), b"error: a line may have 4 bytes\r\n"]);
}

#[test]
fn input_cut_at_any_byte_gives_the_same_output() {
    let input = b"one\r\n\xff\xf4\xff\xfd\x06two\xff\xff\n\xff\nthree four\n bye \r\nrest";
    let without_bye = &input[..input.len() - " bye \r\nrest".len()];
    for (framing, input) in [(Framing::Line, &input[..]), (Framing::Message, without_bye), (Framing::Raw, input)] {
        let mut whole = Script::reads([input]);
        let reason = run(&mut whole, Echo, &config(framing));
        for at in 1..input.len() {
            let mut cut = Script::reads([&input[..at], &input[at..]]);
            assert_eq!(run(&mut cut, Echo, &config(framing)), reason);
            assert_eq!(cut.written(), whole.written(), "{framing:?} cut at {at}");
        }
    }
}

#[test]
fn a_short_write_is_continued_until_the_write_timeout() {
    for (framing, write_timeout) in
        FRAMINGS.into_iter().flat_map(|framing| [(framing, None), (framing, Some(FUSE))])
    {
        let config = config(framing).write_timeout(write_timeout);
        let mut script = Script::reads([b"hello\n"]).accept(1).accept(2);
        assert_eq!(run(&mut script, Echo, &config), CloseReason::EndOfStream);
        assert_eq!(script.writes(), [b"h".as_slice(), b"el", b"lo\n"]);
    }
}

#[test]
fn a_short_write_after_the_write_timeout_ends_the_session() {
    for framing in FRAMINGS {
        // Every reply takes longer than this.
        let config = config(framing).write_timeout(Some(Duration::from_nanos(1)));
        // After the first one a write is tried once more: the process may have been stopped meanwhile.
        let mut script = Script::reads([b"hello\n".as_slice(), b"not read"]).accept(3).accept(2);
        assert_eq!(run(&mut script, Echo, &config), CloseReason::WriteTimeout);
        assert_eq!((script.read_calls(), script.written()), (1, b"hello".to_vec()));
        let mut script = Script::reads([b"hello\n"]).accept(3);
        assert_eq!(run(&mut script, Echo, &config), CloseReason::EndOfStream);
    }
}

#[test]
fn a_failed_write_ends_the_session_with_its_reason() {
    let cases = [
        (ErrorKind::WouldBlock, CloseReason::WriteTimeout),
        (ErrorKind::BrokenPipe, CloseReason::Failed(ErrorKind::BrokenPipe)),
        (ErrorKind::ConnectionReset, CloseReason::Failed(ErrorKind::ConnectionReset)),
    ];
    for (framing, (kind, reason)) in FRAMINGS.into_iter().flat_map(|framing| cases.map(|case| (framing, case))) {
        let mut script = Script::reads([b"hello\n".as_slice(), b"not read"]).fail_write(kind);
        assert_eq!(run(&mut script, Echo, &config(framing)), reason);
        assert_eq!((script.read_calls(), script.writes().len()), (1, 0));
    }
    let mut script = Script::reads([b"hello\n"]).accept(0);
    assert_eq!(run(&mut script, Echo, &config(Framing::Message)), CloseReason::Failed(ErrorKind::WriteZero));
}

#[test]
fn an_interrupted_call_is_repeated() {
    for framing in FRAMINGS {
        let mut script = Script::default().fail_read(ErrorKind::Interrupted).read(b"hello\n");
        script = script.fail_read(ErrorKind::Interrupted).fail_write(ErrorKind::Interrupted);
        assert_eq!(run(&mut script, Echo, &config(framing)), CloseReason::EndOfStream);
        assert_eq!((script.read_calls(), script.writes()), (4, [b"hello\n".to_vec()].as_slice()));
    }
}

#[test]
fn an_idle_client_gets_a_notice_except_in_raw_framing() {
    for framing in FRAMINGS {
        let mut script = Script::default().read(b"hello\n").fail_read(ErrorKind::WouldBlock);
        assert_eq!(run(&mut script, Echo, &config(framing)), CloseReason::IdleTimeout);
        let notice = b"idle: nothing was received for too long\r\n".to_vec();
        let expected = if framing == Framing::Raw { [].as_slice() } else { &[notice] };
        assert_eq!(&script.writes()[1..], expected);
    }
}

#[test]
fn a_reset_is_a_failure_and_nothing_is_written_after_it() {
    for framing in FRAMINGS {
        let mut script = Script::default().fail_read(ErrorKind::ConnectionReset).read(b"not read");
        assert_eq!(run(&mut script, Echo, &config(framing)), CloseReason::Failed(ErrorKind::ConnectionReset));
        assert_eq!((script.read_calls(), script.writes().len()), (1, 0));
    }
}

#[test]
fn a_handler_that_closes_has_its_answer_sent() {
    for framing in FRAMINGS {
        let mut script = Script::reads([b"one\ntwo\n".as_slice(), b"not read"]);
        let farewell = Answer(|_message, reply| writeln!(reply, "{} and {}", 1, 2).map(|()| Next::Close));
        assert_eq!(run(&mut script, farewell, &config(framing)), CloseReason::ServiceClosed);
        assert_eq!((script.read_calls(), script.writes()), (1, [b"1 and 2\n".to_vec()].as_slice()));
    }
}

#[test]
fn a_handler_that_fails_ends_its_session() {
    for framing in FRAMINGS {
        let mut script = Script::reads([b"one\ntwo\n".as_slice(), b"not read"]);
        let failing = Answer(|_message, reply| {
            reply.write_all(b"partly")?;
            Err(ErrorKind::InvalidData.into())
        });
        assert_eq!(run(&mut script, failing, &config(framing)), CloseReason::ServiceFailed(ErrorKind::InvalidData));
        assert_eq!((script.read_calls(), script.written()), (1, b"partly".to_vec()));
    }
}

#[test]
fn a_handler_that_ignores_a_failed_write_gets_no_further_message() {
    for framing in [Framing::Message, Framing::Raw] {
        let mut script = Script::reads([b"one".as_slice(), b"not read"]).fail_write(ErrorKind::BrokenPipe);
        let careless = Answer(|_message, reply| {
            // Both writes fail, and only the first one reaches the stream.
            let _ = reply.write_all(b"answer");
            let _ = reply.write_all(b"answer");
            Ok(Next::Continue)
        });
        assert_eq!(run(&mut script, careless, &config(framing)), CloseReason::Failed(ErrorKind::BrokenPipe));
        assert_eq!((script.read_calls(), script.write_calls()), (1, 1));
    }
}

#[test]
fn an_empty_answer_causes_no_write() {
    for framing in FRAMINGS {
        let mut script = Script::reads([b"one\ntwo\n".as_slice(); 3]);
        let silent = Answer(|_message, reply| reply.write_all(b"").map(|()| Next::Continue));
        assert_eq!(run(&mut script, silent, &config(framing)), CloseReason::EndOfStream);
        assert_eq!((script.read_calls(), script.write_calls()), (4, 0));
    }
}

#[test]
fn a_flush_sends_the_replies_that_are_held_back() {
    let mut script = Script::reads([b"one\ntwo\n"]);
    let impatient = Answer(|_message, reply| {
        reply.write_all(b"now\n")?;
        reply.flush().map(|()| Next::Continue)
    });
    assert_eq!(run(&mut script, impatient, &config(Framing::Line)), CloseReason::EndOfStream);
    assert_eq!(script.writes(), [b"now\n", b"now\n"]);
}

fn config(framing: Framing) -> ServerConfig {
    ServerConfig::default().framing(framing)
}

/// Runs a session on `script` to its end, and returns the reason.
fn run(script: &mut Script, handler: impl Handler, config: &ServerConfig) -> CloseReason {
    ClientThread::new(script, handler, config).run()
}
