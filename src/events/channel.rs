//! The channel that carries events to the logging thread: it is bounded, and its boxes are recycled.
//!
//! An event is larger than most frames of a session's stack, and a channel copies what it carries from frame to
//! frame. A box is one word (ARCHITECTURE.md, *The stack page*). Boxes are recycled: only a new maximum of events in
//! flight allocates.

use std::time::Instant;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};

/// A channel that holds up to `bound` events.
pub(super) fn channel<E>(bound: usize) -> (EventSender<E>, EventReceiver<E>) {
    let (full, arriving) = bounded(bound);
    let (returning, empty) = bounded(bound);
    (EventSender { full, empty }, EventReceiver { arriving, returning })
}

/// The end for workers and acceptors.
#[derive(Debug)]
pub(super) struct EventSender<E> {
    full: Sender<Box<Option<E>>>,
    empty: Receiver<Box<Option<E>>>,
}

impl<E> EventSender<E> {
    /// Sends the event that `make` makes, unless the channel is full. Returns whether it was sent. Never blocks.
    pub(super) fn try_send(&self, make: impl FnOnce() -> E) -> bool {
        if self.full.is_full() {
            return false;
        }
        let mut carrier = self.empty.try_recv().unwrap_or_default();
        *carrier = Some(make());
        self.full.try_send(carrier).is_ok()
    }

    /// Returns how many events are in the channel.
    pub(super) fn len(&self) -> usize {
        self.full.len()
    }
}

/// The end for the logging thread.
#[derive(Debug)]
pub(crate) struct EventReceiver<E> {
    arriving: Receiver<Box<Option<E>>>,
    returning: Sender<Box<Option<E>>>,
}

impl<E> EventReceiver<E> {
    /// Blocks until there is an event, `deadline` passes, or every sender is gone.
    pub(crate) fn next(&self, deadline: Option<Instant>) -> Result<E, RecvTimeoutError> {
        loop {
            let mut carrier = match deadline {
                Some(deadline) => self.arriving.recv_deadline(deadline)?,
                None => self.arriving.recv()?,
            };
            if let Some(event) = carrier.take() {
                // A box for which there is no room is freed.
                let _ = self.returning.try_send(carrier);
                return Ok(event);
            }
        }
    }

    /// Returns how many events are in the channel.
    pub(super) fn len(&self) -> usize {
        self.arriving.len()
    }
}
