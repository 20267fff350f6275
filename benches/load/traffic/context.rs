//! What all connections of one event loop share: the load, the clock, the buffers and the counts.

use std::time::Instant;

use mio::Registry;

use super::load::Load;
use super::payload::Payloads;
use super::sample::Sampler;
use super::schedule::Schedule;
use super::tally::{Tally, Window, record};

/// The most bytes that one system call writes or reads.
pub(crate) const BUFFER: usize = 64 * 1024;

/// The state that an event loop passes to each of its connections.
pub(crate) struct Context<'a> {
    pub(crate) load: &'a Load,
    pub(crate) payloads: &'a Payloads,
    pub(crate) registry: Registry,
    /// The time of the last look at the clock: before each wait, and after each read.
    pub(crate) now: Instant,
    pub(crate) window: Window,
    /// When requests are due. `None` in a closed loop.
    pub(crate) schedule: Option<Schedule>,
    pub(crate) tally: Tally,
    pub(crate) sampler: Sampler,
    /// Connects begun so far.
    pub(crate) connects: u64,
    /// Connections that are being established.
    pub(crate) connecting: usize,
    /// Connections that are open.
    pub(crate) open: usize,
    /// The bytes of one write.
    pub(crate) outgoing: Vec<u8>,
    /// The bytes of one read. One buffer for both directions had to be zeroed for each read, which took 7 % of the
    /// client's time.
    pub(crate) incoming: Vec<u8>,
}

/// A message whose echo is not yet complete.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Request {
    /// When it was due. In a closed loop, when it began.
    pub(crate) intended: Instant,
    pub(crate) begun: Instant,
}

impl<'a> Context<'a> {
    pub(crate) fn new(load: &'a Load, payloads: &'a Payloads, registry: Registry) -> Self {
        let now = Instant::now();
        Self {
            load,
            payloads,
            registry,
            now,
            window: Window { from: now, to: now },
            schedule: None,
            tally: Tally::new(),
            sampler: Sampler::new(now),
            connects: 0,
            connecting: 0,
            open: 0,
            outgoing: Vec::with_capacity(BUFFER),
            incoming: vec![0; BUFFER],
        }
    }

    /// Counts an answer that was completed just now.
    pub(crate) fn count_answer(&mut self, request: Request) {
        self.tally.total_answers += 1;
        self.sampler.add(self.now - request.intended);
        if self.window.contains(self.now) {
            self.tally.answers += 1;
        }
        self.count_times(request);
    }

    /// Counts how long an answer took that was completed just now.
    pub(crate) fn count_times(&mut self, request: Request) {
        if self.window.contains(request.begun) {
            record(&mut self.tally.service, self.now - request.begun);
        }
        if self.window.contains(request.intended) {
            record(&mut self.tally.response, self.now - request.intended);
        }
    }
}
