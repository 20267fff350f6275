//! The event loop: it runs thousands of connections on one thread, because the client must not take the cores that the
//! server needs.
//!
//! The phases of a run are connect, warm up, measure, cool down and close. Every wait is bounded: connects and answers
//! by the timeout of the load, everything else by a constant.

use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, Sender};
use std::time::{Duration, Instant};

use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};
use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};

use super::client::Client;
use super::context::Context;
use super::load::{Load, Mode};
use super::payload::Payloads;
use super::sample::Sample;
use super::schedule::Schedule;
use super::tally::{Counts, Tally, Window, record, record_many};

/// Concurrent connects. This is well below any backlog, so that no connection has to wait until the kernel repeats its
/// SYN.
const MAX_CONNECTING: usize = 64;

/// Interval of the housekeeping: checks of timeouts, and samples.
const HOUSEKEEPING: Duration = Duration::from_millis(100);

/// Longest wait for the end of the streams at the end of the run. An echo server that does not support half-close is
/// not counted as faulty.
const CLOSE_TIMEOUT: Duration = Duration::from_millis(500);

/// Requests of one connection that were never sent are recorded in this number of groups at most, which is as precise
/// as the histogram.
const UNSENT_GROUPS: u64 = 1000;

const TIMER: Token = Token(usize::MAX);

/// What an event loop reports while it runs.
#[derive(Debug)]
pub(crate) enum Notice {
    /// Each connection is open or has failed.
    Connected,
    /// The counts of a tenth of a second. The sample is the last one if no connection is left.
    Sample { engine: usize, sample: Box<Sample>, is_last: bool },
}

/// One event loop and its clients.
pub(crate) struct Engine<'a, C> {
    number: usize,
    clients: Vec<C>,
    context: Context<'a>,
    poll: Poll,
    events: Events,
    /// Wakes the poll when a request is due, because the poll's own timeout has a resolution of a millisecond.
    timer: TimerFd,
    next_housekeeping: Instant,
    notices: Option<Sender<Notice>>,
}

impl<'a, C: Client> Engine<'a, C> {
    /// Event loop `number` of `load.threads`. It has every `load.threads`-th connection, beginning with its own number.
    pub(crate) fn new(
        load: &'a Load,
        payloads: &'a Payloads,
        number: usize,
        notices: Sender<Notice>,
    ) -> io::Result<Self> {
        let poll = Poll::new()?;
        let timer = TimerFd::new(ClockId::CLOCK_MONOTONIC, TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC)?;
        let fd = timer.as_fd().as_raw_fd();
        poll.registry().register(&mut SourceFd(&fd), TIMER, Interest::READABLE)?;
        let numbers = (number..load.connections).step_by(load.threads);
        Ok(Self {
            number,
            clients: numbers.enumerate().map(|(slot, number)| C::new(slot, number as u64)).collect(),
            context: Context::new(load, payloads, poll.registry().try_clone()?),
            poll,
            events: Events::with_capacity(1024),
            timer,
            next_housekeeping: Instant::now(),
            notices: Some(notices),
        })
    }

    /// Connects, then runs the load from the start time that arrives on `go`. Returns without a load if the sender of
    /// `go` is dropped instead.
    pub(crate) fn run(mut self, go: &Receiver<Instant>) -> io::Result<Tally> {
        let connected = if self.context.load.mode == Mode::Churn { Ok(()) } else { self.connect() };
        // Sent after a failure too, because all event loops wait for it.
        self.report(Notice::Connected);
        connected?;
        if let Ok(start) = go.recv() {
            self.measure(start)?;
        }
        Ok(self.context.tally)
    }

    fn connect(&mut self) -> io::Result<()> {
        let mut next = 0;
        while next < self.clients.len() || self.context.connecting > 0 {
            while next < self.clients.len() && self.context.connecting < MAX_CONNECTING {
                self.clients[next].connect(&mut self.context);
                next += 1;
            }
            self.turn()?;
        }
        Ok(())
    }

    fn measure(&mut self, start: Instant) -> io::Result<()> {
        let load = self.context.load;
        let from = start + load.warmup;
        self.context.window = Window { from, to: from + load.duration };
        self.context.now = Instant::now();
        // Samples count from the start of the load, not from the connects.
        let _connecting = self.context.sampler.take(start, Counts::default(), 0);
        self.next_housekeeping = start + HOUSEKEEPING;
        match load.rate {
            Some(rate) => {
                let schedule = Schedule::new(start, rate, load.connections, load.threads, self.number);
                self.context.schedule = Some(schedule);
            }
            None => {
                for client in &mut self.clients {
                    self.context.now = Instant::now();
                    client.allow(u64::MAX);
                    client.proceed(&mut self.context);
                }
            }
        }
        let processor_time = processor_time();
        while self.context.now < self.context.window.to && self.is_alive() {
            self.turn()?;
        }
        self.report_sample();
        let window = self.context.window;
        self.context.tally.elapsed = self.context.now.min(window.to).saturating_duration_since(window.from);
        self.context.tally.busy = (self::processor_time() - processor_time, start.elapsed());
        self.count_late();
        // When all senders are gone, the main thread takes its second snapshot of the server.
        self.notices = None;
        while self.clients.iter().any(|client| client.is_waiting(&self.context)) {
            self.turn()?;
        }
        for client in &mut self.clients {
            client.close(&mut self.context);
        }
        let last = Instant::now() + CLOSE_TIMEOUT;
        while self.context.now < last && self.clients.iter().any(Client::is_leaving) {
            self.turn()?;
        }
        C::finish(&self.clients, &mut self.context);
        Ok(())
    }

