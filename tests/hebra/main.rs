//! The tests that need nothing but Rust, in one binary with a module for each topic.

#[path = "../support/mod.rs"]
mod support;
#[path = "../support/reference.rs"]
mod reference;
#[path = "../support/proxy_reference.rs"]
mod proxy_reference;

mod protocol;
mod proxy_header;
mod corpus;
mod io_counts;
mod session;
mod admission;
mod proxy;
mod gate;
mod timeouts;
mod embedding;
mod events;
mod pushing;
mod shutdown;
mod closing;
mod on_purpose;
mod crowd;
mod program;
mod listeners;
mod passed;
mod notify;
mod signals;
mod address_space;
mod log;
mod admin;
mod greet;
mod whoami;
mod chat;
mod connect;
mod connect_terminal;
mod probe;
mod man;
mod terminal;
mod udp;
mod udp_on_purpose;
mod udp_service;
mod usage;
