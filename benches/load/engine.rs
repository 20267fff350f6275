//! The event loop: it drives thousands of connections from one thread, because a client must not take the
//! cores that it measures.
//!
//! Connect, warm up, measure, cool down, leave. Nothing here waits without a limit: connects and answers have
//! the load's timeout, everything else an end.

use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::sync::mpsc::{Receiver, Sender};
use std::time::{Duration, Instant};

use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};
use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};

use super::connection::Connection;
use super::context::Context;
use super::load::{End, Load, Mode};
use super::payload::Payloads;
use super::sample::Sample;
use super::schedule::Schedule;
use super::tally::{Tally, Window, record};

/// Connects at once: well below any backlog, so that no connection waits for a second try of the kernel's.
const CONNECTING: usize = 64;

/// Between two looks at timeouts, and two samples.
const CHORES: Duration = Duration::from_millis(100);

/// How long the end of a stream may take at the end of the run. An echo server that does not know half-close
/// is none the worse.
const LAST_WAIT: Duration = Duration::from_millis(500);

const TIMER: Token = Token(usize::MAX);

/// What an event loop tells while it runs.
#[derive(Debug)]
pub(crate) enum News {
    /// All connections are open, or have failed.
    Connected,
    /// A tenth of a second of the event loop of that number is over, or it has nobody left to measure.
    Sample { engine: usize, sample: Sample, is_last: bool },
}

/// One event loop and its connections.
pub(crate) struct Engine<'a> {
    number: usize,
    connections: Vec<Connection>,
    context: Context<'a>,
    poll: Poll,
    events: Events,
    /// For requests that are due: the poll itself waits for whole milliseconds.
    timer: TimerFd,
    next_chores: Instant,
    news: Option<Sender<News>>,
}

impl<'a> Engine<'a> {
    /// The event loop of every `load.threads`-th connection, from its own number on.
    pub(crate) fn new(
        load: &'a Load,
        payloads: &'a Payloads,
        number: usize,
        news: Sender<News>,
    ) -> io::Result<Self> {
        let poll = Poll::new()?;
        let timer = TimerFd::new(ClockId::CLOCK_MONOTONIC, TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC)?;
        let fd = timer.as_fd().as_raw_fd();
        poll.registry().register(&mut SourceFd(&fd), TIMER, Interest::READABLE)?;
        let numbers = (number..load.connections).step_by(load.threads);
        Ok(Self {
            number,
            connections: numbers.enumerate().map(|(slot, number)| Connection::new(slot, number as u64)).collect(),
            context: Context::new(load, payloads, poll.registry().try_clone()?),
            poll,
            events: Events::with_capacity(1024),
            timer,
            next_chores: Instant::now(),
            news: Some(news),
        })
    }

    /// Runs the load. It begins at the moment that comes from `go`, once everyone is connected; if none comes,
    /// nothing is done.
    pub(crate) fn run(mut self, go: &Receiver<Instant>) -> io::Result<Tally> {
        let connected = if self.context.load.mode == Mode::Churn { Ok(()) } else { self.connect() };
        // The others wait for this, be it a success or not.
        self.tell(News::Connected);
        connected?;
        if let Ok(start) = go.recv() {
            self.measure(start)?;
        }
        Ok(self.context.tally)
    }

