//! The accept loop: one thread for each listener.
//!
//! It classifies errors, backs off, and hands each connection to the server, which admits or refuses it. It
//! never waits for a client, and nothing but the shutdown token ends it.

use std::net::{SocketAddr, TcpListener};
use std::time::Instant;

use super::Core;
use crate::Event;
use crate::net::backoff::{Failures, is_about_one_peer};

/// Accepts until the token is set.
pub(crate) fn run(listener: &TcpListener, address: SocketAddr, core: &Core) {
    let mut failures = Failures::default();
    while !core.token.is_set() {
        match listener.accept() {
            Ok((stream, peer)) => {
                if let Some(failures) = failures.end(Instant::now()) {
                    core.sink.send(Event::AcceptRecovered { address, failures });
                }
                core.arrive(stream, peer);
            }
            Err(error) if core.token.is_set() || is_about_one_peer(&error) => {}
            Err(error) => {
                if failures.is_first() {
                    core.sink.send(Event::AcceptFailing { address, cause: error.to_string() });
                }
                // A client that leaves may be what was lacking: then it is tried again soon.
                if core.admission.wait_freed(failures.next_pause(Instant::now())) {
                    failures.begin_pauses_anew();
                }
            }
        }
    }
}
