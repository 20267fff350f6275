//! The outgoing queue of a client that is pushed to: a bounded queue of bytes, and the loop of the writer that sends
//! them.
//!
//! Most sessions have one thread, which reads and writes in turn. A session whose client is pushed to has two: the
//! worker reads, and the writer sends what the worker and other threads have queued here, as much at a time as there
//! is. A thread that pushes never blocks; the worker does, for its own client.

use std::io::{self, ErrorKind};
use std::mem;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::PushError;

/// How long the writer gathers pushes after it has sent. A client that receives little gets it at once. One in a busy
/// room gets many lines with one system call: with a call for each, two cores send a tenth as many.
const GATHERING: Duration = Duration::from_millis(10);

/// Bytes of memory that the writer keeps from one batch to the next: one burst must not cost its memory for the rest
/// of the session.
const BATCH_MEMORY: usize = 16 * 1024;

/// One client's outgoing queue.
#[derive(Debug)]
pub(crate) struct Outbox {
    /// Bytes that may wait. As many again may be on their way.
    bound: usize,
    state: Mutex<State>,
    /// Wakes the writer: there is something to do. This and the next are notified only if a thread sleeps, because
    /// each notification is a system call.
    filled: Condvar,
    /// Wakes the worker: the writer has taken or sent what there was.
    moved: Condvar,
}

#[derive(Debug, Default)]
struct State {
    queue: Vec<u8>,
    writer: Writer,
    worker_sleeps: bool,
    /// What is queued must not wait for more.
    urgent: bool,
    /// Nothing more is queued.
    closed: bool,
    /// The writer ends the session when it has sent what is queued.
    ends_session: bool,
    /// Why the writer has given up.
    failure: Option<ErrorKind>,
    /// The worker does not wait for room any more.
    impatient: bool,
}

/// What the writer is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Writer {
    /// It is about to look at the queue.
    #[default]
    Awake,
    /// It waits for something to send.
    Idle,
    /// It has something to send, and waits for more.
    Gathering,
    /// It has a batch on its way.
    Sending,
}

impl Outbox {
    pub(crate) fn new(bound: usize) -> Self {
        Self { bound, state: Mutex::default(), filled: Condvar::new(), moved: Condvar::new() }
    }

    /// Queues `bytes`, all of them or none. Never blocks. A client that has missed something gets nothing more.
    pub(crate) fn push(&self, bytes: &[u8]) -> Result<(), PushError> {
        let mut state = self.lock();
        if state.closed {
            return Err(PushError::Closed);
        }
        if state.queue.len() + bytes.len() > self.bound {
            state.closed = true;
            return Err(PushError::TooSlow);
        }
        self.append(&mut state, bytes);
        if state.writer == Writer::Idle || self.is_half_full(&state) {
            self.wake_writer(&mut state);
        }
        Ok(())
    }

