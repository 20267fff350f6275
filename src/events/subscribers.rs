//! Those who get a copy of each event.

use std::sync::{Arc, Mutex, PoisonError};

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};

use super::{Event, SinkCounts};

/// Events that may wait for a subscriber.
const SUBSCRIBER_QUEUE: usize = 4096;

/// Who gets a copy of each event. A subscriber that does not keep up misses events; one that is gone is
/// forgotten.
#[derive(Clone, Debug)]
pub(crate) struct Subscribers {
    senders: Arc<Mutex<Vec<Sender<Event>>>>,
    counts: Arc<SinkCounts>,
}

impl Subscribers {
    /// Nobody yet. `counts` are those of the sink whose events they get.
    pub(crate) fn new(counts: &Arc<SinkCounts>) -> Self {
        Self { senders: Arc::default(), counts: Arc::clone(counts) }
    }

    /// One more, who wants messages whatever the level of the log.
    pub(crate) fn subscribe(&self) -> Receiver<Event> {
        let (sender, receiver) = bounded(SUBSCRIBER_QUEUE);
        self.senders.lock().unwrap_or_else(PoisonError::into_inner).push(sender);
        self.counts.renew_budget();
        receiver
    }

    /// Passes an event on.
    pub(super) fn publish(&self, event: &Event) {
        self.senders
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .retain(|sender| !matches!(sender.try_send(event.clone()), Err(TrySendError::Disconnected(_))));
    }
}
