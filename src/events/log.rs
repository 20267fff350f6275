//! The logging thread: takes events off the channel, logs them, hands them to subscribers, and accounts for what
//! was left out.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::mem;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use log::kv::Source;
use log::{Level, Record};

use super::sink::QUEUE;
use super::{EventSink, LogCounts, Subscribers};
use crate::config::LogMessages;

/// The target of every line: the crate, so that `RUST_LOG=hebra=warn` means all of it.
const TARGET: &str = "hebra";

/// How long a budget of messages or of session lines lasts.
const WINDOW: Duration = Duration::from_secs(1);

/// How long the thread rests after it has logged everything. A thread that sends an event meanwhile need not wake it,
/// which would be a system call, and the lines of all these events are written at once.
const REST: Duration = Duration::from_millis(1);

/// How long a client may be silent before its arrival is logged. Health probes connect and leave well within
/// it, and would drown everything else.
const ARRIVAL_DELAY: Duration = Duration::from_millis(250);

/// Arrivals for which the memory is kept. Thousands that come at once take megabytes, for a quarter of a second.
const KEPT_ARRIVALS: usize = 64;

/// What the logging thread needs to know about a server's events.
pub(crate) trait Loggable: Clone + fmt::Display + Source {
    /// The server's totals, which are exact.
    type Totals;

    /// The level at which the event is logged.
    fn level(&self) -> Level;

    /// Whether it was sent within the budget of messages.
    fn is_sampled(&self) -> bool;

    /// Whether it reports that a client came, left or was refused. The log has a budget for such lines.
    fn is_session(&self) -> bool {
        false
    }

    /// The event that reports session lines which were not logged.
    fn sessions_not_logged(_lines: u64) -> Option<Self> {
        None
    }

    /// The number of the client that it is about.
    fn client(&self) -> Option<u64> {
        None
    }

    /// Whether it reports a client's arrival, which is logged with the next event of the client, or later.
    fn is_arrival(&self) -> bool {
        false
    }

    /// Whether it reports the end of a client that sent nothing.
    fn is_silent_departure(&self) -> bool {
        false
    }

    /// The messages so far, logged or not. A message that is to be logged enters the channel before it is counted.
    fn messages(totals: &Self::Totals) -> u64;

    /// The event that reports the totals.
    fn totals(totals: Self::Totals) -> Self;

    /// The event that reports messages which were not logged.
    fn not_logged(messages: u64) -> Self;

    /// The event that reports lost events.
    fn dropped(events: u64) -> Self;
}

/// The receiving end of the event channel, and the state of the logging thread.
pub(crate) struct EventLog<E> {
    arriving: Receiver<Box<Option<E>>>,
    returning: Sender<Box<Option<E>>>,
    counts: Arc<LogCounts>,
    subscribers: Subscribers<E>,
    /// The target of all lines, if the server is a part of a program.
    target: Option<&'static str>,
    /// Arrivals that are not logged yet, by client.
    arrivals: HashMap<u64, E>,
    /// When to log each of those at the latest. Some were logged before, or their clients have left.
    arrivals_due: VecDeque<(Instant, u64)>,
    /// How many session lines are logged in each window.
    sessions: LogMessages,
    sessions_logged: u32,
    sessions_missing: u64,
    /// When the budgets are renewed; `None` while nothing was taken from them.
    window_end: Option<Instant>,
    messages_logged: u64,
    missing_reported: u64,
    dropped_reported: u64,
}

impl<E: Loggable> EventLog<E> {
    /// Both ends of a channel: the sink, and the log that [`run`](Self::run) makes the logging thread.
    pub(crate) fn new(messages: LogMessages) -> (EventSink<E>, Self) {
        let (full, arriving) = bounded(QUEUE);
        let (returning, empty) = bounded(QUEUE);
        let counts = Arc::new(LogCounts::new(messages));
        // Below level info no message is logged, so none is sent: the level is read once, here.
        if log::log_enabled!(target: TARGET, Level::Info) {
            counts.renew_budget();
        }
        let log = Self {
            arriving,
            returning,
            subscribers: Subscribers::new(&counts),
            counts: Arc::clone(&counts),
            target: None,
            arrivals: HashMap::new(),
            arrivals_due: VecDeque::new(),
            sessions: LogMessages::All,
            sessions_logged: 0,
            sessions_missing: 0,
            window_end: None,
            messages_logged: 0,
            missing_reported: 0,
            dropped_reported: 0,
        };
        (EventSink { full, empty, counts }, log)
    }