    /// Queues a prefix of `bytes` and returns its length. Blocks until at least one byte fits. The client waits for
    /// this, so it is sent at once. It fills at most half the queue: a client that is being sent a long answer is not
    /// too slow for what others push meanwhile.
    ///
    /// # Errors
    ///
    /// Those of the writer, or [`ErrorKind::WouldBlock`] if there is no room and the worker must not wait.
    pub(crate) fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        let mut state = self.lock();
        loop {
            if let Some(kind) = state.failure {
                return Err(kind.into());
            }
            if state.closed {
                return Err(ErrorKind::BrokenPipe.into());
            }
            let count = bytes.len().min(self.half().saturating_sub(state.queue.len()));
            if count > 0 {
                self.append(&mut state, &bytes[..count]);
                state.urgent = true;
                self.wake_writer(&mut state);
                return Ok(count);
            }
            if state.impatient {
                return Err(ErrorKind::WouldBlock.into());
            }
            state = self.sleep(state, None);
        }
    }

    /// Appends to the queue, whose memory grows by doubling but never over the bound.
    fn append(&self, state: &mut State, bytes: &[u8]) {
        let needed = state.queue.len() + bytes.len();
        if needed > state.queue.capacity() {
            let capacity = needed.max(self.bound.min(2 * state.queue.capacity()));
            state.queue.reserve_exact(capacity - state.queue.len());
        }
        state.queue.extend_from_slice(bytes);
    }

    /// Makes [`Outbox::write`] fail instead of waiting for room.
    pub(crate) fn write_what_fits(&self) {
        self.lock().impatient = true;
    }

    /// Closes the queue for a session that goes on: its writer ends the session when it has sent what is queued.
    pub(crate) fn close(&self) {
        self.change(|state| state.ends_session |= !state.closed);
    }

    /// Closes the queue of a session that has ended. What is queued is still sent.
    pub(crate) fn end(&self) {
        self.change(|_| ());
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.lock();
        change(&mut state);
        state.closed = true;
        self.wake_writer(&mut state);
        self.wake_worker(&mut state);
    }

    /// Waits until the queue is sent or has failed. Returns `false` on timeout.
    pub(crate) fn wait_sent(&self, limit: Option<Duration>) -> bool {
        let end = limit.map(|limit| Instant::now() + limit);
        let mut state = self.lock();
        while !state.is_done() {
            let left = end.map(|end| end.saturating_duration_since(Instant::now()));
            if left == Some(Duration::ZERO) {
                return false;
            }
            state = self.sleep(state, left);
        }
        true
    }

    /// Returns whether the queue is sent or has failed.
    pub(crate) fn is_sent(&self) -> bool {
        self.lock().is_done()
    }

    /// Takes what is queued, for a session without a writer.
    pub(crate) fn take(&self) -> Vec<u8> {
        mem::take(&mut self.lock().queue)
    }

    /// Returns whether nothing more is queued.
    pub(crate) fn is_closed(&self) -> bool {
        self.lock().closed
    }

    /// Sends what is queued until the queue is closed, batch by batch with `send`. Runs on the writer. Returns whether
    /// it must end the session.
    ///
    /// # Errors
    ///
    /// Those of `send`. What is queued is discarded.
    pub(crate) fn run(&self, mut send: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<bool> {
        let mut batch = Vec::new();
        let mut sent = None;
        loop {
            let mut state = self.lock();
            state.writer = Writer::Awake;
            self.wake_worker(&mut state);
            while state.queue.is_empty() {
                if state.closed {
                    return Ok(state.ends_session);
                }
                state.writer = Writer::Idle;
                state = self.filled.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
            let gathered = sent.map_or(GATHERING, |sent: Instant| sent.elapsed());
            if !state.urgent && !state.closed && gathered < GATHERING && !self.is_half_full(&state) {
                state.writer = Writer::Gathering;
                let woken = self.filled.wait_timeout(state, GATHERING - gathered);
                state = woken.unwrap_or_else(PoisonError::into_inner).0;
            }
            mem::swap(&mut state.queue, &mut batch);
            state.urgent = false;
            state.writer = Writer::Sending;
            self.wake_worker(&mut state);
            drop(state);
            sent = Some(Instant::now());
            if let Err(error) = send(&batch) {
                let mut state = self.lock();
                state.failure = Some(error.kind());
                state.closed = true;
                state.queue = Vec::new();
                self.wake_worker(&mut state);
                return Err(error);
            }
            batch.clear();
            batch.shrink_to(BATCH_MEMORY);
        }
    }

    /// Returns whether a burst may soon find no room: then the writer stops gathering.
    fn is_half_full(&self, state: &State) -> bool {
        state.queue.len() >= self.half()
    }

    fn half(&self) -> usize {
        self.bound.div_ceil(2)
    }

    /// Blocks the worker until something has moved, for up to `limit`.
    fn sleep<'a>(&self, mut state: MutexGuard<'a, State>, limit: Option<Duration>) -> MutexGuard<'a, State> {
        state.worker_sleeps = true;
        match limit {
            None => self.moved.wait(state).unwrap_or_else(PoisonError::into_inner),
            Some(limit) => self.moved.wait_timeout(state, limit).unwrap_or_else(PoisonError::into_inner).0,
        }
    }

    fn wake_worker(&self, state: &mut State) {
        if mem::take(&mut state.worker_sleeps) {
            self.moved.notify_one();
        }
    }

    fn wake_writer(&self, state: &mut State) {
        if matches!(state.writer, Writer::Idle | Writer::Gathering) {
            state.writer = Writer::Awake;
            self.filled.notify_one();
        }
    }

    /// The lock is never held while anything can panic, so a poisoned one is as good as any.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn is_done(&self) -> bool {
        self.failure.is_some() || (self.queue.is_empty() && self.writer != Writer::Sending)
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn what_is_pushed_fits_whole_or_not_at_all() {
        let outbox = Outbox::new(8);
        assert_eq!(outbox.push(b"12345"), Ok(()));
        assert_eq!(outbox.push(b"678"), Ok(()));
        assert_eq!(outbox.push(b"9"), Err(PushError::TooSlow));
        assert_eq!(outbox.push(b""), Err(PushError::Closed));
        let mut sent = Vec::new();
        let ends_session = outbox.run(|batch| {
            sent.extend_from_slice(batch);
            Ok(())
        });
        assert!(ends_session.is_ok_and(|ends_session| !ends_session));
        assert_eq!(sent, b"12345678");
        assert!(outbox.wait_sent(None));
    }

    #[test]
    fn the_session_is_ended_after_what_is_queued_unless_it_has_ended() {
        for (end, expected) in [(Outbox::close as fn(&Outbox), true), (Outbox::end, false)] {
            let outbox = Outbox::new(8);
            assert_eq!(outbox.push(b"hello"), Ok(()));
            end(&outbox);
            outbox.close();
            let mut sent = 0;
            let ends_session = outbox.run(|batch| {
                sent += batch.len();
                Ok(())
            });
            assert_eq!((sent, ends_session.ok()), (5, Some(expected)));
        }
    }

    #[test]
    fn the_worker_waits_for_room_and_loses_nothing() {
        let outbox = Outbox::new(3);
        let mut sent = Vec::new();
        thread::scope(|scope| {
            scope.spawn(|| {
                let mut rest: &[u8] = &[b'x'; 1000];
                while !rest.is_empty() {
                    let count = outbox.write(rest).expect("the writer runs");
                    assert!((1..=3).contains(&count));
                    rest = &rest[count..];
                }
                assert!(outbox.wait_sent(None));
                outbox.end();
            });
            let ends_session = outbox.run(|batch| {
                sent.extend_from_slice(batch);
                Ok(())
            });
            assert!(ends_session.is_ok_and(|ends_session| !ends_session));
        });
        assert_eq!(sent, [b'x'; 1000]);
    }

    #[test]
    fn a_worker_that_must_not_wait_gets_an_error() {
        let outbox = Outbox::new(1);
        outbox.write_what_fits();
        assert!(outbox.write(b"12").is_ok_and(|count| count == 1));
        assert!(outbox.write(b"2").is_err_and(|error| error.kind() == ErrorKind::WouldBlock));
        assert!(!outbox.wait_sent(Some(Duration::from_millis(1))));
    }

    #[test]
    fn a_long_answer_leaves_room_for_pushes() {
        let outbox = Outbox::new(8);
        assert!(outbox.write(b"a long answer").is_ok());
        assert_eq!(outbox.push(b"1234"), Ok(()));
    }

    #[test]
    fn a_writer_that_fails_ends_the_waiting() {
        let outbox = Outbox::new(1);
        thread::scope(|scope| {
            let worker = scope.spawn(|| {
                while outbox.write(b"1").is_ok() {}
                outbox.wait_sent(None)
            });
            assert!(outbox.run(|_| Err(ErrorKind::ConnectionReset.into())).is_err());
            assert!(worker.join().is_ok_and(|sent| sent));
        });
        assert_eq!(outbox.push(b"1"), Err(PushError::Closed));
        assert!(outbox.is_sent());
    }
}
