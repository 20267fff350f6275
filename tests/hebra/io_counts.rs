//! What a session does to its stream: how often it reads and writes, and what errors of the stream mean.
//!
//! The stream is a script in memory, so every count is exact and nothing waits.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::time::Duration;

use hebra::{ClientThread, CloseReason, Echo, Framing, Handler, Next, ServerConfig};

use crate::support::FUSE;

const FRAMINGS: [Framing; 3] = [Framing::Message, Framing::Line, Framing::Raw];

#[test]
fn each_message_costs_one_read_and_one_write() {
    for framing in [Framing::Message, Framing::Raw] {
        let mut script = Script::reads(&[b"hello\n".as_slice(); 100]);
        assert_eq!(script.run(Echo, &config(framing)), CloseReason::EndOfStream);
        assert_eq!((script.read_calls, script.writes.len()), (101, 100));
        assert_eq!(script.output(), b"hello\n".repeat(100));
    }
}

#[test]
fn many_lines_in_one_read_cost_one_write() {
    let mut script = Script::reads(&[b"one\r\ntwo\n\nthr", b"ee\nbye\nnot read\n"]);
    assert_eq!(script.run(Echo, &config(Framing::Line)), CloseReason::Bye);
    assert_eq!(script.read_calls, 2);
    assert_eq!(script.writes, [b"one\r\ntwo\n\n".as_slice(), b"three\n"]);
}

#[test]
fn replies_to_many_lines_are_sent_before_they_fill_memory() {
    let mut script = Script::reads(&[&[b'\n'; 1000]]);
    let thousand = Answer(|reply| reply.write_all(&[b'x'; 1000]).map(|()| Next::Continue));
    assert_eq!(script.run(thousand, &config(Framing::Line)), CloseReason::EndOfStream);
    assert_eq!(script.output().len(), 1_000_000);
    assert!(script.writes.iter().all(|write| write.len() < 65 * 1024));
    assert_eq!(script.writes.len(), 16);
}

#[test]
fn a_message_before_bye_is_echoed_and_bye_is_not() {
    let mut script = Script::reads(&[b"hello\nbye\n", b"not read"]);
    assert_eq!(script.run(Echo, &config(Framing::Message)), CloseReason::Bye);
    assert_eq!((script.read_calls, script.writes.as_slice()), (1, [b"hello\n".to_vec()].as_slice()));

    let mut script = Script::reads(&[b"bye"]);
    assert_eq!(script.run(Echo, &config(Framing::Message)), CloseReason::Bye);
    assert_eq!((script.read_calls, script.writes.len()), (1, 0));
}

#[test]
fn raw_framing_echoes_bye_like_anything_else() {
    let mut script = Script::reads(&[b"bye", b"bye\n", b"\xff\xfd\x06"]);
    assert_eq!(script.run(Echo, &config(Framing::Raw)), CloseReason::EndOfStream);
    assert_eq!(script.output(), b"byebye\n\xff\xfd\x06");
}

#[test]
fn line_framing_refuses_options_and_doubles_255() {
    let mut script = Script::reads(&[b"a\xff\xfd\x06\xff\xff\n\xff\xfd\x06b", b"\xff\xfb\x1f\n"]);
    assert_eq!(script.run(Echo, &config(Framing::Line)), CloseReason::EndOfStream);
    assert_eq!(script.writes, [b"\xff\xfc\x06a\xff\xff\n".as_slice(), b"\xff\xfe\x1fb\n"]);
}

#[test]
fn the_last_line_needs_no_line_feed() {
    let mut script = Script::reads(&[b"one\ntwo"]);
    assert_eq!(script.run(Echo, &config(Framing::Line)), CloseReason::EndOfStream);
    assert_eq!(script.writes, [b"one\n".as_slice(), b"two"]);

    let mut script = Script::reads(&[b"one\nbye"]);
    assert_eq!(script.run(Echo, &config(Framing::Line)), CloseReason::Bye);
    assert_eq!(script.writes, [b"one\n"]);
}

#[test]
fn a_line_over_the_cap_is_told_after_the_replies_that_are_due() {
    let config = ServerConfig { max_line: 4, ..config(Framing::Line) };
    let mut script = Script::reads(&[b"1234\n12345\n"]);
    assert_eq!(script.run(Echo, &config), CloseReason::LineTooLong);
    assert_eq!(script.writes, [b"1234\n".as_slice(), b"error: a line may have 4 bytes\r\n"]);
}

