//! The operating system's side of a server: addresses, listening sockets, limits, threads.

pub(crate) mod resolve;
pub(crate) mod addresses;
pub(crate) mod listener;
pub(crate) mod backoff;
pub(crate) mod limits;
pub(crate) mod kernel_drops;
pub(crate) mod outgoing;
pub(crate) mod per_peer;
pub(crate) mod threads;
