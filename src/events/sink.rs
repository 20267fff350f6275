//! The end of the event channel that workers and acceptors hold. It never blocks.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering::Relaxed};

use super::channel::{EventReceiver, EventSender, channel};
use super::{Event, Excerpt, Payload};
use crate::{Client, LogMessages};

/// Events that may wait for the logging thread. At about 130 bytes each they take half a megabyte.
const QUEUE: usize = 4096;

/// Bytes of datagrams that events may hold, in the queue or with subscribers, give or take a datagram for each
/// socket. As many events as fit the queue could hold 256 MiB.
const PAYLOADS: usize = 4 * 1024 * 1024;

/// Sends events without ever waiting: what does not fit is dropped and counted.
///
/// Messages are sampled twice before that: by a budget that the logging thread renews every second, and by
/// a queue that is half full, so that a flood of messages cannot push out a disconnect.
#[derive(Debug)]
pub(crate) struct EventSink {
    sender: EventSender,
    counts: Arc<SinkCounts>,
}

/// What the sinks and the logging thread share beside the channel.
#[derive(Debug)]
pub(crate) struct SinkCounts {
    /// What a full budget holds.
    full_budget: i64,
    /// Messages that may still be sent before the budget is renewed; below zero when raced for.
    budget: AtomicI64,
    dropped: AtomicU64,
    /// Bytes of datagrams that events hold.
    held: AtomicUsize,
}

impl EventSink {
    /// A sink and the end that the logging thread reads.
    pub(crate) fn new(messages: LogMessages) -> (Self, EventReceiver) {
        let (sender, receiver) = channel(QUEUE);
        let full_budget = match messages {
            LogMessages::All => i64::MAX,
            LogMessages::PerSecond(lines) => lines.into(),
            LogMessages::Off => 0,
        };
        let counts = SinkCounts {
            full_budget,
            budget: AtomicI64::new(0),
            dropped: AtomicU64::new(0),
            held: AtomicUsize::new(0),
        };
        (Self { sender, counts: Arc::new(counts) }, receiver)
    }

    /// A sink that nobody reads.
    pub(crate) fn disconnected() -> Self {
        Self::new(LogMessages::Off).0
    }

    /// Sends an event of a connection's or the server's life.
    pub(crate) fn send(&self, event: Event) {
        if !self.sender.try_send(|| event) {
            self.counts.dropped.fetch_add(1, Relaxed);
        }
    }

    /// Sends a message event if the budget allows. One relaxed load if it does not.
    pub(crate) fn message(&self, client: &Client, message: &[u8]) {
        // Not counted here: what was not logged is the total less what was.
        if self.takes_message() {
            self.send_message(client, message);
        }
    }

    #[cold]
    fn send_message(&self, client: &Client, message: &[u8]) {
        self.sender.try_send(|| Event::Message { client: *client, excerpt: Excerpt::new(message) });
    }

    /// Sends a datagram, all of it, if the budget and the memory for them allow.
    pub(crate) fn datagram(&self, peer: SocketAddr, datagram: &[u8]) {
        if self.counts.held.load(Relaxed) + datagram.len() <= PAYLOADS && self.takes_message() {
            let payload = Payload::new(datagram, &self.counts);
            // Not counted, like a message.
            self.sender.try_send(|| Event::Datagram { peer, payload });
        }
    }

    /// Whether there is budget, some of which is then taken, and half a queue.
    fn takes_message(&self) -> bool {
        self.counts.budget.load(Relaxed) > 0
            && self.sender.len() < QUEUE / 2
            && self.counts.budget.fetch_sub(1, Relaxed) > 0
    }

    pub(crate) fn counts(&self) -> &Arc<SinkCounts> {
        &self.counts
    }
}

impl SinkCounts {
    /// Whether messages are to be logged at all.
    pub(crate) fn logs_messages(&self) -> bool {
        self.full_budget > 0
    }

    /// Fills the budget again.
    pub(crate) fn renew_budget(&self) {
        self.budget.store(self.full_budget, Relaxed);
    }

    /// Counts bytes that a datagram's event begins to hold.
    pub(super) fn hold(&self, bytes: usize) {
        self.held.fetch_add(bytes, Relaxed);
    }

    /// Counts bytes that nobody holds any more.
    pub(super) fn release(&self, bytes: usize) {
        self.held.fetch_sub(bytes, Relaxed);
    }

    /// Events lost so far, sampled messages not counted.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped.load(Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use std::iter;
    use std::time::Instant;

    use super::*;

    fn client() -> Client {
        Client { id: 1, peer: ([127, 0, 0, 1], 1).into() }
    }

    #[test]
    fn messages_stop_at_their_budget_and_lifecycle_events_do_not() {
        let (sink, _events) = EventSink::new(LogMessages::PerSecond(3));
        sink.message(&client(), b"before anybody asked for messages");
        assert_eq!(sink.sender.len(), 0);
        sink.counts().renew_budget();
        for _ in 0..10 {
            sink.message(&client(), b"hello");
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
            sink.message(&client(), b"flood");
        }
        assert_eq!(sink.sender.len(), QUEUE / 2);
        for _ in 0..QUEUE {
            sink.send(Event::Connected { client: client() });
        }
        assert_eq!(sink.sender.len(), QUEUE);
        assert_eq!(sink.counts().dropped(), QUEUE as u64 / 2);
    }

    #[test]
    fn datagrams_hold_no_more_memory_than_they_may_and_give_it_back() {
        let largest = vec![b'x'; 65_507];
        let (sink, events) = EventSink::new(LogMessages::All);
        sink.counts().renew_budget();
        let fill = || {
            for _ in 0..QUEUE {
                sink.datagram(client().peer, &largest);
            }
            sink.sender.len()
        };
        let fitting = PAYLOADS / largest.len();
        assert_eq!(fill(), fitting);
        let copies: Vec<Event> = iter::from_fn(|| events.next(Some(Instant::now())).ok()).collect();
        // Whoever keeps a copy keeps the memory.
        assert_eq!(fill(), 0);
        drop(copies);
        assert_eq!(fill(), fitting);
    }
}
