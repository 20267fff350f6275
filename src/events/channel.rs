//! The way of an event to the logging thread: a bounded channel of boxes that come back empty.
//!
//! An event is larger than most frames of a session's stack, and a channel copies what it carries from frame to
//! frame. A box is one word, and as it comes back nothing is allocated but while more events are under way than
//! ever before.

use std::time::Instant;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};

use super::Event;

type Carrier = Box<Option<Event>>;

/// A channel that holds up to `bound` events.
pub(super) fn channel(bound: usize) -> (EventSender, EventReceiver) {
    let (full, arriving) = bounded(bound);
    let (returning, empty) = bounded(bound);
    (EventSender { full, empty }, EventReceiver { arriving, returning })
}

/// The end for workers and acceptors.
#[derive(Debug)]
pub(super) struct EventSender {
    full: Sender<Carrier>,
    empty: Receiver<Carrier>,
}

impl EventSender {
    /// Sends the event that `make` makes, unless the channel is full; whether it was sent. Never waits.
    pub(super) fn try_send(&self, make: impl FnOnce() -> Event) -> bool {
        if self.full.is_full() {
            return false;
        }
        let mut carrier = self.empty.try_recv().unwrap_or_default();
        *carrier = Some(make());
        self.full.try_send(carrier).is_ok()
    }

    /// Events under way.
    pub(super) fn len(&self) -> usize {
        self.full.len()
    }
}

/// The end for the logging thread.
#[derive(Debug)]
pub(crate) struct EventReceiver {
    arriving: Receiver<Carrier>,
    returning: Sender<Carrier>,
}

impl EventReceiver {
    /// Waits for the next event, until `deadline` if there is one.
    pub(crate) fn next(&self, deadline: Option<Instant>) -> Result<Event, RecvTimeoutError> {
        loop {
            let mut carrier = match deadline {
                Some(deadline) => self.arriving.recv_deadline(deadline)?,
                None => self.arriving.recv()?,
            };
            if let Some(event) = carrier.take() {
                // It cannot be full of boxes that were all under way.
                let _ = self.returning.try_send(carrier);
                return Ok(event);
            }
        }
    }

    /// Events under way.
    pub(super) fn len(&self) -> usize {
        self.arriving.len()
    }
}
