//! The faults that hebra survives, in a module for each family.

#[path = "../support/mod.rs"]
mod support;

mod resets;
mod slow;
mod floods;
mod panics;
mod yielding;
mod peers;
mod descriptors;
mod logs;
mod stops;
mod soak;
mod soak_room;

use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use hebra::{Event, RunningServer, Stats, Subscription};
use socket2::SockRef;

use support::{FUSE, connect_served, exchange, say_bye};

/// Closes a connection with a reset instead of an end of stream.
fn reset(stream: TcpStream) {
    SockRef::from(&stream).set_linger(Some(Duration::ZERO)).expect("a socket");
}

/// Asserts that the server still serves: a client connects, is echoed and leaves.
fn assert_serves(address: SocketAddr) {
    let mut client = connect_served(address);
    say_bye(&mut client);
}

/// Stops the server, and asserts that its totals add up: every accepted client was refused or has ended.
fn stop_and_balance(server: RunningServer) -> Stats {
    let report = server.shutdown(FUSE);
    let stats = report.stats;
    assert_eq!((report.cut_off, report.abandoned), (0, 0));
    assert_eq!(stats.accepted, stats.refused + stats.finished, "{stats}");
    assert_eq!((stats.live, stats.waiting), (0, 0));
    stats
}

/// Waits for `count` events that satisfy `pick`.
fn wait_for(events: &Subscription, count: usize, pick: impl Fn(&Event) -> bool) {
    let picked = std::iter::from_fn(|| events.next_timeout(FUSE)).filter(|event| pick(event));
    assert_eq!(picked.take(count).count(), count);
}

/// Exchanges ten messages.
fn chat(stream: &mut TcpStream) {
    for number in 0_u64..10 {
        let message = format!("{number}\n");
        assert_eq!(exchange(stream, message.as_bytes()), message.as_bytes());
    }
}
