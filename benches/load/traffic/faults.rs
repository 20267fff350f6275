//! Counts of what a server did to its sessions and answers on purpose, or because it was restarted: `--reconnect` and
//! `--expect-faults`.

/// Sessions that the server ended and the client did not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sessions {
    /// Sessions that ended with an end of stream.
    pub(crate) ended: u64,
    /// Sessions that were reset.
    pub(crate) reset: u64,
    /// Connects in their place that succeeded.
    pub(crate) reconnected: u64,
    /// Messages that the server had not answered when it ended the session, and that were sent again in the next one.
    pub(crate) resent: u64,
    /// The fewest answers in one of these sessions.
    pub(crate) least_messages: u64,
    /// The most answers in one of these sessions.
    pub(crate) most_messages: u64,
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
    /// Counts a session that the server ended, after `messages` answers.
    pub(crate) fn count(&mut self, is_reset: bool, messages: u64, resent: u64) {
        let one = Self { ended: u64::from(!is_reset), reset: u64::from(is_reset), resent, ..Self::default() };
        self.merge(Self { least_messages: messages, most_messages: messages, ..one });
    }

    pub(crate) fn merge(&mut self, other: Self) {
        // Without a session the least number is not known.
        self.least_messages = match (self.lost(), other.lost()) {
            (0, _) => other.least_messages,
            (_, 0) => self.least_messages,
            _ => self.least_messages.min(other.least_messages),
        };
        self.most_messages = self.most_messages.max(other.most_messages);
        self.ended += other.ended;
        self.reset += other.reset;
        self.reconnected += other.reconnected;
        self.resent += other.resent;
    }

    /// Returns the number of these sessions.
    pub(crate) fn lost(&self) -> u64 {
        self.ended + self.reset
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
