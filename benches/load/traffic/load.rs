//! The description of one run. The command line, the comparison and the tests make it.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, SystemTime};

use clap::ValueEnum;

use super::address::Address;
use super::proxy::{self, Client};

/// One run against one server.
#[derive(Clone, Debug)]
pub(crate) struct Load {
    /// The server's address.
    pub(crate) address: Address,
    /// Begin each connection with a PROXY header, which names a client of its own.
    pub(crate) proxy: Option<proxy::Version>,
    /// What each connection does.
    pub(crate) mode: Mode,
    /// Measured connections, all of them open at once.
    pub(crate) connections: usize,
    /// Length of the measured window.
    pub(crate) duration: Duration,
    /// Load before the window, not measured.
    pub(crate) warmup: Duration,
    /// Size of a message in bytes.
    pub(crate) size: usize,
    /// Messages that each connection may have in flight.
    pub(crate) depth: usize,
    /// Total messages per second, due whether or not the server keeps up (open loop). Without a rate, each connection
    /// sends its next message when an answer has arrived (closed loop).
    pub(crate) rate: Option<f64>,
    /// How a churning client leaves.
    pub(crate) end: End,
    /// Number of event loops.
    pub(crate) threads: usize,
    /// Longest time that a connect or an answer may take.
    pub(crate) timeout: Duration,
    /// Seed of the payload.
    pub(crate) seed: u64,
    /// Connect again when the server ends a session between two answers, and send again what it has not answered.
    pub(crate) reconnect: bool,
    /// Count corrupted and missing bytes, resets and all that can happen to datagrams, and go on. They are errors otherwise.
    pub(crate) expect_faults: bool,
    /// When the load begins. Without it, it begins when all connections are open.
    pub(crate) start_at: Option<SystemTime>,
    /// Ends the window early when it becomes `true`.
    pub(crate) stop: Option<Arc<AtomicBool>>,
    /// Misbehaving clients, which are not measured.
    pub(crate) adversaries: Adversaries,
}

/// What each connection does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Mode {
    /// Sends messages and waits for their echoes.
    Echo,
    /// Connects, sends one message, waits for its echo, leaves, and connects again.
    Churn,
    /// Like echo, with long messages and many of them in flight. Counted in MiB/s.
    Stream,
    /// Sends datagrams and waits for their echoes.
    Udp,
}

/// How a churning client leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum End {
    /// Closes the sending side and waits for the end of the stream.
    Close,
    /// Sends `bye` and waits for the end of the stream.
    Bye,
}

/// The number of misbehaving clients of each kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Adversaries {
    /// Clients that connect and stay silent.
    pub(crate) idle: usize,
    /// Clients that send one byte every 100 ms.
    pub(crate) slow_writers: usize,
    /// Clients that send as much as they can and read one byte every 100 ms.
    pub(crate) slow_readers: usize,
    /// Clients that connect, send a little and reset the connection every 100 ms.
    pub(crate) resetters: usize,
}

impl Load {
    /// Returns how many messages each connection may have in flight. A datagram that is due is sent, however many are.
    pub(crate) fn depth_limit(&self) -> Option<usize> {
        (self.mode != Mode::Udp || self.rate.is_none()).then_some(self.depth)
    }

    /// Returns what is sent.
    pub(crate) fn what(&self) -> &'static str {
        if self.mode == Mode::Udp { "datagrams" } else { "messages" }
    }

    /// Describes the load in one line.
    pub(crate) fn title(&self) -> String {
        let Self { connections, size, .. } = self;
        let plural = if *connections == 1 { "" } else { "s" };
        let what = self.what();
        let mut title = format!("{}: {connections} connection{plural}, {size} B {what}", name(&self.mode));
        if let Some(depth) = self.depth_limit().filter(|_| self.mode != Mode::Churn) {
            title += &format!(", {depth} in flight each");
        }
        if let Some(rate) = self.rate {
            title += &format!(", {rate}/s");
        }
        if let Some(version) = &self.proxy {
            title += &format!(", PROXY {}", name(version));
        }
        title
    }

    /// Returns what a connection of `client` begins with, before its first message.
    pub(crate) fn header(&self, client: Client) -> Vec<u8> {
        self.proxy.map_or_else(Vec::new, |version| proxy::header(version, client.address(self.seed), &self.address))
    }
}

/// Returns the name of a choice as it is typed on the command line.
pub(crate) fn name(choice: &impl ValueEnum) -> String {
    choice.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
}

impl Adversaries {
    /// Returns the number of all adversaries.
    pub(crate) fn count(&self) -> usize {
        self.idle + self.slow_writers + self.slow_readers + self.resetters
    }
}
