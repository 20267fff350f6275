//! The end of a time limit.

use std::io::{self, ErrorKind};
use std::time::{Duration, Instant};

use nix::poll::PollTimeout;

/// A point in time, or never.
#[derive(Clone, Copy, Debug)]
pub(in crate::cli) struct Deadline(Option<Instant>);

impl Deadline {
    /// Returns the end of `limit` from now on. `None`, or a time beyond what the clock can hold, is never over.
    pub(in crate::cli) fn after(limit: Option<Duration>) -> Self {
        Self(limit.and_then(|limit| Instant::now().checked_add(limit)))
    }

    pub(in crate::cli) fn is_over(self) -> bool {
        self.left().is_some_and(|left| left.is_zero())
    }

    /// Returns how long it is until then, or `None` for ever.
    pub(in crate::cli) fn left(self) -> Option<Duration> {
        self.0.map(|end| end.saturating_duration_since(Instant::now()))
    }

    /// Returns how long it is until then as the timeout of a socket, which is not zero.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::TimedOut`] if it is over.
    pub(in crate::cli) fn socket_timeout(self) -> io::Result<Option<Duration>> {
        match self.left() {
            Some(left) if left.is_zero() => Err(ErrorKind::TimedOut.into()),
            left => Ok(left),
        }
    }

    /// Returns this deadline or the other, whichever comes first.
    pub(in crate::cli) fn or_sooner(self, other: Self) -> Self {
        match (self.0, other.0) {
            (Some(this), Some(other)) => Self(Some(this.min(other))),
            (this, other) => Self(this.or(other)),
        }
    }

    /// Returns the time until then as poll(2) takes it: in milliseconds, rounded up.
    pub(in crate::cli) fn poll_timeout(self) -> PollTimeout {
        let rounded = self.left().map(|left| left.saturating_add(Duration::from_micros(999)));
        rounded.map_or(PollTimeout::NONE, |left| PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX))
    }
}

/// Returns whether a call on a socket is to be made again: its timeout is over (`WouldBlock` on Linux), which the deadline
/// decides, or a signal came, such as one that continues a stopped process.
pub(in crate::cli) fn is_passing(error: &io::Error) -> bool {
    [ErrorKind::WouldBlock, ErrorKind::TimedOut, ErrorKind::Interrupted].contains(&error.kind())
}
