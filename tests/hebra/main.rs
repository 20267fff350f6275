//! The tests that need nothing but Rust: one binary, one module for each topic.

#[path = "../support/mod.rs"]
mod support;

mod admission;
mod crowd;
mod events;
mod program;
mod protocol;
mod session;
mod shutdown;
mod timeouts;
mod usage;
