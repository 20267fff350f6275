//! hebra is a thread-based, blocking TCP message server: a thread per client, done right.
//!
//! A listener hands each accepted connection to a worker of a fixed thread pool; the worker reads messages
//! and lets a [`Handler`] answer them until the client says `bye`; what happens travels as [`Event`]s over a
//! channel to one logging thread. Everything a client controls is bounded: sessions, queue, line, time.
//!
//! # Use
//!
//! ```
//! use std::io::{Read, Write};
//! use std::net::TcpStream;
//! use std::time::Duration;
//!
//! use hebra::{Echo, Server, ServerConfig};
//!
//! let config = ServerConfig { listen: vec!["127.0.0.1:0".into()], workers: 4, ..ServerConfig::default() };
//! let server = Server::bind(config, |_client| Echo)?.start()?;
//!
//! let mut client = TcpStream::connect(server.local_addrs()[0])?;
//! client.write_all(b"Hola, servidor!")?;
//! let mut echo = [0; 15];
//! client.read_exact(&mut echo)?;
//! assert_eq!(&echo, b"Hola, servidor!");
//! client.write_all(b"bye")?;
//! assert_eq!(client.read(&mut echo)?, 0);
//!
//! let report = server.shutdown(Duration::from_secs(10));
//! assert_eq!((report.cut_off, report.stats.messages), (0, 1));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! [`ServerConfig`] is everything that can be set; [`Server::bind`] takes it and a factory of handlers;
//! [`Server::start`] begins to accept; [`RunningServer::shutdown`] drains.
//!
//! # A service of your own
//!
//! is a [`Handler`]: it takes each message and writes the answer, and says whether the session goes on. It may
//! speak first, and learns why its session ended. [`Echo`] and [`Greet`] are the shortest ones;
//! [`ClientThread`] runs one against a scripted stream, without any server.
//!
//! The factory sees each [`Connection`] before it is served. A service whose clients hear of each other, or of
//! anything but their own messages, asks it for a [`ClientHandle`], which any thread may clone and push to:
//! [`Room`] is made of those. Pushing never waits; a client that does not read is dropped.
//!
//! What happens can be watched: [`RunningServer::subscribe`] gives each [`Event`], [`RunningServer::stats`] the
//! totals.
//!
//! # Threads
//!
//! | thread | how many | ends when |
//! | --- | --- | --- |
//! | `hebra-accept` | one for each listening socket | the server stops |
//! | `hebra-worker` | [`workers`](ServerConfig::workers) | the server has stopped |
//! | `hebra-writer` | one for each session that was asked for a [`ClientHandle`] | its session ends |
//! | `hebra-reaper` | one, for the limits of waiting, silence and lifetime | the server stops |
//! | `hebra-linger` | one | the last connection is closed |
//! | `hebra-log` | one | the last event is logged |
//!
//! A [`UdpServer`] has `hebra-udp`, one for each socket, and a `hebra-log` of its own.
//!
//! # Stopping
//!
//! [`RunningServer::shutdown`] goes in this order: nobody is accepted or queued any more and those who wait
//! are told; busy sessions answer what has arrived and end, silent clients are told the end; at the deadline
//! those that have not ended are closed; the pool ends; the last connections linger for up to half a second;
//! the log comes last. Dropping a running server does the same with a deadline of zero.
//!
//! # What is logged
//!
//! Through the [`log`] crate, with the target `hebra`, from the logging thread only:
//!
//! | level | what |
//! | --- | --- |
//! | error | accepting or receiving fails; a handler panicked |
//! | warn | an address is not listened on; a limit is too low; accepting or receiving works again; events were lost; sessions were cut off |
//! | info | clients connected, messages, datagrams, clients disconnected or refused, totals, the stop |
//! | debug | connections that sent nothing and left at once, as health probes do |
//!
//! A session never waits for the log. What a client sent is shortened (a datagram is not), and escaped so that it can neither
//! control a terminal nor pass for a line of its own. Messages are sampled by
//! [`log_messages`](ServerConfig::log_messages); [`Stats`] are exact whatever the log leaves out.
//! The logger is flushed whenever all there was has been logged, at most a thousand times a second.
//!
//! # Features
//!
//! `cli`, on by default, is for the `hebra` program. The library needs none: with
//! `default-features = false` it depends on `threadpool`, `socket2`, `crossbeam-channel` and `log`.
#![forbid(unsafe_code)]
// The examples of the README are run with the others.
#![cfg_attr(doctest, doc = include_str!("../README.md"))]

mod server;
mod udp;
mod session;
mod net;
mod service;
mod events;
mod config;
pub mod protocol;
mod shutdown;
mod client;
mod error;

pub use client::Client;
pub use config::{Framing, LogMessages, ServerConfig, WhenFull};
pub use error::Error;
pub use events::{CloseReason, Event, Excerpt, Payload, RefuseReason, Stats, UdpStats};
pub use server::{RunningServer, Server, ShutdownReport};
pub use service::{Echo, Greet, Handler, Member, Next, Notice, Room, Seats};
pub use session::{ClientHandle, ClientThread, Connection, PushError};
pub use udp::{RunningUdpServer, UdpConfig, UdpServer};
