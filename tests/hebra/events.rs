//! The events of a server: what is reported, the budget of message reports, and the totals.

use hebra::{CloseReason, Event, LogMessages, RunningServer};

use crate::support::{FUSE, address, config, connect, exchange, say_bye, start};

/// Runs a session of `count` messages, which ends with `bye`.
fn talk(server: &RunningServer, count: usize) {
    let mut client = connect(address(server));
    for _ in 0..count {
        assert_eq!(exchange(&mut client, b"hello"), b"hello");
    }
    say_bye(&mut client);
}

#[test]
fn a_session_is_reported_from_connect_to_disconnect() {
    let server = start(config());
    let events = server.subscribe();
    talk(&server, 2);
    let next = || events.next_timeout(FUSE).expect("an event");
    let Event::Connected { client, .. } = next() else { panic!("connected first") };
    assert_eq!(client.id, 1);
    for _ in 0..2 {
        let Event::Message { client: sender, excerpt } = next() else { panic!("then the messages") };
        assert_eq!((sender, excerpt.as_bytes()), (client, &b"hello"[..]));
    }
    let last = next();
    let Event::Disconnected { client: leaver, reason, messages, bytes_in, bytes_out, .. } = last else {
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
    let (mut reported, mut counted, mut totals) = (0, 0, None);
    // The stream of events ends when the server has stopped.
    for event in events {
        match event {
            Event::Message { .. } => reported += 1,
            Event::MessagesNotLogged { messages } => counted += messages,
            Event::Totals { stats } => totals = Some(stats),
            _ => {}
        }
    }
    assert!(reported >= 10, "{reported}");
    assert_eq!(reported + counted, MESSAGES);
    assert_eq!(totals.map(|stats| stats.messages), Some(MESSAGES));
}

#[test]
fn connections_are_reported_even_with_messages_off() {
    let server = start(config().log_messages(LogMessages::Off));
    let events = server.subscribe();
    talk(&server, 10);
    server.shutdown(FUSE);
    let lines: Vec<String> = events.map(|event| event.to_string()).collect();
    assert!(lines[0].ends_with("connected"), "{lines:?}");
    assert!(lines[1].contains("disconnected: bye; messages=10 bytes_in=53 bytes_out=50"), "{lines:?}");
    assert!(!lines.iter().any(|line| line.contains("says") || line.contains("not logged")), "{lines:?}");
}
