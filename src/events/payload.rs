//! What a datagram carried, whole, in memory that is bounded whatever arrives.

use std::fmt;
use std::sync::Arc;

use super::SinkCounts;
use super::excerpt::quote;

/// The bytes of one datagram, shared by all who hold the event.
///
/// [`Display`](fmt::Display) prints all of them, in quotes and escaped as an [`Excerpt`](crate::Excerpt) is.
#[derive(Clone)]
pub struct Payload(Arc<Held>);

/// Bytes that count as held from here to the drop of the last copy.
struct Held {
    bytes: Box<[u8]>,
    counts: Arc<SinkCounts>,
}

impl Payload {
    pub(super) fn new(bytes: &[u8], counts: &Arc<SinkCounts>) -> Self {
        counts.hold(bytes.len());
        Self(Arc::new(Held { bytes: bytes.into(), counts: Arc::clone(counts) }))
    }

    /// The bytes as they arrived: nothing is escaped.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0.bytes
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.counts.release(self.bytes.len());
    }
}

impl fmt::Display for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        quote(f, self.as_bytes(), self.as_bytes().len())
    }
}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
