//! How fast a room passes on what is said.

use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use hebra::rate::{Bucket, Rate};

/// How often a second as much may be said as may wait for a client. A client that reads is behind by less than that,
/// even if nothing reaches it for a fifth of a second.
const QUEUES_A_SECOND: u64 = 4;

/// How much faster speakers may be for a moment: what the pace allows in this time may be said at once.
const BURST: Duration = Duration::from_millis(64);

/// Shorter waits add up before a speaker sleeps, because a sleep takes longer than it is asked for.
const SHORTEST_WAIT: Duration = Duration::from_millis(5);

/// The pace of a room. All speakers share it, because each client is sent what all of them say: with a pace for each
/// speaker, twenty who paste a page at once drop clients that read as fast as they can.
#[derive(Debug)]
pub(super) struct Pace {
    rate: Rate,
    bucket: Mutex<Bucket>,
}

impl Pace {
    /// The pace of a room of whose lines `max_outgoing` bytes may wait for a client.
    pub(super) fn new(max_outgoing: usize) -> Self {
        let rate = Rate::new(max_outgoing as u64 * QUEUES_A_SECOND, BURST);
        let bucket = Mutex::new(rate.full_bucket(Instant::now()));
        Self { rate, bucket }
    }

    /// Lets a speaker say so many bytes, and sleeps for as long as that is too fast. Speakers take turns.
    pub(super) fn keep(&self, bytes: usize) {
        loop {
            let asked = Instant::now();
            let mut bucket = self.bucket.lock().unwrap_or_else(PoisonError::into_inner);
            let wait = self.rate.take(&mut bucket, bytes as u64, asked);
            drop(bucket);
            if wait < SHORTEST_WAIT {
                return;
            }
            thread::sleep(wait);
            // After a pause of the whole process all speakers wake at once, so they take turns again.
            if asked.elapsed() < wait + BURST {
                return;
            }
        }
    }
}
