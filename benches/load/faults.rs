//! Counts of what a server did to its sessions and answers on purpose, or because it was restarted: `--reconnect` and
//! `--expect-faults`.

use hdrhistogram::Histogram;

/// The longest session that is counted exactly, in messages.
const LONGEST: u64 = 1 << 40;

/// Sessions that the server ended and the client did not.
#[derive(Clone, Debug)]
pub(crate) struct Sessions {
    /// Sessions that ended with an end of stream.
    pub(crate) ended: u64,
    /// Sessions that were reset.
    pub(crate) reset: u64,
    /// Connects in their place that succeeded.
    pub(crate) reconnected: u64,
    /// Messages that the server had not answered when it ended the session, and that were sent again in the next one.
    pub(crate) resent: u64,
    /// How many messages were answered in each of these sessions.
    pub(crate) messages: Histogram<u64>,
}

/// Bytes that did not come back as they were sent, and were counted in place of an error.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Faults {
    /// Bytes that came back with another value.
    pub(crate) corrupted_bytes: u64,
    /// Bytes that did not come back.
    pub(crate) missing_bytes: u64,
    /// Messages in whose answers a byte was corrupted or missing.
    pub(crate) damaged_messages: u64,
    /// Messages among those whose answers were not complete at the timeout or at the end of the session.
    pub(crate) unfinished_messages: u64,
}

impl Sessions {
    pub(crate) fn new() -> Self {
        let messages = Histogram::new_with_bounds(1, LONGEST, 3).expect("constant bounds are valid");
        Self { ended: 0, reset: 0, reconnected: 0, resent: 0, messages }
    }

    /// Counts a session that the server ended, after `messages` answers.
    pub(crate) fn count(&mut self, is_reset: bool, messages: u64, resent: u64) {
        *(if is_reset { &mut self.reset } else { &mut self.ended }) += 1;
        self.resent += resent;
        self.messages.saturating_record(messages);
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        self.ended += other.ended;
        self.reset += other.reset;
        self.reconnected += other.reconnected;
        self.resent += other.resent;
        self.messages.add(&other.messages).expect("both have the same bounds");
    }
}

impl Faults {
    pub(crate) fn merge(&mut self, other: Self) {
        self.corrupted_bytes += other.corrupted_bytes;
        self.missing_bytes += other.missing_bytes;
        self.damaged_messages += other.damaged_messages;
        self.unfinished_messages += other.unfinished_messages;
    }
}
