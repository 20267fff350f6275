//! What a server tells: events, totals, sampling.

use std::io::Write;

use hebra::{CloseReason, Event, LogMessages, RunningServer};

use crate::support::{FUSE, address, config, connect, exchange, read_to_end, start};

/// A session of `count` messages.
fn talk(server: &RunningServer, count: usize) {
    let mut client = connect(address(server));
    for _ in 0..count {
        assert_eq!(exchange(&mut client, b"hello"), b"hello");
    }
    client.write_all(b"bye").expect("it is sent");
    assert_eq!(read_to_end(&mut client), b"");
}

#[test]
fn a_session_is_told_from_connect_to_disconnect() {
    let server = start(config());
    let events = server.subscribe();
    talk(&server, 2);
    let next = || events.next_timeout(FUSE).expect("an event");
    let Event::Connected { client } = next() else { panic!("connected first") };
    assert_eq!(client.id, 1);
    for _ in 0..2 {
        let Event::Message { client: sender, excerpt } = next() else { panic!("then the messages") };
        assert_eq!((sender, excerpt.as_bytes()), (client, &b"hello"[..]));
    }
    let told = next();
    let Event::Disconnected { client: leaver, reason, messages, bytes_in, bytes_out, .. } = told else {
        panic!("disconnected last")
    };
    assert_eq!((leaver, reason), (client, CloseReason::Bye));
    assert_eq!((messages, bytes_in, bytes_out), (2, 13, 10));
}

#[test]
fn messages_over_the_budget_are_counted_and_the_totals_stay_exact() {
    const MESSAGES: u64 = 500;
    let server = start(config().log_messages(LogMessages::PerSecond(10)));
    let events = server.subscribe();
    talk(&server, MESSAGES as usize);
    let report = server.shutdown(FUSE);
    assert_eq!(report.stats.messages, MESSAGES);
    assert_eq!(report.stats.events_dropped, 0);
    let (mut told, mut counted, mut at_the_end) = (0, 0, None);
    // The stream of events ends when the server has stopped.
    for event in events {
        match event {
            Event::Message { .. } => told += 1,
            Event::MessagesNotLogged { messages } => counted += messages,
            Event::Totals { stats } => at_the_end = Some(stats),
            _ => {}
        }
    }
    assert!(told >= 10, "{told}");
    assert_eq!(told + counted, MESSAGES);
    assert_eq!(at_the_end.map(|stats| stats.messages), Some(MESSAGES));
}

#[test]
fn with_messages_off_connections_are_told_all_the_same() {
    let server = start(config().log_messages(LogMessages::Off));
    let events = server.subscribe();
    talk(&server, 10);
    server.shutdown(FUSE);
    let told: Vec<String> = events.map(|event| event.to_string()).collect();
    assert!(told[0].ends_with("connected"), "{told:?}");
    assert!(told[1].contains("disconnected: bye; messages=10 bytes_in=53 bytes_out=50"), "{told:?}");
    assert!(!told.iter().any(|line| line.contains("says") || line.contains("not logged")), "{told:?}");
}
