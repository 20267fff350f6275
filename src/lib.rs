//! hebra
#![forbid(unsafe_code)]

mod client_thread;
mod config;
mod error;
mod events;
pub mod protocol;
mod server;
mod service;

pub use client_thread::ClientThread;
pub use config::{Framing, LogMessages, ServerConfig, WhenFull};
pub use error::Error;
pub use events::{CloseReason, Event, Excerpt, RefuseReason, Stats};
pub use server::{RunningServer, Server, ShutdownReport};
pub use service::{Client, Echo, Handler, Next};
