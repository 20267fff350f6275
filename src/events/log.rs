//! The logging thread: takes events off the channel, logs them, hands them to subscribers, accounts for
//! what was left out.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::RecvTimeoutError;

use super::{Event, EventReceiver, Reckoning, SinkCounts, Subscribers};

/// The target of every line: the crate, so that `RUST_LOG=hebra=warn` means all of it.
const TARGET: &str = "hebra";

/// How long a message budget lasts.
const WINDOW: Duration = Duration::from_secs(1);

/// How long the thread rests when it has logged all there was: who sends an event meanwhile need not wake it, which is
/// a system call, and the lines of all are written at once.
const REST: Duration = Duration::from_millis(1);

/// How long a client may be silent before its arrival is logged. Health probes connect and leave well within
/// it, and would drown everything else.
const ARRIVAL_DELAY: Duration = Duration::from_millis(250);

/// Arrivals for which the memory is kept. Thousands that come at once take megabytes, for a quarter of a second.
const KEPT_ARRIVALS: usize = 64;

/// The logging thread's state.
pub(crate) struct EventLog<F> {
    events: EventReceiver,
    counts: Arc<SinkCounts>,
    subscribers: Subscribers,
    /// Gives the totals, which are exact.
    stats: F,
    stats_interval: Option<Duration>,
    next_stats: Option<Instant>,
    /// Arrivals that were not logged yet, by number.
    silent: HashMap<u64, Event>,
    /// When to log those at the latest; some were logged or left before.
    silent_until: VecDeque<(Instant, u64)>,
    /// When the message budget is renewed; none while nothing was taken from it.
    window_end: Option<Instant>,
    messages_logged: u64,
    messages_told_missing: u64,
    dropped_told: u64,
}

impl<S: Reckoning, F: Fn() -> S> EventLog<F> {
    pub(crate) fn new(
        events: EventReceiver,
        counts: Arc<SinkCounts>,
        subscribers: Subscribers,
        stats_interval: Option<Duration>,
        stats: F,
    ) -> Self {
        // Below level info nobody would see a message, so none is sent: the level is read once, here.
        if log::log_enabled!(target: TARGET, log::Level::Info) {
            counts.renew_budget();
        }
        Self {
            events,
            counts,
            subscribers,
            stats,
            stats_interval,
            next_stats: stats_interval.map(|interval| Instant::now() + interval),
            silent: HashMap::new(),
            silent_until: VecDeque::new(),
            window_end: None,
            messages_logged: 0,
            messages_told_missing: 0,
            dropped_told: 0,
        }
    }

    /// Runs until every sink is gone and the channel is empty.
    pub(crate) fn run(mut self) {
        loop {
            let next_arrival = self.silent_until.front().map(|(until, _)| *until);
            let next_deadline = [self.window_end, self.next_stats, next_arrival].into_iter().flatten().min();
            match self.events.next(next_deadline) {
                Ok(event) => self.record(event),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            self.keep_time(Instant::now());
            if self.events.len() == 0 {
                log::logger().flush();
                thread::sleep(REST);
            }
        }
        self.tell_missing_messages();
        self.tell_dropped();
        self.tell((self.stats)().told());
        log::logger().flush();
    }

    fn record(&mut self, event: Event) {
        self.subscribers.publish(&event);
        let arrival = event.client().and_then(|client| self.silent.remove(&client.id));
        match event {
            Event::Connected { client } => {
                self.silent_until.push_back((Instant::now() + ARRIVAL_DELAY, client.id));
                self.silent.insert(client.id, event);
            }
            Event::Disconnected { bytes_in: 0, .. } if arrival.is_some() => {
                for event in arrival.iter().chain([&event]) {
                    log::debug!(target: TARGET, "{event}");
                }
            }
            _ => {
                if let Event::Message { .. } | Event::Datagram { .. } = event {
                    self.messages_logged += 1;
                    self.window_end.get_or_insert_with(|| Instant::now() + WINDOW);
                }
                arrival.iter().for_each(log);
                log(&event);
            }
        }
        self.tell_dropped();
    }

    /// Logs an event of our own and passes it on.
    fn tell(&self, event: Event) {
        log(&event);
        self.subscribers.publish(&event);
    }

    fn keep_time(&mut self, now: Instant) {
        if self.window_end.is_some_and(|end| end <= now) {
            self.window_end = None;
            self.tell_missing_messages();
            self.counts.renew_budget();
        }
        while let Some((until, id)) = self.silent_until.front()
            && *until <= now
        {
            self.silent.remove(id).iter().for_each(log);
            self.silent_until.pop_front();
            if self.silent_until.is_empty() {
                self.silent.shrink_to(KEPT_ARRIVALS);
                self.silent_until.shrink_to(KEPT_ARRIVALS);
            }
        }
        if let (Some(next), Some(interval)) = (self.next_stats, self.stats_interval)
            && next <= now
        {
            self.next_stats = Some(now + interval);
            self.tell((self.stats)().told());
        }
    }

    /// Tells how many messages were not logged, once for each. Other events under way are taken for messages, and for
    /// what they are the next time.
    fn tell_missing_messages(&mut self) {
        if !self.counts.logs_messages() {
            return;
        }
        let messages = (self.stats)().messages();
        let missing = messages.saturating_sub(self.messages_logged + self.events.len() as u64);
        if missing > self.messages_told_missing {
            let messages = missing - self.messages_told_missing;
            self.messages_told_missing = missing;
            self.tell(Event::MessagesNotLogged { messages });
        }
    }

    fn tell_dropped(&mut self) {
        let dropped = self.counts.dropped();
        if dropped > self.dropped_told {
            let events = dropped - self.dropped_told;
            self.dropped_told = dropped;
            self.tell(Event::EventsDropped { events });
        }
    }
}

fn log(event: &Event) {
    log::log!(target: TARGET, event.level(), "{event}");
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::super::EventSink;
    use super::*;
    use crate::{Client, LogMessages, Stats};

    #[test]
    fn a_message_that_waits_for_its_line_is_not_told_as_missing() {
        let (sink, events) = EventSink::new(LogMessages::All);
        let subscribers = Subscribers::new(sink.counts());
        let seen = subscribers.subscribe();
        let total = Cell::new(0);
        let stats = || Stats { messages: total.get(), ..Stats::default() };
        let mut log = EventLog::new(events, Arc::clone(sink.counts()), subscribers, None, stats);
        let client = Client { id: 1, peer: ([127, 0, 0, 1], 1).into() };
        // Ten are in the channel when the window ends, and five found no place there.
        for _ in 0..10 {
            sink.message(&client, b"hello");
        }
        sink.send(Event::Connected { client });
        total.set(15);
        log.window_end = Some(Instant::now());
        log.keep_time(Instant::now());
        drop(sink);
        log.run();
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