#[test]
fn input_cut_at_any_byte_gives_the_same_output() {
    let input = b"one\r\n\xff\xf4\xff\xfd\x06two\xff\xff\n\xff\nthree four\n bye \r\nrest";
    let without_bye = &input[..input.len() - " bye \r\nrest".len()];
    for (framing, input) in [(Framing::Line, &input[..]), (Framing::Message, without_bye), (Framing::Raw, input)] {
        let mut whole = Script::reads(&[input]);
        let reason = whole.run(Echo, &config(framing));
        for at in 1..input.len() {
            let mut cut = Script::reads(&[&input[..at], &input[at..]]);
            assert_eq!(cut.run(Echo, &config(framing)), reason);
            assert_eq!(cut.output(), whole.output(), "{framing:?} cut at {at}");
        }
    }
}

#[test]
fn a_short_write_is_continued_while_there_is_time() {
    for (framing, write_timeout) in
        FRAMINGS.into_iter().flat_map(|framing| [(framing, None), (framing, Some(FUSE))])
    {
        let config = ServerConfig { write_timeout, ..config(framing) };
        let mut script = Script::reads(&[b"hello\n"]).accepting([Ok(1), Ok(2)]);
        assert_eq!(script.run(Echo, &config), CloseReason::EndOfStream);
        assert_eq!(script.writes, [b"h".as_slice(), b"el", b"lo\n"]);
    }
}

#[test]
fn a_short_write_after_that_is_the_write_timeout() {
    for framing in FRAMINGS {
        // Less than any reply takes.
        let config = ServerConfig { write_timeout: Some(Duration::from_nanos(1)), ..config(framing) };
        let mut script = Script::reads(&[b"hello\n", b"not read"]).accepting([Ok(5)]);
        assert_eq!(script.run(Echo, &config), CloseReason::WriteTimeout);
        assert_eq!((script.read_calls, script.output()), (1, b"hello".to_vec()));
    }
}

#[test]
fn what_a_failed_write_means() {
    let cases = [
        (ErrorKind::WouldBlock, CloseReason::WriteTimeout),
        (ErrorKind::BrokenPipe, CloseReason::Failed(ErrorKind::BrokenPipe)),
        (ErrorKind::ConnectionReset, CloseReason::Failed(ErrorKind::ConnectionReset)),
    ];
    for (framing, (kind, reason)) in FRAMINGS.into_iter().flat_map(|framing| cases.map(|case| (framing, case))) {
        let mut script = Script::reads(&[b"hello\n", b"not read"]).accepting([Err(kind)]);
        assert_eq!(script.run(Echo, &config(framing)), reason);
        assert_eq!((script.read_calls, script.writes.len()), (1, 0));
    }
    let mut script = Script::reads(&[b"hello\n"]).accepting([Ok(0)]);
    assert_eq!(script.run(Echo, &config(Framing::Message)), CloseReason::Failed(ErrorKind::WriteZero));
}

#[test]
fn an_interrupted_call_is_made_again() {
    for framing in FRAMINGS {
        let reads = [Err(ErrorKind::Interrupted), Ok(b"hello\n".to_vec()), Err(ErrorKind::Interrupted)];
        let mut script = Script { reads: reads.into(), ..Script::default() };
        script.accept = [Err(ErrorKind::Interrupted)].into();
        assert_eq!(script.run(Echo, &config(framing)), CloseReason::EndOfStream);
        assert_eq!((script.read_calls, script.writes.as_slice()), (4, [b"hello\n".to_vec()].as_slice()));
    }
}

#[test]
fn an_idle_client_is_told_except_in_raw_framing() {
    for framing in FRAMINGS {
        let reads = [Ok(b"hello\n".to_vec()), Err(ErrorKind::WouldBlock)];
        let mut script = Script { reads: reads.into(), ..Script::default() };
        assert_eq!(script.run(Echo, &config(framing)), CloseReason::IdleTimeout);
        let told = b"idle: nothing was received for too long\r\n".to_vec();
        let expected = if framing == Framing::Raw { [].as_slice() } else { &[told] };
        assert_eq!(&script.writes[1..], expected);
    }
}

#[test]
fn a_reset_is_a_failure_and_nothing_is_written_after_it() {
    for framing in FRAMINGS {
        let reads = [Err(ErrorKind::ConnectionReset), Ok(b"not read".to_vec())];
        let mut script = Script { reads: reads.into(), ..Script::default() };
        assert_eq!(script.run(Echo, &config(framing)), CloseReason::Failed(ErrorKind::ConnectionReset));
        assert_eq!((script.read_calls, script.writes.len()), (1, 0));
    }
}

