//! What a run is asked to do, whoever asks: the command line, the suite or a test.

use std::net::SocketAddr;
use std::time::Duration;

use clap::ValueEnum;

/// One run against one server.
#[derive(Clone, Debug)]
pub(crate) struct Load {
    /// The server.
    pub(crate) address: SocketAddr,
    /// What each connection does.
    pub(crate) mode: Mode,
    /// Measured connections, all of them open at once.
    pub(crate) connections: usize,
    /// The window that is measured.
    pub(crate) duration: Duration,
    /// Load before the window.
    pub(crate) warmup: Duration,
    /// Bytes of a message.
    pub(crate) size: usize,
    /// Messages that each connection may have on their way.
    pub(crate) depth: usize,
    /// Messages a second in all, due whether or not the server keeps up. Without it, each connection sends
    /// the next message when an answer has come.
    pub(crate) rate: Option<f64>,
    /// How a churning client leaves.
    pub(crate) end: End,
    /// Event loops.
    pub(crate) threads: usize,
    /// How long a connect or an answer may take.
    pub(crate) timeout: Duration,
    /// Of the messages' bytes.
    pub(crate) seed: u64,
    /// Clients that are a burden and not measured.
    pub(crate) adversaries: Adversaries,
}

/// What each connection does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Mode {
    /// Sends messages and waits for their echoes.
    Echo,
    /// Connects, sends one message, waits for its echo, leaves, and connects again.
    Churn,
    /// Like echo with long messages, and many on their way: counted in MiB/s.
    Stream,
}

/// How a churning client leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum End {
    /// It closes its sending side and waits for the end of the stream.
    Close,
    /// It says `bye` and waits for the end of the stream.
    Bye,
}

/// How many clients are a burden, of each kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Adversaries {
    /// They connect and stay silent.
    pub(crate) idle: usize,
    /// They send a byte every 100 ms.
    pub(crate) slow_writers: usize,
    /// They send all they can, and read a byte every 100 ms.
    pub(crate) slow_readers: usize,
    /// Every 100 ms they connect, send a little and reset the connection.
    pub(crate) resetters: usize,
}

impl Adversaries {
    /// All of them.
    pub(crate) fn count(&self) -> usize {
        self.idle + self.slow_writers + self.slow_readers + self.resetters
    }
}
