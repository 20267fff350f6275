//! The end of the event channel that workers and acceptors hold. It never blocks.
//!
//! The channel is bounded and carries boxes. An event is larger than most frames of a session's stack, and a channel
//! copies what it carries from frame to frame; a box is one word. Boxes are recycled through a second channel: only a new
//! maximum of events in flight allocates.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crossbeam_channel::{Receiver, Sender};

use crate::config::LogMessages;

/// Events that may wait for the logging thread. At about 150 bytes each they take 0.6 MB.
pub(super) const QUEUE: usize = 4096;

/// Sends events without ever blocking: what does not fit is dropped and counted.
///
/// Messages are sampled before that, twice: by a budget that the logging thread renews every second, and by a queue
/// that is half full, so that a flood of messages cannot push out a disconnect.
#[derive(Debug)]
pub(crate) struct EventSink<E> {
    pub(super) full: Sender<Box<Option<E>>>,
    pub(super) empty: Receiver<Box<Option<E>>>,
    pub(super) counts: Arc<LogCounts>,
}

/// What the sinks and the logging thread share beside the channel.
#[derive(Debug)]
pub(crate) struct LogCounts {
    /// What a full budget holds.
    full_budget: u64,
    /// Messages that may still be sent before the budget is renewed. It is renewed only after a message was logged, so
    /// each one that is taken must be logged or given back: otherwise the budget would stay at zero.
    budget: AtomicU64,
    dropped: AtomicU64,
}

impl<E> EventSink<E> {
    /// Sends an event of a connection's or the server's life.
    pub(crate) fn send(&self, event: E) {
        if !self.try_send(|| event) {
            self.counts.dropped.fetch_add(1, Relaxed);
        }
    }

    /// Sends the event of a message if the budget allows. If it does not, that costs one relaxed load.
    ///
    /// A message that is not sent is not counted here: what was not logged is the total less what was.
    #[inline]
    pub(crate) fn sample(&self, make: impl FnOnce() -> E) {
        if self.counts.budget.load(Relaxed) > 0 {
            self.send_sampled(make);
        }
    }

    #[cold]
    fn send_sampled(&self, make: impl FnOnce() -> E) {
        if self.full.len() >= QUEUE / 2 || !self.counts.take_budget() {
            return;
        }
        if !self.try_send(make) {
            self.counts.give_budget_back();
        }
    }

    /// Sends the event that `make` makes, unless the channel is full. Returns whether it was sent.
    fn try_send(&self, make: impl FnOnce() -> E) -> bool {
        if self.full.is_full() {
            return false;
        }
        let mut carrier = self.empty.try_recv().unwrap_or_default();
        *carrier = Some(make());
        self.full.try_send(carrier).is_ok()
    }

    pub(crate) fn counts(&self) -> &Arc<LogCounts> {
        &self.counts
    }
}

impl LogCounts {
    pub(super) fn new(messages: LogMessages) -> Self {
        let full_budget = match messages {
            LogMessages::All => u64::MAX,
            LogMessages::PerSecond(lines) => lines.into(),
            LogMessages::Off => 0,
        };
        Self { full_budget, budget: AtomicU64::new(0), dropped: AtomicU64::new(0) }
    }

    /// Returns whether messages are to be logged at all.
    pub(super) fn logs_messages(&self) -> bool {
        self.full_budget > 0
    }

    /// Fills the budget.
    pub(crate) fn renew_budget(&self) {
        self.budget.store(self.full_budget, Relaxed);
    }

    /// Takes one message from the budget, unless another thread has taken the last one.
    fn take_budget(&self) -> bool {
        self.budget.fetch_update(Relaxed, Relaxed, |budget| budget.checked_sub(1)).is_ok()
    }

    /// Gives one message back that was not sent. The budget may have been renewed meanwhile.
    fn give_budget_back(&self) {
        let full = self.full_budget;
        let _ = self.budget.fetch_update(Relaxed, Relaxed, |budget| (budget < full).then(|| budget + 1));
    }

    /// Returns how many events were lost so far, not counting sampled messages.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped.load(Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Event, EventLog, Excerpt};
    use std::time::Duration;

    use super::*;
    use crate::client::Client;

    fn sink_and_log(messages: LogMessages) -> (EventSink<Event>, EventLog<Event>) {
        let (sink, log) = EventLog::new(messages);
        // Whatever the level of the log of this process is.
        sink.counts().budget.store(0, Relaxed);
        (sink, log)
    }

    fn client() -> Client {
        Client::new(1, ([127, 0, 0, 1], 1).into())
    }

    fn message(sink: &EventSink<Event>) {
        sink.sample(|| Event::Message { client: client(), excerpt: Excerpt::new(b"hello") });
    }

    #[test]
    fn messages_stop_at_their_budget_and_lifecycle_events_do_not() {
        let (sink, _log) = sink_and_log(LogMessages::PerSecond(3));
        message(&sink);
        assert_eq!(sink.full.len(), 0, "no message was asked for yet");
        sink.counts().renew_budget();
        for _ in 0..10 {
            message(&sink);
        }
        assert_eq!(sink.full.len(), 3);
        for _ in 0..10 {
            sink.send(Event::Connected { client: client(), waited: Duration::ZERO });
        }
        assert_eq!(sink.full.len(), 13);
        assert_eq!(sink.counts().dropped(), 0);
    }

    #[test]
    fn a_budget_does_not_stay_at_zero_when_messages_are_not_sent() {
        for messages in [LogMessages::PerSecond(1), LogMessages::PerSecond(2), LogMessages::All] {
            let (sink, log) = sink_and_log(messages);
            sink.counts().renew_budget();
            // While a message is made, others fill the queue, a second thread that saw the same budget fails to send,
            // and the budget is renewed.
            sink.sample(|| {
                sink.send_sampled(|| {
                    while !sink.full.is_full() {
                        sink.send(Event::Connected { client: client(), waited: Duration::ZERO });
                    }
                    Event::Message { client: client(), excerpt: Excerpt::new(b"hello") }
                });
                while !sink.full.is_full() {
                    sink.send(Event::Connected { client: client(), waited: Duration::ZERO });
                }
                if messages == LogMessages::All {
                    sink.counts().renew_budget();
                }
                Event::Message { client: client(), excerpt: Excerpt::new(b"hello") }
            });
            for _ in 0..sink.full.len() {
                let event = log.next(None).expect("it is there");
                assert!(matches!(event, Event::Connected { .. }), "no message was sent");
            }
            message(&sink);
            assert_eq!(sink.full.len(), 1, "{messages:?}");
        }
    }

    #[test]
    fn messages_take_half_the_queue_at_most_and_what_does_not_fit_is_counted() {
        let (sink, _log) = sink_and_log(LogMessages::All);
        sink.counts().renew_budget();
        for _ in 0..2 * QUEUE {
            message(&sink);
        }
        assert_eq!(sink.full.len(), QUEUE / 2);
        for _ in 0..QUEUE {
            sink.send(Event::Connected { client: client(), waited: Duration::ZERO });
        }
        assert_eq!(sink.full.len(), QUEUE);
        assert_eq!(sink.counts().dropped(), QUEUE as u64 / 2);
    }

    #[test]
    fn messages_that_find_no_room_leave_the_budget_as_it_is() {
        let (sink, _log) = sink_and_log(LogMessages::PerSecond(3));
        sink.counts().renew_budget();
        for _ in 0..QUEUE {
            sink.send(Event::Connected { client: client(), waited: Duration::ZERO });
        }
        for _ in 0..10 {
            message(&sink);
        }
        assert_eq!(sink.counts().budget.load(Relaxed), 3);
    }
}
