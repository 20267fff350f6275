//! What a service manager learns of a server (sd_notify(3)): that it is ready, how busy it is, that it stops, and that it
//! makes progress.
//!
//! One thread, `hebra-notify`, sends it all, because a manager that does not read may block it. Without `NOTIFY_SOCKET`
//! there is no thread.

use std::env;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, unbounded};
use hebra::Error;
use log::warn;
use sd_notify::NotifyState::{self, Ready, Status, Stopping, Watchdog};

use super::threads;

/// How often the status is brought up to date.
const STATUS_INTERVAL: Duration = Duration::from_secs(2);

/// How long the end of the process waits for the last notification.
const LAST_WAIT: Duration = Duration::from_secs(1);

/// What the notifications say.
pub(in crate::cli) trait Subject: Send + 'static {
    /// Returns how busy the server is.
    fn status(&self) -> String;

    /// Returns since when a thread of the server has not shown that it runs, if that is known.
    fn stalled_for(&self) -> Option<Duration>;
}

/// The service manager of a server that runs.
pub(in crate::cli) struct ServiceManager(Option<(Sender<()>, Receiver<()>)>);

impl ServiceManager {
    /// Reports that the server is ready, and begins to report its status and its progress.
    ///
    /// # Errors
    ///
    /// If the system refuses the thread.
    pub(in crate::cli) fn ready(subject: impl Subject) -> Result<Self, Error> {
        if env::var_os("NOTIFY_SOCKET").is_none_or(|path| path.is_empty()) {
            return Ok(Self(None));
        }
        let (stop, stops) = unbounded();
        let ended = threads::spawn("hebra-notify", move || run(&stops, watchdog(), &subject))?;
        Ok(Self(Some((stop, ended))))
    }

    /// Reports that the server stops. It does not wait for that.
    pub(in crate::cli) fn stopping(&self) {
        if let Some((stop, _)) = &self.0 {
            // Without the thread nothing can be reported.
            let _ = stop.send(());
        }
    }

    /// Ends the reports.
    pub(in crate::cli) fn end(self) {
        if let Some((stop, ended)) = self.0 {
            drop(stop);
            let _ = ended.recv_timeout(LAST_WAIT);
        }
    }
}

/// Returns in which time the service manager wants to hear of progress, if it does.
pub(in crate::cli) fn watchdog() -> Option<Duration> {
    sd_notify::watchdog_enabled().filter(|interval| !interval.is_zero())
}

/// Returns how often the threads of the server have to show that they run.
pub(in crate::cli) fn heartbeat() -> Option<Duration> {
    watchdog().map(|interval| (interval / 4).clamp(Duration::from_millis(1), Duration::from_secs(3600)))
}

/// Returns whether a server whose threads have shown nothing for so long makes progress. One that stops does: the drain
/// has a deadline of its own.
fn is_alive(stalled_for: Option<Duration>, interval: Duration) -> bool {
    stalled_for.is_none_or(|stalled| stalled < interval / 2)
}

fn run(stops: &Receiver<()>, watchdog: Option<Duration>, subject: &impl Subject) {
    let mut status = subject.status();
    let mut has_failed = false;
    let mut notify = |states: &[NotifyState<'_>]| {
        if let Err(cause) = sd_notify::notify(states)
            && !has_failed
        {
            has_failed = true;
            warn!("cannot notify the service manager: {cause}");
        }
    };
    notify(&[Ready, Status(&status)]);
    let mut next_status = Instant::now() + STATUS_INTERVAL;
    let mut next_ping = watchdog.map(|_| Instant::now());
    let mut is_stopping = false;
    loop {
        match stops.recv_deadline(next_ping.map_or(next_status, |ping| ping.min(next_status))) {
            Ok(()) => {
                is_stopping = true;
                notify(&[Stopping, Status("stopping")]);
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        let now = Instant::now();
        if next_status <= now {
            next_status = now + STATUS_INTERVAL;
            let prefix = if is_stopping { "stopping; " } else { "" };
            let current = format!("{prefix}{}", subject.status());
            if current != status {
                status = current;
                notify(&[Status(&status)]);
            }
        }
        if let Some(interval) = watchdog.filter(|_| next_ping.is_some_and(|ping| ping <= now)) {
            let is_alive = is_alive(subject.stalled_for(), interval);
            if is_alive {
                notify(&[Watchdog]);
            }
            // One that was only slow must not wait for the next turn.
            next_ping = Some(now + interval / if is_alive { 2 } else { 8 });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_whose_threads_are_silent_for_half_the_interval_makes_no_progress() {
        let interval = Duration::from_secs(4);
        for (stalled_for, alive) in [(None, true), (Some(1), true), (Some(2), false), (Some(60), false)] {
            assert_eq!(is_alive(stalled_for.map(Duration::from_secs), interval), alive, "{stalled_for:?}");
        }
    }
}