    /// One turn of the loop: begins the requests that are due, waits for events, and handles them.
    fn turn(&mut self) -> io::Result<()> {
        self.context.now = Instant::now();
        if self.context.now >= self.next_housekeeping {
            self.do_housekeeping();
        }
        // Takes only what was due at the beginning of the turn: if the rate cannot be reached, something is always due.
        // Ends with the window too, because at a rate far out of reach even that would take many times as long.
        let due = self.context.now;
        let mut begun = 0;
        while begun < C::BURST
            && self.context.now < self.context.window.to
            && let Some(slot) = self.take_due(due)
        {
            self.context.now = Instant::now();
            self.clients[slot].allow(1);
            self.clients[slot].proceed(&mut self.context);
            begun += 1;
        }
        let wait = self.set_timer()?;
        match self.poll.poll(&mut self.events, Some(wait)) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
            _ => {}
        }
        self.context.now = Instant::now();
        for event in &self.events {
            if event.token() != TIMER {
                self.clients[event.token().0].handle(event, &mut self.context);
            }
        }
        Ok(())
    }

    fn do_housekeeping(&mut self) {
        self.next_housekeeping = self.context.now + HOUSEKEEPING;
        if self.context.load.stop.as_ref().is_some_and(|stop| stop.load(Ordering::Relaxed)) {
            self.context.window.to = self.context.window.to.min(self.context.now);
        }
        for client in &mut self.clients {
            client.check_timeout(&mut self.context);
        }
        self.report_sample();
    }

    /// Ends the current sample. Reports it if the window is not over: the cool-down is not shown.
    fn report_sample(&mut self) {
        let Context { now, tally, open, .. } = &self.context;
        let sample = self.context.sampler.take(*now, tally.counts(self.context.load), *open);
        if self.context.window.to > self.context.now {
            self.report(Notice::Sample {
                engine: self.number,
                sample: Box::new(sample),
                is_last: !self.is_alive(),
            });
        }
    }

    /// Takes the next request that is due by `now` and before the end of the window. Returns its connection.
    fn take_due(&mut self, now: Instant) -> Option<usize> {
        let last = self.context.window.to;
        let schedule = self.context.schedule.as_mut()?;
        if schedule.next_due() < last { schedule.take_due(now) } else { None }
    }

    /// Returns how long the poll may wait. Sets the timer if a request is due before that.
    fn set_timer(&self) -> io::Result<Duration> {
        let now = Instant::now();
        let wait = self.next_housekeeping.saturating_duration_since(now);
        let Some(schedule) = &self.context.schedule else { return Ok(wait) };
        let until = schedule.next_due().saturating_duration_since(now);
        if schedule.next_due() >= self.context.window.to || until > wait {
            return Ok(wait);
        }
        if until.is_zero() {
            return Ok(until);
        }
        let expiration = Expiration::OneShot(TimeSpec::from_duration(until));
        self.timer.set(expiration, TimerSetTimeFlags::empty())?;
        Ok(wait)
    }

    /// Counts the requests of the window that have not been answered at its end. The response time of one that never
    /// began is at least the time until then.
    fn count_late(&mut self) {
        let Context { schedule: Some(schedule), window, tally, .. } = &mut self.context else { return };
        tally.answered = tally.response.clone();
        for (slot, client) in self.clients.iter().enumerate() {
            for request in client.unanswered().filter(|request| window.contains(request.intended)) {
                record(&mut tally.unanswered, window.to - request.intended);
            }
            let [from, to] = [window.from, window.to].map(|moment| schedule.requests_before(slot, moment));
            let first_unsent = client.begun().clamp(from, to);
            tally.due += to - from;
            tally.unsent += to - first_unsent;
            // There may be billions, at even intervals. The first of each group stands for the group.
            let group = (to - first_unsent).div_ceil(UNSENT_GROUPS).max(1);
            for first in (first_unsent..to).step_by(group as usize) {
                let latency = window.to - schedule.intended(slot, first);
                record_many(&mut tally.response, latency, group.min(to - first));
            }
        }
    }

    /// Returns `true` while there are connections to measure. Churning clients always connect again.
    fn is_alive(&self) -> bool {
        let Load { mode, reconnect, .. } = self.context.load;
        *mode == Mode::Churn
            || self.context.open > 0
            || (*reconnect && !self.clients.iter().all(Client::has_failed))
    }

    fn report(&self, notice: Notice) {
        if let Some(sender) = &self.notices {
            // The receiver is gone only after an error elsewhere has ended the run.
            let _ = sender.send(notice);
        }
    }
}

/// Returns the processor time that this thread has used so far.
fn processor_time() -> Duration {
    nix::time::clock_gettime(nix::time::ClockId::CLOCK_THREAD_CPUTIME_ID).map_or(Duration::ZERO, Duration::from)
}
