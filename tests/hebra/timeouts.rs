//! Clients that are silent or do not read: each limit ends the session, and the event names the limit.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use hebra::{CloseReason, Framing, RunningServer};

use crate::support::{self, FUSE, address, config, connect, connect_served, read_to_end, start};

const SHORT: Duration = Duration::from_millis(50);

/// Calls `act`, and returns the reason of the first session that ends.
fn next_reason(server: &RunningServer, act: impl FnOnce()) -> CloseReason {
    let events = server.subscribe();
    act();
    support::next_reason(&events)
}

/// Sends until the connection fails, and returns the kind of the error. Reads nothing.
fn flood(mut client: &TcpStream) -> ErrorKind {
    loop {
        if let Err(error) = client.write_all(&[b'x'; 64 * 1024]) {
            return error.kind();
        }
    }
}

#[test]
fn a_silent_client_gets_a_notice_and_is_closed() {
    let server = start(config().idle_timeout(Some(SHORT)));
    let mut client = connect(address(&server));
    let reason = next_reason(&server, || {
        assert_eq!(read_to_end(&mut client), b"idle: nothing was received for too long\r\n");
    });
    assert_eq!(reason, CloseReason::IdleTimeout);
}

#[test]
fn a_raw_stream_carries_no_notice() {
    let server = start(config().idle_timeout(Some(SHORT)).framing(Framing::Raw));
    assert_eq!(read_to_end(&mut connect(address(&server))), b"");
}

#[test]
fn a_client_that_does_not_read_is_reset() {
    let server = start(config().write_timeout(Some(SHORT)));
    let client = connect_served(address(&server));
    let reason = next_reason(&server, || {
        let kind = flood(&client);
        assert!(matches!(kind, ErrorKind::ConnectionReset | ErrorKind::BrokenPipe), "{kind}");
    });
    assert_eq!(reason, CloseReason::WriteTimeout);
}

#[test]
fn a_client_that_reads_a_little_now_and_then_is_reset_too() {
    let server = start(config().write_timeout(Some(4 * SHORT)));
    let client = connect_served(address(&server));
    let reason = next_reason(&server, || {
        std::thread::scope(|scope| {
            scope.spawn(|| flood(&client));
            // The pace is that of a slow reader, which this test is about. Nothing is synchronised by it.
            let pace = crossbeam_channel::tick(SHORT / 2);
            while (&client).read(&mut [0; 512]).is_ok_and(|count| count > 0) {
                pace.recv_timeout(FUSE).expect("it ticks");
            }
        });
    });
    assert_eq!(reason, CloseReason::WriteTimeout);
}