    /// Limits the lines of clients that come, leave or are refused.
    pub(crate) fn limit_sessions(mut self, sessions: LogMessages) -> Self {
        self.sessions = sessions;
        self
    }

    /// Sets the target. With one, level debug replaces level info.
    pub(crate) fn with_target(self, target: Option<&'static str>) -> Self {
        Self { target, ..self }
    }

    /// Returns the subscribers, for a server that lets others subscribe.
    pub(crate) fn subscribers(&self) -> Subscribers<E> {
        self.subscribers.clone()
    }

    /// Runs until every sink is gone and the channel is empty. `totals` returns the exact totals, which are logged every
    /// `stats_interval` and at the end.
    pub(crate) fn run(mut self, stats_interval: Option<Duration>, totals: impl Fn() -> E::Totals) {
        let mut next_stats = stats_interval.map(|interval| Instant::now() + interval);
        loop {
            let next_arrival = self.arrivals_due.front().map(|(due, _)| *due);
            let next_deadline = [self.window_end, next_stats, next_arrival].into_iter().flatten().min();
            match self.next(next_deadline) {
                Ok(event) => self.record(event),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            let now = Instant::now();
            self.keep_time(now, &totals);
            if let Some(interval) = stats_interval.filter(|_| next_stats.is_some_and(|next| next <= now)) {
                next_stats = Some(now + interval);
                self.report(E::totals(totals()));
            }
            if self.arriving.is_empty() {
                log::logger().flush();
                thread::sleep(REST);
            }
        }
        self.report_missing_messages(&totals);
        self.report_missing_sessions();
        self.report_dropped();
        self.report(E::totals(totals()));
        log::logger().flush();
    }

    /// Blocks until there is an event, `deadline` passes, or every sink is gone.
    pub(crate) fn next(&self, deadline: Option<Instant>) -> Result<E, RecvTimeoutError> {
        loop {
            let mut carrier = match deadline {
                Some(deadline) => self.arriving.recv_deadline(deadline)?,
                None => self.arriving.recv()?,
            };
            if let Some(event) = carrier.take() {
                // It always fits: all boxes in flight came out of this channel or are new.
                let _ = self.returning.try_send(carrier);
                return Ok(event);
            }
        }
    }

    fn record(&mut self, event: E) {
        self.subscribers.publish(&event);
        let arrival = event.client().and_then(|client| self.arrivals.remove(&client));
        match event.client() {
            Some(client) if event.is_arrival() => {
                self.arrivals_due.push_back((Instant::now() + ARRIVAL_DELAY, client));
                self.arrivals.insert(client, event);
            }
            _ if arrival.is_some() && event.is_silent_departure() => {
                for event in arrival.iter().chain([&event]) {
                    self.write(Level::Debug, event);
                }
            }
            _ => {
                if event.is_sampled() {
                    self.messages_logged += 1;
                    self.begin_window();
                }
                arrival.iter().for_each(|arrival| self.log(arrival));
                self.log(&event);
            }
        }
        self.report_dropped();
    }

    /// Logs an event, unless it is a session's line for which the budget is used up.
    fn log(&mut self, event: &E) {
        let level = event.level();
        // Lines of level debug are asked for.
        if event.is_session() && level == Level::Info && !self.take_session_line() {
            return;
        }
        self.write(level, event);
    }

    /// Takes a line from the budget. Returns whether there was one.
    fn take_session_line(&mut self) -> bool {
        let LogMessages::PerSecond(lines) = self.sessions else { return matches!(self.sessions, LogMessages::All) };
        self.begin_window();
        let is_left = self.sessions_logged < lines;
        if is_left {
            self.sessions_logged += 1;
        } else {
            self.sessions_missing += 1;
        }
        is_left
    }

    fn begin_window(&mut self) {
        self.window_end.get_or_insert_with(|| Instant::now() + WINDOW);
    }

    /// Logs an event that this thread has made, and passes it on.
    fn report(&self, event: E) {
        self.write(event.level(), &event);
        self.subscribers.publish(&event);
    }

    fn keep_time(&mut self, now: Instant, totals: impl Fn() -> E::Totals) {
        if self.window_end.is_some_and(|end| end <= now) {
            self.window_end = None;
            self.report_missing_messages(totals);
            self.report_missing_sessions();
            self.counts.renew_budget();
        }
        while let Some((due, client)) = self.arrivals_due.front()
            && *due <= now
        {
            let arrival = self.arrivals.remove(client);
            self.arrivals_due.pop_front();
            arrival.iter().for_each(|arrival| self.log(arrival));
            if self.arrivals_due.is_empty() {
                self.arrivals.shrink_to(KEPT_ARRIVALS);
                self.arrivals_due.shrink_to(KEPT_ARRIVALS);
            }
        }
    }

    /// Reports how many messages were not logged, each once. Every event in the channel is taken for a message; if
    /// it is none, the next report makes up for it.
    fn report_missing_messages(&mut self, totals: impl Fn() -> E::Totals) {
        if !self.counts.logs_messages() {
            return;
        }
        let messages = E::messages(&totals());
        let missing = messages.saturating_sub(self.messages_logged + self.arriving.len() as u64);
        if missing > self.missing_reported {
            let messages = missing - self.missing_reported;
            self.missing_reported = missing;
            self.report(E::not_logged(messages));
        }
    }

    fn report_missing_sessions(&mut self) {
        self.sessions_logged = 0;
        let missing = mem::take(&mut self.sessions_missing);
        if missing > 0 {
            E::sessions_not_logged(missing).into_iter().for_each(|event| self.report(event));
        }
    }

    /// Logs an event, with its fields as key-values.
    fn write(&self, level: Level, event: &E) {
        let (target, level) = match (self.target, level) {
            (Some(target), Level::Info) => (target, Level::Debug),
            (target, level) => (target.unwrap_or(TARGET), level),
        };
        if level <= log::STATIC_MAX_LEVEL && level <= log::max_level() {
            let mut record = Record::builder();
            record.level(level).target(target).module_path_static(Some(module_path!())).key_values(event);
            log::logger().log(&record.args(format_args!("{event}")).build());
        }
    }

    fn report_dropped(&mut self) {
        let dropped = self.counts.dropped();
        if dropped > self.dropped_reported {
            let events = dropped - self.dropped_reported;
            self.dropped_reported = dropped;
            self.report(E::dropped(events));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::iter;

    use super::super::{Event, Excerpt, Stats};
    use super::*;
    use crate::client::Client;

    #[test]
    fn session_lines_have_a_budget_and_those_beyond_it_are_counted() {
        for (sessions, logged, missing) in
            [(LogMessages::All, 5, 0), (LogMessages::PerSecond(3), 3, 2), (LogMessages::Off, 0, 0)]
        {
            let (_sink, log) = EventLog::<Event>::new(LogMessages::Off);
            let mut log = log.limit_sessions(sessions);
            let seen = log.subscribers().subscribe();
            let taken = |log: &mut EventLog<Event>| (0..5).filter(|_| log.take_session_line()).count();
            assert_eq!((taken(&mut log), log.sessions_missing), (logged, missing));
            log.report_missing_sessions();
            let reported = iter::from_fn(|| seen.try_next())
                .map(|event| match event {
                    Event::SessionsNotLogged { lines } => lines,
                    other => panic!("{other:?}"),
                })
                .sum::<u64>();
            assert_eq!(reported, missing);
            assert_eq!(taken(&mut log), logged, "the budget is renewed");
        }
    }

    #[test]
    fn a_message_that_waits_for_its_line_is_not_reported_as_missing() {
        let (sink, mut log) = EventLog::new(LogMessages::All);
        let seen = log.subscribers().subscribe();
        let total = Cell::new(0);
        let stats = || Stats { messages: total.get(), ..Stats::default() };
        let client = Client::new(1, ([127, 0, 0, 1], 1).into());
        // Ten are in the channel when the window ends, and five found no place there.
        for _ in 0..10 {
            sink.sample(|| Event::Message { client, excerpt: Excerpt::new(b"hello") });
        }
        sink.send(Event::Connected { client, waited: Duration::ZERO });
        total.set(15);
        log.window_end = Some(Instant::now());
        log.keep_time(Instant::now(), stats);
        drop(sink);
        log.run(None, stats);
        let (mut lines, mut missing) = (0, 0);
        for event in seen {
            match event {
                Event::MessagesNotLogged { messages } => missing += messages,
                Event::Message { .. } => lines += 1,
                _ => {}
            }
        }
        assert_eq!((lines, missing), (10, 5));
    }
}
