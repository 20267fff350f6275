//! When the bytes of an answer are due at a byte rate.
//!
//! The token bucket of [`rate`](crate::rate) does not serve here. It lets a burst pass, and what a thread that is woken
//! late has lost beyond that burst is lost, so that the errors of many short waits add up. This is a schedule: each byte
//! has a time of its own, and a late one does not move those behind it.

use std::time::{Duration, Instant};

/// A piece takes about this long.
const PIECE: Duration = Duration::from_millis(20);

/// Shorter waits are put off, and made up for in the next one.
const SHORTEST_WAIT: Duration = Duration::from_millis(1);

/// What may be saved from one answer to the next, because a client that sends at once still takes a moment.
const SAVED: Duration = Duration::from_millis(20);

/// How long the writes of an answer may take to be made up for. More was the time of a client that does not read.
const MADE_UP: Duration = Duration::from_millis(250);

/// The schedule of one stream of answers.
#[derive(Clone, Debug)]
pub(crate) struct Pace {
    /// Bytes a second.
    rate: u64,
    /// When the bytes so far have been sent. `None` before the first answer.
    due: Option<Instant>,
    /// How late the last wait ended, as far as that is not made up for yet. All of it is, unless the stream is idle
    /// meanwhile.
    late: Duration,
    /// When a piece was last added, or waited for. Idle time counts from there.
    active: Option<Instant>,
}

impl Pace {
    pub(crate) fn new(rate: u64) -> Self {
        Self { rate: rate.max(1), due: None, late: Duration::ZERO, active: None }
    }

    /// Begins an answer.
    pub(crate) fn begin(&mut self, now: Instant) {
        let idle = self.active.map_or(Duration::ZERO, |active| now.saturating_duration_since(active));
        self.late = self.late.saturating_sub(idle);
        self.due = Some(self.due.map_or(now, |due| not_before(due, now, SAVED + self.late)));
    }

    /// Returns the most bytes that are sent at once.
    pub(crate) fn piece(&self) -> usize {
        let bytes = u128::from(self.rate) * PIECE.as_millis() / 1000;
        usize::try_from(bytes).unwrap_or(usize::MAX).max(1)
    }

    /// Adds a piece of `bytes`. Returns when it is due, unless that is now.
    pub(crate) fn add(&mut self, bytes: usize, now: Instant) -> Option<Instant> {
        let nanos = bytes as u128 * 1_000_000_000 / u128::from(self.rate);
        let due = self.due.map_or(now, |due| not_before(due, now, MADE_UP + self.late));
        let due = due + Duration::from_nanos(nanos.try_into().unwrap_or(u64::MAX));
        self.due = Some(due);
        self.late = self.late.min(now.saturating_duration_since(due));
        self.active = Some(now);
        (due.saturating_duration_since(now) >= SHORTEST_WAIT).then_some(due)
    }

    /// The wait for the last piece has ended.
    pub(crate) fn waited(&mut self, now: Instant) {
        self.late = self.due.map_or(Duration::ZERO, |due| now.saturating_duration_since(due));
        self.active = Some(now);
    }
}

/// Returns `time`, or what is `most` before `now` if that is later.
fn not_before(time: Instant, now: Instant, most: Duration) -> Instant {
    time.max(now.checked_sub(most).unwrap_or(time))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sends `answers` of `length` bytes on a clock that is late by `late` at each wait. Returns how long that takes.
    fn send(rate: u64, answers: u32, length: usize, late: Duration) -> f64 {
        let begun = Instant::now();
        let (mut pace, mut now) = (Pace::new(rate), begun);
        for _ in 0..answers {
            pace.begin(now);
            for piece in vec![0; length].chunks(pace.piece()) {
                if let Some(due) = pace.add(piece.len(), now) {
                    now = now.max(due) + late;
                    pace.waited(now);
                }
            }
        }
        (now - begun).as_secs_f64()
    }

    #[test]
    fn many_late_wake_ups_do_not_add_up() {
        for (rate, answers, length, late) in [
            (10, 1, 100, 1),
            (1000, 1, 100_000, 300),
            (1000, 10_000, 10, 300),
            (100_000, 100_000, 10, 1),
            (100_000_000, 40_000, 256 * 1024, 300),
            (100_000_000, 1, 1_000_000_000, 1),
        ] {
            let late = Duration::from_millis(late);
            let expected = f64::from(answers) * length as f64 / rate as f64;
            let took = send(rate, answers, length, late);
            assert!((0.99..1.01).contains(&(took / expected)), "{rate}: {took} for {expected}");
        }
    }

    #[test]
    fn neither_idle_time_nor_the_time_of_a_client_that_does_not_read_is_saved() {
        let mut now = Instant::now();
        let mut pace = Pace::new(1000);
        pace.begin(now);
        assert_eq!(pace.add(100, now), Some(now + Duration::from_millis(100)));
        now += Duration::from_secs(60);
        assert_eq!(pace.add(1000, now), Some(now + Duration::from_millis(750)));
        now += Duration::from_secs(60);
        pace.begin(now);
        assert_eq!(pace.add(100, now), Some(now + Duration::from_millis(80)));
    }

    #[test]
    fn what_a_late_wait_has_lost_is_not_made_up_for_after_idle_time() {
        let second = Duration::from_secs(1);
        // How late the wait ends, the idle time behind it, and what may be sent at once after that, in milliseconds.
        for (late, idle, saved) in [(3, 0, 3000), (3, 3, 20), (3, 60, 20), (1, 3, 20), (3, 1, 2020), (0, 3, 20)] {
            let mut now = Instant::now();
            let mut pace = Pace::new(1000);
            pace.begin(now);
            now = pace.add(100, now).expect("it is due later") + late * second;
            pace.waited(now);
            now += idle * second;
            pace.begin(now);
            let due = pace.add(5000, now).expect("it is due later") - now;
            assert_eq!(due.as_millis(), 5000 - saved, "{late} {idle}");
        }
    }

    #[test]
    fn short_pauses_between_answers_do_not_add_up_after_a_late_wait() {
        let mut now = Instant::now();
        let mut pace = Pace::new(1000);
        pace.begin(now);
        now = pace.add(100, now).expect("it is due later") + Duration::from_secs(3);
        pace.waited(now);
        // Each takes 1 ms of the schedule, and 19 ms pass before the next one.
        for _ in 0..1000 {
            now += Duration::from_millis(19);
            pace.begin(now);
            assert_eq!(pace.add(1, now), None);
        }
        pace.begin(now);
        assert_eq!(pace.add(1000, now).map(|due| due - now), Some(Duration::from_millis(981)));
    }
}
