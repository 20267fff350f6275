//! The accept loop: one thread for each listener.
//!
//! It classifies errors, backs off, and hands each connection to the server, which admits or refuses it. It never waits
//! for a client, and nothing but the shutdown token ends it.

use std::time::Instant;

use super::worker::Core;
use crate::events::Event;
use crate::net::backoff::{Backoff, concerns_one_peer};
use crate::net::listener::Listener;

/// Accepts until the token is set.
pub(crate) fn run(listener: &Listener, core: &Core) {
    let mut backoff = Backoff::default();
    while !core.token.is_set() {
        match listener.accept() {
            Ok((stream, peer)) => {
                if let Some(failures) = backoff.succeed(Instant::now()) {
                    core.sink.send(Event::AcceptRecovered { address: listener.address.clone(), failures });
                }
                core.arrive(stream, peer, listener);
            }
            Err(error) if core.token.is_set() || concerns_one_peer(&error) => {}
            Err(error) => {
                if backoff.is_first() {
                    let address = listener.address.clone();
                    core.sink.send(Event::AcceptFailing { address, cause: error.to_string() });
                }
                // A client that leaves may free what was lacking: then accepting is tried again soon.
                if core.admission.wait_freed(backoff.next_pause(Instant::now())) {
                    backoff.reset_pauses();
                }
            }
        }
    }
}
