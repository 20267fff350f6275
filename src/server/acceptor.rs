//! The accept loop: one thread for each listener.
//!
//! It classifies errors, backs off, and hands each connection to the server, which admits or refuses it. It never waits
//! for a client, and nothing but the shutdown token ends it.

use std::time::Instant;

use super::heartbeat::Beat;
use super::worker::Core;
use crate::client::ListenAddress;
use crate::events::Event;
use crate::net::backoff::{Backoff, concerns_one_peer};
use crate::net::listener::Listener;

/// Accepts until the token is set. `beat` shows that the thread runs.
pub(super) fn run(listener: &Listener, beat: &Beat, core: &Core) {
    let mut backoff = Backoff::default();
    while !core.token.is_set() {
        beat.beat();
        match listener.accept() {
            Ok((stream, peer)) => {
                if let Some(failures) = backoff.succeed(Instant::now()) {
                    core.sink.send(Event::AcceptRecovered {
                        address: ListenAddress::clone(&listener.address),
                        failures,
                    });
                }
                core.arrive(stream, peer, listener, beat);
            }
            Err(error) if core.token.is_set() || concerns_one_peer(&error) => {}
            Err(error) if listener.has_timed_out(&error) => {}
            Err(error) => {
                if backoff.is_first() {
                    let address = ListenAddress::clone(&listener.address);
                    core.sink.send(Event::AcceptFailing { address, cause: error.to_string() });
                }
                beat.rest();
                // A client that leaves may free what was lacking: then accepting is tried again soon.
                if core.admission.wait_freed(backoff.next_pause(Instant::now())) {
                    backoff.reset_pauses();
                }
            }
        }
    }
}
