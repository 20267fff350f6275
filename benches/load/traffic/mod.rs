//! The load of one run: clients that send messages, verify the answers and count.
//!
//! [`run`] is the entrance. One or two event loops ([`engine`]) run the clients.

pub(crate) mod address;
pub(crate) mod proxy;
pub(crate) mod load;
pub(crate) mod payload;
pub(crate) mod alignment;
pub(crate) mod schedule;
mod source;
pub(crate) mod faults;
pub(crate) mod datagrams;
pub(crate) mod tally;
mod sample;
pub(crate) mod timeline;
pub(crate) mod context;
mod client;
mod pipeline;
mod connection;
pub(crate) mod udp;
mod engine;
mod adversary;
pub(crate) mod run;
