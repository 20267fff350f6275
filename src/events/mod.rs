//! Reports of what happens in a server, from the threads that see it to the one thread that logs it.
//!
//! [`Event`] is the vocabulary of the TCP server, `EventSink` the end that workers and acceptors hold (it never
//! blocks), and `EventLog` the logging thread: the only code in the library that calls the `log` crate. The last
//! two serve any type that is [`Loggable`]: the UDP server has events of its own.

mod event;
mod fields;
mod close_reason;
mod excerpt;
mod sink;
mod log;
mod subscribers;
mod stats;
mod fault_counters;

pub use close_reason::CloseReason;
pub use event::{Event, RefuseReason};
pub use excerpt::Excerpt;
pub use stats::{QueueWait, Stats};
pub use subscribers::Subscription;

pub(crate) use close_reason::{Closing, Patience};
pub(crate) use fault_counters::{FaultCounters, FaultKind};
pub(crate) use fields::Fields;
pub(crate) use log::{EventLog, Loggable};
pub(crate) use sink::{EventSink, LogCounts};
pub(crate) use stats::{SessionCounters, write_totals};
pub(crate) use subscribers::Subscribers;
