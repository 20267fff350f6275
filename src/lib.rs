//! hebra is a thread-based, blocking TCP message server: a thread per client, done right.
//!
//! A listener hands each accepted connection to a worker of a fixed thread pool. The worker reads messages and lets a
//! [`Handler`] answer them until the client says `bye`. What happens is sent as [`Event`]s over a channel to one
//! logging thread. Everything a client controls is bounded: sessions, queue, line, time.
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
//! let config = ServerConfig::default().listen(["127.0.0.1:0"]).workers(4);
//! let server = Server::bind(config, |_session| Echo)?.start()?;
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
//! [`ServerConfig`] is everything that can be set. [`Server::bind`] takes it and a factory of handlers, or
//! [`Server::from_listeners`] takes sockets that are bound already. [`Server::start`] begins to accept, and
//! [`RunningServer::shutdown`] drains.
//!
//! # A service of your own
//!
//! A service is a [`Handler`]: it takes each message, writes the answer, and says whether the session continues. It may
//! speak first, and it learns why its session ended. [`Echo`] is the shortest one. [`testing::Script`] runs one without
//! any server. [`Framing`] says what a message is; [`Framing::PlainLine`] is for line protocols of your own.
//!
//! The factory sees each [`Session`] before it begins. A service that sends its clients more than the answers to their
//! own messages asks the session for a [`ClientHandle`], which any thread may clone and push to. A push never blocks,
//! and a client that does not read is disconnected. `examples/key_value.rs` shows all of it.
//!
//! A service for datagrams is a closure: [`UdpServer::answer_with`].
//!
//! A running server can be observed and controlled: [`RunningServer::subscribe`] returns each [`Event`],
//! [`stats`](RunningServer::stats) the totals, [`clients`](RunningServer::clients) who is connected, and
//! [`disconnect`](RunningServer::disconnect) ends one session.
//!
//! # Faults on purpose
//!
//! [`Faults`] makes a service late, slow, wrong or incomplete, and ends its sessions, so that clients can be tested: it wraps
//! any handler, and the same seed gives the same faults. `examples/faulty.rs` is a service of one's own with faults.
//! [`DatagramFaults`] are those of a [`UdpServer`].
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
//! A [`UdpServer`] has a thread `hebra-udp` for each socket, and a `hebra-log` of its own. With faults for which answers
//! wait, each socket has a `hebra-udp-delay` as well.
//!
//! # Stopping
//!
//! [`RunningServer::shutdown`] works in this order. No client is accepted or queued any more, and those that wait are
//! refused. Busy sessions answer what has arrived and end, and idle clients receive the end of the stream. At the
//! deadline the sessions that have not ended are closed. The pool ends, the last connections linger for up to half a
//! second, and the log comes last. Dropping a running server does the same with a deadline of zero.
//!
//! # What is logged
//!
//! Everything goes through the [`log`] crate with the target `hebra`, from the logging thread only:
//!
//! | level | what |
//! | --- | --- |
//! | error | accepting or receiving fails; a handler or a service for datagrams panicked |
//! | warn | an address is not listened on; a limit is too low; accepting or receiving works again; a handler failed; events were lost; sessions were cut off |
//! | info | clients connected, messages, datagrams, clients disconnected or refused, totals, the stop |
//! | debug | connections that sent nothing and left at once, as health probes do; probes of a proxy; answers to datagrams that would be too long |
//!
//! A session never blocks on the log. Messages are logged only if [`log_messages`](ServerConfig::log_messages) asks for
//! it, and only as many as it allows; [`Stats`] are exact whatever the log leaves out. What a client sent is shortened
//! (a datagram is not), and escaped so that it can neither control a terminal nor look like a line of its own
//! ([`text`]). The logger is flushed whenever all events are logged, at most a thousand times a second.
//!
//! # Features
//!
//! `cli`, on by default, is for the `hebra` program. The library needs no feature: with `default-features = false` it
//! depends on `threadpool`, `socket2`, `crossbeam-channel` and `log`.
#![forbid(unsafe_code)]
// The examples of the README are run with the others.
#![cfg_attr(doctest, doc = include_str!("../README.md"))]

mod server;
mod udp;
mod faults;
mod session;
mod net;
mod service;
mod events;
mod config;
pub mod protocol;
pub mod rate;
pub mod text;
pub mod testing;
mod shutdown;
mod client;
mod network;
mod error;

pub use client::{Client, ListenAddress, Peer};
pub use config::{LogMessages, ServerConfig, WhenFull};
pub use error::Error;
pub use events::{CloseReason, Event, Excerpt, QueueWait, RefuseReason, Stats, Subscription};
pub use faults::{DatagramFaults, Faults, Faulty};
pub use net::proxy;
pub use net::resolve::resolve;
pub use network::{Network, NetworkError};
pub use protocol::Framing;
pub use server::{Monitor, RunningServer, Server, SessionInfo, ShutdownReport, StopHandle};
pub use service::{Echo, Handler, Next};
pub use session::{ClientHandle, ClientThread, PushError, Session, SessionEnded, Waiter};
pub use udp::{Datagram, Payload, RunningUdpServer, UdpConfig, UdpEvent, UdpServer, UdpStats};
