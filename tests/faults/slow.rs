//! Clients that write or read slowly, and sessions that last too long.

use std::io::{Read, Write};
use std::thread;
use std::time::Duration;

use hebra::{CloseReason, Event, Framing};

use crate::support::{address, clog_server, config, connect, connect_served, start};
use crate::{chat, stop_and_balance, wait_for};

/// The conversation is cut in two in every possible way, with a pause between the parts.
#[test]
fn a_conversation_cut_at_every_byte_reads_the_same() {
    let input = b"hola\r\nque tal\n\xff\xf4\xff\xfd\x06 goodbye\nbye\r\nnever";
    for (framing, output) in [
        (Framing::Message, &input[..input.len() - b"bye\r\nnever".len()]),
        (Framing::Line, b"hola\r\nque tal\n\xff\xfc\x06 goodbye\n"),
        (Framing::Raw, input),
    ] {
        let server = start(config().framing(framing).workers(64));
        for cut in 1..input.len() {
            let mut client = connect(address(&server));
            let before = server.stats().bytes_in;
            client.write_all(&input[..cut]).expect("it is sent");
            // The second part is sent when the first has been read.
            while server.stats().bytes_in < before + cut as u64 {
                thread::yield_now();
            }
            // The session may have ended with the first part.
            let _ = client.write_all(&input[cut..]);
            let _ = client.shutdown(std::net::Shutdown::Write);
            let mut echo = Vec::new();
            client.read_to_end(&mut echo).expect("a clean end of stream");
            // The part of a split `bye` that was in the first read is echoed. The rest of its line is not.
            let bye = output.len()..output.len() + b"bye\r\n".len();
            let expected = match framing {
                Framing::Message if bye.contains(&cut) => &input[..cut],
                _ => output,
            };
            assert_eq!(echo, expected, "{framing:?} cut at {cut}");
        }
        stop_and_balance(server);
    }
}

#[test]
fn a_client_that_sends_a_byte_now_and_then_is_served_and_delays_no_other() {
    let server = start(config());
    let mut dripping = connect_served(address(&server));
    let mut bystander = connect_served(address(&server));
    let pace = crossbeam_channel::tick(Duration::from_millis(20));
    for byte in b"one byte at a time" {
        pace.recv().expect("it ticks");
        dripping.write_all(&[*byte]).expect("it is sent");
        chat(&mut bystander);
        let mut echo = [0];
        dripping.read_exact(&mut echo).expect("it is echoed");
        assert_eq!(echo, [*byte]);
    }
}

#[test]
fn clients_that_never_read_are_disconnected_and_delay_no_other() {
    const CLOGGED: usize = 8;
    let server = start(config().workers(CLOGGED + 1).write_timeout(Some(Duration::from_secs(2))));
    let events = server.subscribe();
    let mut bystander = connect_served(address(&server));
    thread::scope(|scope| {
        for _ in 0..CLOGGED {
            scope.spawn(|| {
                let client = connect_served(address(&server));
                let mut sender = &client;
                while sender.write_all(&[b'x'; 64 * 1024]).is_ok() {}
            });
        }
        // The bystander is served all the time.
        let is_slow =
            |event: &Event| matches!(event, Event::Disconnected { reason: CloseReason::WriteTimeout, .. });
        let mut ended = 0;
        while ended < CLOGGED {
            chat(&mut bystander);
            ended += std::iter::from_fn(|| events.try_next()).filter(is_slow).count();
        }
    });
    drop(bystander);
    stop_and_balance(server);
}

#[test]
fn a_lifetime_ends_busy_and_silent_sessions_alike() {
    let server = start(config().max_lifetime(Some(Duration::from_millis(300))));
    let events = server.subscribe();
    let mut silent = connect_served(address(&server));
    let mut busy = connect_served(address(&server));
    let mut notice = String::new();
    while busy.write_all(b"hello").is_ok() {
        let mut echo = [0; 5];
        match busy.read(&mut echo) {
            Ok(5) if &echo == b"hello" => {}
            Ok(count) => {
                notice.push_str(&String::from_utf8_lossy(&echo[..count]));
                busy.read_to_string(&mut notice).expect("a clean end of stream");
                break;
            }
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!(notice, "error: the session has lasted too long\r\n");
    notice.clear();
    silent.read_to_string(&mut notice).expect("a clean end of stream");
    assert_eq!(notice, "error: the session has lasted too long\r\n");
    wait_for(&events, 2, |event| matches!(event, Event::Disconnected { reason: CloseReason::Expired, .. }));
}

#[test]
fn a_server_with_a_clogged_session_can_be_dropped() {
    let server = start(config());
    let client = clog_server(&server);
    drop(server);
    drop(client);
}
