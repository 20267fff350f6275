//! Answers that wait on purpose: for their delay, or for another answer that is to overtake them. One thread for each
//! socket, `hebra-udp-delay`, sends them when they are due. There is none unless faults on purpose ask for it.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Answers that may wait for one socket.
const MOST: usize = 4096;

/// Bytes that they may have together.
const MOST_BYTES: usize = 4 * 1024 * 1024;

/// How long an answer waits to be overtaken, at most.
const LONGEST_HOLD: Duration = Duration::from_millis(100);

/// An answer that waits.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Late {
    pub(super) due: Instant,
    /// Whether it is held back when it is due.
    pub(super) is_held: bool,
    /// How often it is sent.
    pub(super) copies: usize,
    pub(super) to: SocketAddr,
    pub(super) answer: Box<[u8]>,
}

/// The answers that wait for one socket.
#[derive(Debug, Default)]
pub(super) struct LateAnswers {
    waiting: Mutex<Waiting>,
    /// The first answer to wait for is another one, or the server stops.
    changed: Condvar,
}

impl LateAnswers {
    /// Lets an answer wait. Returns `false`, and drops it, if too many wait already.
    #[must_use]
    pub(super) fn add(&self, late: Late) -> bool {
        let mut waiting = self.lock();
        let is_first = waiting.next_due().is_none_or(|first| late.due < first);
        let is_added = waiting.add(late);
        drop(waiting);
        if is_added && is_first {
            self.changed.notify_one();
        }
        is_added
    }

