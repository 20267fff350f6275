//! What happened, from the threads that see it to the one thread that tells it.
//!
//! [`Event`] is the vocabulary, `EventSink` the end that workers and acceptors hold (it never blocks), and
//! `EventLog` the logging thread: the only code in the library that calls the `log` crate.

mod channel;
mod event;
mod excerpt;
mod payload;
mod sink;
mod log;
mod subscribers;
mod stats;
mod udp_stats;

pub use event::{CloseReason, Event, RefuseReason};
pub use excerpt::Excerpt;
pub use payload::Payload;
pub use stats::Stats;
pub use udp_stats::UdpStats;

pub(crate) use channel::EventReceiver;
pub(crate) use excerpt::Printable;
pub(crate) use log::EventLog;
pub(crate) use sink::{EventSink, SinkCounts};
pub(crate) use stats::{Reckoning, SessionCounters, Totals};
pub(crate) use subscribers::Subscribers;
pub(crate) use udp_stats::UdpCounters;
