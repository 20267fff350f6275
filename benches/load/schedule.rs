//! When the requests of an open loop are due: evenly, each connection in its turn, whatever the server does.

use std::time::{Duration, Instant};

/// The turns of one event loop's connections.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Schedule {
    start: Instant,
    rate: f64,
    connections: u64,
    next: u64,
}

impl Schedule {
    /// `rate` requests a second from `start` on, over `connections`.
    pub(crate) fn new(start: Instant, rate: f64, connections: usize) -> Self {
        Self { start, rate, connections: connections as u64, next: 0 }
    }

    /// The connection whose turn has come by `now`, if there is another one.
    pub(crate) fn take_due(&mut self, now: Instant) -> Option<usize> {
        (self.next_due() <= now).then(|| {
            let slot = self.next % self.connections;
            self.next += 1;
            slot as usize
        })
    }

    /// When the next turn comes.
    pub(crate) fn next_due(&self) -> Instant {
        self.turn(self.next)
    }

    /// When the connection in `slot` was to begin its request of that number.
    pub(crate) fn intended(&self, slot: usize, request: u64) -> Instant {
        self.turn(request * self.connections + slot as u64)
    }

    /// From the number of the turn, so that no rounding adds up.
    fn turn(&self, turn: u64) -> Instant {
        self.start + Duration::from_secs_f64(turn as f64 / self.rate)
    }
}
