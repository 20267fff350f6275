//! Subscribers: each receives a copy of every event.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};

use super::{Event, LogCounts};

/// Events that may wait for a subscriber.
const SUBSCRIBER_QUEUE: usize = 4096;

/// The events of a running server, from the moment of subscribing until the server has stopped.
///
/// It is an iterator: `next` blocks until there is an event, and returns `None` once the server has stopped and all
/// events were taken. A subscriber that lets 4,096 events wait misses the next ones.
#[derive(Debug)]
pub struct Subscription<E = Event> {
    events: Receiver<E>,
}

impl<E> Subscription<E> {
    /// Returns the next event if there is one already.
    pub fn try_next(&self) -> Option<E> {
        self.events.try_recv().ok()
    }

    /// Blocks for up to `limit` until there is an event. Returns `None` if there was none in time, or if the server
    /// has stopped and all events were taken.
    pub fn next_timeout(&self, limit: Duration) -> Option<E> {
        self.events.recv_timeout(limit).ok()
    }
}

impl<E> Iterator for Subscription<E> {
    type Item = E;

    fn next(&mut self) -> Option<E> {
        self.events.recv().ok()
    }
}

/// The sending ends of all subscriptions. A subscriber that does not keep up misses events; one that is gone is
/// forgotten.
#[derive(Clone, Debug)]
pub(crate) struct Subscribers<E> {
    senders: Arc<Mutex<Vec<Sender<E>>>>,
    counts: Arc<LogCounts>,
}

impl<E: Clone> Subscribers<E> {
    /// No subscriber yet. `counts` are those of the sink whose events they receive.
    pub(crate) fn new(counts: &Arc<LogCounts>) -> Self {
        Self { senders: Arc::default(), counts: Arc::clone(counts) }
    }

    /// Adds a subscriber, which receives messages whatever the level of the log is.
    pub(crate) fn subscribe(&self) -> Subscription<E> {
        let (sender, events) = bounded(SUBSCRIBER_QUEUE);
        self.senders.lock().unwrap_or_else(PoisonError::into_inner).push(sender);
        self.counts.renew_budget();
        Subscription { events }
    }

    /// Sends each subscriber a copy of an event.
    pub(super) fn publish(&self, event: &E) {
        self.senders
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .retain(|sender| !matches!(sender.try_send(event.clone()), Err(TrySendError::Disconnected(_))));
    }
}
