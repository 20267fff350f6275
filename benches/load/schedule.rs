//! When the requests of an open loop are due: evenly, each connection in its turn, whatever the server does.

use std::time::{Duration, Instant};

/// The turns of one event loop's connections, between which those of the others are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Schedule {
    start: Instant,
    rate: f64,
    /// Of all event loops.
    connections: u64,
    loops: u64,
    /// Of the event loop.
    number: u64,
    next: u64,
}

impl Schedule {
    /// Of event loop `number` of `loops`, which share `connections` and make `rate` requests a second from
    /// `start` on.
    pub(crate) fn new(start: Instant, rate: f64, connections: usize, loops: usize, number: usize) -> Self {
        let [connections, loops, number] = [connections, loops, number].map(|count| count as u64);
        Self { start, rate, connections, loops, number, next: 0 }
    }

    /// The connection whose turn has come by `now`, if there is another one.
    pub(crate) fn take_due(&mut self, now: Instant) -> Option<usize> {
        (self.next_due() <= now).then(|| {
            let (slot, _) = self.request(self.next);
            self.next += 1;
            slot
        })
    }

    /// When the next turn comes.
    pub(crate) fn next_due(&self) -> Instant {
        let (slot, request) = self.request(self.next);
        self.intended(slot, request)
    }

    /// When the connection in `slot` was to begin its request of that number. From the number of the turn among
    /// those of all event loops, so that no rounding adds up.
    pub(crate) fn intended(&self, slot: usize, request: u64) -> Instant {
        let turn = request * self.connections + self.number + slot as u64 * self.loops;
        self.start + Duration::from_secs_f64(turn as f64 / self.rate)
    }

    /// Whose turn that of the event loop's is, and for which of its requests.
    fn request(&self, turn: u64) -> (usize, u64) {
        let own = (self.connections - self.number).div_ceil(self.loops);
        ((turn % own) as usize, turn / own)
    }
}
