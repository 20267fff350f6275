//! The end of the event channel that workers and acceptors hold. It never blocks.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};

use super::channel::{EventReceiver, EventSender, channel};
use crate::config::LogMessages;

/// Events that may wait for the logging thread. At about 130 bytes each they take half a megabyte.
const QUEUE: usize = 4096;

/// Sends events without ever blocking: what does not fit is dropped and counted.
///
/// Messages are sampled before that, twice: by a budget that the logging thread renews every second, and by a queue
/// that is half full, so that a flood of messages cannot push out a disconnect.
#[derive(Debug)]
pub(crate) struct EventSink<E> {
    sender: EventSender<E>,
    counts: Arc<LogCounts>,
}

/// What the sinks and the logging thread share beside the channel.
#[derive(Debug)]
pub(crate) struct LogCounts {
    /// What a full budget holds.
    full_budget: i64,
    /// Messages that may still be sent before the budget is renewed; below zero when threads race for the last.
    budget: AtomicI64,
    dropped: AtomicU64,
}

impl<E> EventSink<E> {
    /// A sink and the end that the logging thread reads.
    pub(crate) fn new(messages: LogMessages) -> (Self, EventReceiver<E>) {
        let (sender, receiver) = channel(QUEUE);
        let full_budget = match messages {
            LogMessages::All => i64::MAX,
            LogMessages::PerSecond(lines) => lines.into(),
            LogMessages::Off => 0,
        };
        let counts = LogCounts { full_budget, budget: AtomicI64::new(0), dropped: AtomicU64::new(0) };
        (Self { sender, counts: Arc::new(counts) }, receiver)
    }

    /// A sink whose events are never read.
    pub(crate) fn disconnected() -> Self {
        Self::new(LogMessages::Off).0
    }

    /// Sends an event of a connection's or the server's life.
    pub(crate) fn send(&self, event: E) {
        if !self.sender.try_send(|| event) {
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
        if self.sender.len() >= QUEUE / 2 || self.counts.budget.fetch_sub(1, Relaxed) <= 0 {
            return;
        }
        if !self.sender.try_send(make) {
            // Lines that are not logged must not use the budget up: the log renews it only after a line.
            self.counts.budget.fetch_add(1, Relaxed);
        }
    }

    pub(crate) fn counts(&self) -> &Arc<LogCounts> {
        &self.counts
    }
}

impl LogCounts {
    /// Returns whether messages are to be logged at all.
    pub(crate) fn logs_messages(&self) -> bool {
        self.full_budget > 0
    }

    /// Fills the budget.
    pub(crate) fn renew_budget(&self) {
        self.budget.store(self.full_budget, Relaxed);
    }

    /// Returns how many events were lost so far, not counting sampled messages.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped.load(Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Event, Excerpt};
    use super::*;
    use crate::client::Client;

    fn client() -> Client {
        Client::new(1, ([127, 0, 0, 1], 1).into())
    }

    fn message(sink: &EventSink<Event>) {
        sink.sample(|| Event::Message { client: client(), excerpt: Excerpt::new(b"hello") });
    }

    #[test]
    fn messages_stop_at_their_budget_and_lifecycle_events_do_not() {
        let (sink, _events) = EventSink::new(LogMessages::PerSecond(3));
        message(&sink);
        assert_eq!(sink.sender.len(), 0, "no message was asked for yet");
        sink.counts().renew_budget();
        for _ in 0..10 {
            message(&sink);
        }
        assert_eq!(sink.sender.len(), 3);
        for _ in 0..10 {
            sink.send(Event::Connected { client: client() });
        }
        assert_eq!(sink.sender.len(), 13);
        assert_eq!(sink.counts().dropped(), 0);
    }

    #[test]
    fn messages_take_half_the_queue_at_most_and_what_does_not_fit_is_counted() {
        let (sink, _events) = EventSink::new(LogMessages::All);
        sink.counts().renew_budget();
        for _ in 0..2 * QUEUE {
            message(&sink);
        }
        assert_eq!(sink.sender.len(), QUEUE / 2);
        for _ in 0..QUEUE {
            sink.send(Event::Connected { client: client() });
        }
        assert_eq!(sink.sender.len(), QUEUE);
        assert_eq!(sink.counts().dropped(), QUEUE as u64 / 2);
    }

    #[test]
    fn messages_that_find_no_room_leave_the_budget_as_it_is() {
        let (sink, _events) = EventSink::new(LogMessages::PerSecond(3));
        sink.counts().renew_budget();
        for _ in 0..QUEUE {
            sink.send(Event::Connected { client: client() });
        }
        for _ in 0..10 {
            message(&sink);
        }
        assert_eq!(sink.counts().budget.load(Relaxed), 3);
    }
}