    /// Sends what is due, until the server stops.
    pub(super) fn run(&self, send: impl Fn(&Late)) {
        let mut waiting = self.lock();
        while !waiting.is_closed {
            let now = Instant::now();
            if let Some(late) = waiting.take(now) {
                drop(waiting);
                send(&late);
                waiting = self.lock();
                continue;
            }
            waiting = match waiting.next_due() {
                None => self.changed.wait(waiting).unwrap_or_else(PoisonError::into_inner),
                Some(due) => {
                    let timeout = due.saturating_duration_since(now);
                    self.changed.wait_timeout(waiting, timeout).unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
    }

    /// Ends [`run`](Self::run). Returns how many answers are discarded.
    pub(super) fn close(&self) -> usize {
        let mut waiting = self.lock();
        waiting.is_closed = true;
        let discarded = waiting.count();
        drop(waiting);
        self.changed.notify_one();
        discarded
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What waits, and in which order it is sent. It has no clock: the caller passes the time.
#[derive(Debug, Default)]
struct Waiting {
    /// Sorted by the time, then by the number of the answer.
    delayed: BinaryHeap<Reverse<Numbered>>,
    /// Was due, and is held back. The first has waited longest.
    held: VecDeque<Late>,
    /// How many of those have been overtaken.
    overtaken: usize,
    /// Bytes of all.
    bytes: usize,
    /// How many have been added so far.
    added: u64,
    is_closed: bool,
}

impl Waiting {
    fn count(&self) -> usize {
        self.delayed.len() + self.held.len()
    }

    fn add(&mut self, late: Late) -> bool {
        let fits = self.count() < MOST && self.bytes + late.answer.len() <= MOST_BYTES;
        if fits {
            self.bytes += late.answer.len();
            self.added += 1;
            self.delayed.push(Reverse(Numbered { number: self.added, late }));
        }
        fits
    }

    /// Takes the next answer that is to be sent by now.
    fn take(&mut self, now: Instant) -> Option<Late> {
        while self.overtaken == 0 {
            let due = self.delayed.peek().map(|first| first.0.late.due);
            let release = self.release();
            // In the order of their times, however late this thread is.
            if release.is_some_and(|release| release <= now && due.is_none_or(|due| release < due)) {
                self.overtaken = 1;
                break;
            }
            due.filter(|due| *due <= now)?;
            let late = self.delayed.pop()?.0.late;
            if !late.is_held {
                self.overtaken = self.held.len();
                return Some(self.without(late));
            }
            self.held.push_back(late);
        }
        self.overtaken -= 1;
        let late = self.held.pop_front()?;
        Some(self.without(late))
    }

    fn without(&mut self, late: Late) -> Late {
        self.bytes -= late.answer.len();
        late
    }

    /// Returns when the first answer that is held back is sent at the latest.
    fn release(&self) -> Option<Instant> {
        self.held.front().map(|late| late.due + LONGEST_HOLD)
    }

    /// Returns when there is something to do next.
    fn next_due(&self) -> Option<Instant> {
        let delayed = self.delayed.peek().map(|first| first.0.late.due);
        delayed.into_iter().chain(self.release()).min()
    }
}

/// An answer with its number.
#[derive(Debug, PartialEq, Eq)]
struct Numbered {
    number: u64,
    late: Late,
}

impl Ord for Numbered {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.late.due, self.number).cmp(&(other.late.due, other.number))
    }
}

impl PartialOrd for Numbered {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TICK: Duration = Duration::from_millis(1);

    fn late(name: u8, due: Instant, is_held: bool) -> Late {
        Late { due, is_held, copies: 1, to: ([127, 0, 0, 1], 5000).into(), answer: [name].into() }
    }

    /// Takes the answers that are to be sent by `now`, as their names.
    fn taken(waiting: &mut Waiting, now: Instant) -> String {
        std::iter::from_fn(|| waiting.take(now)).map(|late| char::from(late.answer[0])).collect()
    }

    #[test]
    fn answers_are_sent_when_they_are_due_and_in_the_order_of_their_times() {
        let now = Instant::now();
        let mut waiting = Waiting::default();
        for (name, ticks) in [(b'c', 3), (b'a', 1), (b'd', 3), (b'b', 2)] {
            assert!(waiting.add(late(name, now + ticks * TICK, false)));
        }
        assert_eq!(taken(&mut waiting, now), "");
        assert_eq!(waiting.next_due(), Some(now + TICK));
        assert_eq!(taken(&mut waiting, now + 2 * TICK), "ab");
        assert_eq!(taken(&mut waiting, now + 5 * TICK), "cd");
        assert_eq!((waiting.next_due(), waiting.bytes, waiting.count()), (None, 0, 0));
    }

    #[test]
    fn what_is_held_back_follows_the_next_answer_or_waits_for_100_ms() {
        let now = Instant::now();
        let mut waiting = Waiting::default();
        for (name, ticks, is_held) in [(b'a', 0, true), (b'b', 1, true), (b'c', 2, false), (b'd', 3, true)] {
            assert!(waiting.add(late(name, now + ticks * TICK, is_held)));
        }
        assert_eq!(taken(&mut waiting, now + TICK), "");
        assert_eq!(taken(&mut waiting, now + 10 * TICK), "cab");
        assert_eq!(waiting.next_due(), Some(now + 3 * TICK + LONGEST_HOLD));
        assert_eq!(taken(&mut waiting, now + 2 * TICK + LONGEST_HOLD), "");
        // The thread is late, and the answer is not overtaken by one that is due after its time.
        assert!(waiting.add(late(b'e', now + 4 * TICK + LONGEST_HOLD, false)));
        assert_eq!(taken(&mut waiting, now + 9 * TICK + LONGEST_HOLD), "de");
        assert_eq!((waiting.next_due(), waiting.bytes, waiting.count()), (None, 0, 0));
    }

    #[test]
    fn what_waits_is_bounded_in_number_and_in_bytes() {
        let now = Instant::now();
        let mut waiting = Waiting::default();
        let added = (0..2 * MOST).filter(|number| waiting.add(late(b'x', now, number % 2 == 0))).count();
        assert_eq!(added, MOST);
        assert_eq!(taken(&mut waiting, now + TICK).len(), MOST);

        let mut large = || waiting.add(Late { answer: [0; 65_507].into(), ..late(b'x', now, false) });
        assert_eq!((0..MOST).filter(|_| large()).count(), MOST_BYTES / 65_507);
    }

    #[test]
    fn a_stop_ends_the_thread_and_counts_what_it_discards() {
        let answers = LateAnswers::default();
        assert!(answers.add(late(b'x', Instant::now() + Duration::from_secs(3600), false)));
        std::thread::scope(|scope| {
            scope.spawn(|| answers.run(|_| panic!("it is not due")));
            assert_eq!(answers.close(), 1);
        });
    }
}