#[test]
fn a_handler_that_closes_has_its_answer_sent() {
    for framing in FRAMINGS {
        let mut script = Script::reads(&[b"one\ntwo\n", b"not read"]);
        let farewell = Answer(|reply| writeln!(reply, "{} and {}", 1, 2).map(|()| Next::Close));
        assert_eq!(script.run(farewell, &config(framing)), CloseReason::ServiceClosed);
        assert_eq!((script.read_calls, script.writes.as_slice()), (1, [b"1 and 2\n".to_vec()].as_slice()));
    }
}

#[test]
fn a_handler_that_fails_ends_its_session() {
    for framing in FRAMINGS {
        let mut script = Script::reads(&[b"one\ntwo\n", b"not read"]);
        let failing = Answer(|reply| {
            reply.write_all(b"partly")?;
            Err(ErrorKind::InvalidData.into())
        });
        assert_eq!(script.run(failing, &config(framing)), CloseReason::ServiceFailed(ErrorKind::InvalidData));
        assert_eq!((script.read_calls, script.output()), (1, b"partly".to_vec()));
    }
}

#[test]
fn a_handler_that_ignores_a_failed_write_is_not_asked_again() {
    for framing in [Framing::Message, Framing::Raw] {
        let mut script = Script::reads(&[b"one", b"not read"]).accepting([Err(ErrorKind::BrokenPipe)]);
        let careless = Answer(|reply| {
            // Both fail, and only the first reaches the stream.
            let _ = reply.write_all(b"answer");
            let _ = reply.write_all(b"answer");
            Ok(Next::Continue)
        });
        assert_eq!(script.run(careless, &config(framing)), CloseReason::Failed(ErrorKind::BrokenPipe));
        assert_eq!((script.read_calls, script.write_calls), (1, 1));
    }
}

#[test]
fn an_empty_answer_is_no_write() {
    for framing in FRAMINGS {
        let mut script = Script::reads(&[b"one\ntwo\n".as_slice(); 3]);
        let silent = Answer(|reply| reply.write_all(b"").map(|()| Next::Continue));
        assert_eq!(script.run(silent, &config(framing)), CloseReason::EndOfStream);
        assert_eq!((script.read_calls, script.write_calls), (4, 0));
    }
}

#[test]
fn a_flush_sends_the_replies_that_are_held_back() {
    let mut script = Script::reads(&[b"one\ntwo\n"]);
    let impatient = Answer(|reply| {
        reply.write_all(b"now\n")?;
        reply.flush().map(|()| Next::Continue)
    });
    assert_eq!(script.run(impatient, &config(Framing::Line)), CloseReason::EndOfStream);
    assert_eq!(script.writes, [b"now\n", b"now\n"]);
}

fn config(framing: Framing) -> ServerConfig {
    ServerConfig { framing, ..ServerConfig::default() }
}

/// A handler that gives the same answer to every message.
struct Answer(fn(&mut dyn Write) -> io::Result<Next>);

impl Handler for Answer {
    fn message(&mut self, _message: &[u8], reply: &mut dyn Write) -> io::Result<Next> {
        self.0(reply)
    }
}

/// A stream that returns what it was told to, then its end, and notes what is done to it.
#[derive(Default)]
struct Script {
    reads: VecDeque<Result<Vec<u8>, ErrorKind>>,
    /// What the first writes take or fail with. Later ones take all.
    accept: VecDeque<Result<usize, ErrorKind>>,
    read_calls: usize,
    write_calls: usize,
    /// What each successful write took.
    writes: Vec<Vec<u8>>,
}

impl Script {
    fn reads(reads: &[&[u8]]) -> Self {
        Self { reads: reads.iter().map(|read| Ok(read.to_vec())).collect(), ..Self::default() }
    }

    fn accepting<const N: usize>(self, accept: [Result<usize, ErrorKind>; N]) -> Self {
        Self { accept: accept.into(), ..self }
    }

    /// Runs a session to its end.
    fn run(&mut self, handler: impl Handler, config: &ServerConfig) -> CloseReason {
        ClientThread::new(self, handler, config).run()
    }

    fn output(&self) -> Vec<u8> {
        self.writes.concat()
    }
}

impl Read for Script {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.read_calls += 1;
        let bytes = self.reads.pop_front().unwrap_or(Ok(Vec::new()))?;
        buffer[..bytes.len()].copy_from_slice(&bytes);
        Ok(bytes.len())
    }
}

impl Write for Script {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_calls += 1;
        let taken = self.accept.pop_front().unwrap_or(Ok(bytes.len()))?;
        if taken > 0 {
            self.writes.push(bytes[..taken].to_vec());
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
