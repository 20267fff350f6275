//! The logging thread: takes events off the channel, logs them, hands them to subscribers, accounts for
//! what was left out.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TrySendError};

use super::sink::SinkCounts;
use super::{Event, Stats};

/// The target of every line: the crate, so that `RUST_LOG=hebra=warn` means all of it.
const TARGET: &str = "hebra";

/// How long a message budget lasts.
const WINDOW: Duration = Duration::from_secs(1);

/// Who gets a copy of each event. A subscriber that does not keep up misses events; one that is gone is
/// forgotten.
pub(crate) type Subscribers = Arc<Mutex<Vec<Sender<Event>>>>;

/// The logging thread's state.
pub(crate) struct EventLog<F> {
    events: Receiver<Event>,
    counts: Arc<SinkCounts>,
    subscribers: Subscribers,
    /// Gives the totals, which are exact.
    stats: F,
    stats_interval: Option<Duration>,
    next_stats: Option<Instant>,
    /// When the message budget is renewed; none while nothing was taken from it.
    window_end: Option<Instant>,
    messages_logged: u64,
    messages_told_missing: u64,
    dropped_told: u64,
}

impl<F: Fn() -> Stats> EventLog<F> {
    pub(crate) fn new(
        events: Receiver<Event>,
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
            window_end: None,
            messages_logged: 0,
            messages_told_missing: 0,
            dropped_told: 0,
        }
    }

    /// Runs until every sink is gone and the channel is empty.
    pub(crate) fn run(mut self) {
        loop {
            let next_deadline = self.window_end.into_iter().chain(self.next_stats).min();
            let event = match next_deadline {
                Some(deadline) => self.events.recv_deadline(deadline),
                None => self.events.recv().map_err(RecvTimeoutError::from),
            };
            match event {
                Ok(event) => self.record(event),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            self.keep_time(Instant::now());
        }
        self.tell_missing_messages();
        self.tell_dropped();
        self.tell(Event::Totals { stats: (self.stats)() });
    }

    fn record(&mut self, event: Event) {
        if let Event::Message { .. } = event {
            self.messages_logged += 1;
            self.window_end.get_or_insert_with(|| Instant::now() + WINDOW);
        }
        self.tell(event);
        self.tell_dropped();
    }

    /// Logs one event and passes it on.
    fn tell(&self, event: Event) {
        log::log!(target: TARGET, event.level(), "{event}");
        let mut subscribers = self.subscribers.lock().unwrap_or_else(PoisonError::into_inner);
        subscribers
            .retain(|subscriber| !matches!(subscriber.try_send(event.clone()), Err(TrySendError::Disconnected(_))));
    }

    fn keep_time(&mut self, now: Instant) {
        if self.window_end.is_some_and(|end| end <= now) {
            self.window_end = None;
            self.tell_missing_messages();
            self.counts.renew_budget();
        }
        if let (Some(next), Some(interval)) = (self.next_stats, self.stats_interval)
            && next <= now
        {
            self.next_stats = Some(now + interval);
            self.tell(Event::Totals { stats: (self.stats)() });
        }
    }

    /// Tells how many messages were not logged. A message still in the channel counts as missing now and as
    /// one missing less the next time.
    fn tell_missing_messages(&mut self) {
        if !self.counts.logs_messages() {
            return;
        }
        let missing = (self.stats)().messages.saturating_sub(self.messages_logged);
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