    fn connect(&mut self) -> io::Result<()> {
        let mut next = 0;
        while next < self.connections.len() || self.context.connecting > 0 {
            while next < self.connections.len() && self.context.connecting < CONNECTING {
                self.connections[next].connect(&mut self.context);
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
        let _connecting = self.context.sampler.take(start, 0, 0);
        match load.rate {
            Some(rate) => {
                let schedule = Schedule::new(start, rate, load.connections, load.threads, self.number);
                self.context.schedule = Some(schedule);
            }
            None => {
                for connection in &mut self.connections {
                    self.context.now = Instant::now();
                    connection.allow(u64::MAX);
                    connection.proceed(&mut self.context);
                }
            }
        }
        let processor_time = processor_time();
        while self.context.now < self.context.window.to && self.is_alive() {
            self.turn()?;
        }
        self.tell_sample();
        let window = self.context.window;
        self.context.tally.elapsed = self.context.now.min(window.to).saturating_duration_since(window.from);
        self.context.tally.busy = (self::processor_time() - processor_time, start.elapsed());
        self.count_unsent();
        // That it is gone tells the main thread to take its last look at the server.
        self.news = None;
        while self.connections.iter().any(|connection| connection.is_waiting(&self.context)) {
            self.turn()?;
        }
        for connection in &mut self.connections {
            connection.leave(End::Close, &mut self.context);
        }
        let last = Instant::now() + LAST_WAIT;
        while self.context.now < last && self.connections.iter().any(Connection::is_leaving) {
            self.turn()?;
        }
        Ok(())
    }

    /// Waits for what happens next and lets the connections take it.
    fn turn(&mut self) -> io::Result<()> {
        self.context.now = Instant::now();
        if self.context.now >= self.next_chores {
            self.do_chores();
        }
        // Only what was due at the beginning of the turn: at a rate beyond reach there would be no end.
        let due = self.context.now;
        while let Some(slot) = self.take_due(due) {
            self.context.now = Instant::now();
            self.connections[slot].allow(1);
            self.connections[slot].proceed(&mut self.context);
        }
        let wait = self.set_timer()?;
        match self.poll.poll(&mut self.events, Some(wait)) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
            _ => {}
        }
        self.context.now = Instant::now();
        for event in &self.events {
            if event.token() != TIMER {
                self.connections[event.token().0].handle(event, &mut self.context);
            }
        }
        Ok(())
    }

    fn do_chores(&mut self) {
        self.next_chores = self.context.now + CHORES;
        for connection in &mut self.connections {
            connection.check_timeout(&mut self.context);
        }
        self.tell_sample();
    }

    /// Within the window: what comes later is not for plots.
    fn tell_sample(&mut self) {
        let Context { now, tally, open, .. } = &self.context;
        let sample = self.context.sampler.take(*now, tally.failures.total(), *open);
        if self.context.window.to > self.context.now {
            self.tell(News::Sample { engine: self.number, sample, is_last: !self.is_alive() });
        }
    }

    /// The connection whose request is due by `now`, within the window's time.
    fn take_due(&mut self, now: Instant) -> Option<usize> {
        let last = self.context.window.to;
        let schedule = self.context.schedule.as_mut()?;
        if schedule.next_due() < last { schedule.take_due(now) } else { None }
    }

    /// How long the poll may wait; the timer is set if a request is due before that.
    fn set_timer(&self) -> io::Result<Duration> {
        let now = Instant::now();
        let wait = self.next_chores.saturating_duration_since(now);
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

    /// Counts the requests that were due and never began. They have waited at least until now.
    fn count_unsent(&mut self) {
        while let Some(slot) = self.take_due(self.context.window.to) {
            self.connections[slot].allow(1);
        }
        let Context { schedule: Some(schedule), window, tally, .. } = &mut self.context else { return };
        for connection in &self.connections {
            for intended in connection.unsent(schedule).filter(|intended| window.contains(*intended)) {
                tally.unsent += 1;
                record(&mut tally.response, window.to - intended);
            }
        }
    }

    /// Whether there is anyone left to measure. Those who churn come back.
    fn is_alive(&self) -> bool {
        self.context.load.mode == Mode::Churn || self.context.open > 0
    }

    fn tell(&self, news: News) {
        if let Some(sender) = &self.news {
            // If nobody listens any more, nobody needs to know.
            let _ = sender.send(news);
        }
    }
}

/// What this thread has used of the processors so far.
fn processor_time() -> Duration {
    nix::time::clock_gettime(nix::time::ClockId::CLOCK_THREAD_CPUTIME_ID).map_or(Duration::ZERO, Duration::from)
}
