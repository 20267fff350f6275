//! What a datagram carried, whole, in memory that is bounded whatever arrives.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use crate::events::Excerpt;

/// Bytes of datagrams that events may hold, in the queue or with subscribers, give or take a datagram for each socket.
/// Without this bound the events that fit the queue could hold 256 MiB.
pub(super) const MAX_HELD: usize = 4 * 1024 * 1024;

/// The bytes of one datagram, shared by all copies of its event.
///
/// [`Display`](fmt::Display) prints how they begin, as an [`Excerpt`](crate::Excerpt) does: one datagram must not fill the
/// log, nor reach the length at which collectors cut a line in two.
#[derive(Clone)]
pub struct Payload(Arc<Held>);

/// Bytes that count as held until the last copy is dropped.
struct Held {
    bytes: Box<[u8]>,
    total: Arc<AtomicUsize>,
}

impl Payload {
    /// A copy of `bytes`, which `total` counts.
    pub(super) fn new(bytes: &[u8], total: &Arc<AtomicUsize>) -> Self {
        total.fetch_add(bytes.len(), Relaxed);
        Self(Arc::new(Held { bytes: bytes.into(), total: Arc::clone(total) }))
    }

    /// Returns the bytes as they arrived: nothing is escaped.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0.bytes
    }
}

impl Payload {
    /// Returns what [`Display`](fmt::Display) gives as the beginning of the text, with nothing escaped.
    pub(super) fn text(&self) -> &impl fmt::Display {
        &*self.0
    }
}

impl fmt::Display for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(Excerpt::new(&self.bytes).text(), f)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.total.fetch_sub(self.bytes.len(), Relaxed);
    }
}

impl fmt::Display for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&Excerpt::new(self.as_bytes()), f)
    }
}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
