//! When the requests of an open loop are due: at even intervals, in turn on each connection, whatever the server does.

use std::time::{Duration, Instant};

/// The turns of the connections of one event loop, interleaved with those of the other loops.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Schedule {
    start: Instant,
    rate: f64,
    /// Number of connections of all event loops.
    connections: u64,
    loops: u64,
    /// Number of this event loop.
    number: u64,
    next: u64,
}

impl Schedule {
    /// The schedule of event loop `number` of `loops`. All loops together have `connections` connections and make
    /// `rate` requests per second from `start` on.
    pub(crate) fn new(start: Instant, rate: f64, connections: usize, loops: usize, number: usize) -> Self {
        let [connections, loops, number] = [connections, loops, number].map(|count| count as u64);
        Self { start, rate, connections, loops, number, next: 0 }
    }

    /// Takes the next turn that has come by `now`, and returns its connection.
    pub(crate) fn take_due(&mut self, now: Instant) -> Option<usize> {
        (self.next_due() <= now).then(|| {
            let (slot, _) = self.request(self.next);
            self.next += 1;
            slot
        })
    }

    /// Returns when the next turn comes.
    pub(crate) fn next_due(&self) -> Instant {
        let (slot, request) = self.request(self.next);
        self.intended(slot, request)
    }

    /// Returns when the connection in `slot` was to begin its request of that number. The time is computed from the
    /// number of the turn among those of all event loops, so that rounding errors do not add up.
    pub(crate) fn intended(&self, slot: usize, request: u64) -> Instant {
        let turn = request * self.connections + self.number + slot as u64 * self.loops;
        self.time_of(turn)
    }

    /// Returns how many requests of all event loops together are due before `moment`.
    pub(crate) fn turns_before(&self, moment: Instant) -> u64 {
        let mut turns = (moment.saturating_duration_since(self.start).as_secs_f64() * self.rate) as u64;
        // The product is rounded, so it may be off by one. The time of a turn decides.
        while turns > 0 && self.time_of(turns - 1) >= moment {
            turns -= 1;
        }
        while self.time_of(turns) < moment {
            turns += 1;
        }
        turns
    }

    /// Returns how many requests of the connection in `slot` are due before `moment`.
    pub(crate) fn requests_before(&self, slot: usize, moment: Instant) -> u64 {
        let first = self.number + slot as u64 * self.loops;
        self.turns_before(moment).saturating_sub(first).div_ceil(self.connections)
    }

    fn time_of(&self, turn: u64) -> Instant {
        self.start + Duration::from_secs_f64(turn as f64 / self.rate)
    }

    /// Returns the slot and the request that a turn of this event loop belongs to.
    fn request(&self, turn: u64) -> (usize, u64) {
        let own = (self.connections - self.number).div_ceil(self.loops);
        ((turn % own) as usize, turn / own)
    }
}
