//! What a server reports on request, in the log.

use crossbeam_channel::{Receiver, TryRecvError};
use log::info;

use super::{logging, threads};

/// Logs reports on a thread of their own, because the log may be stalled and the caller has signals to wait for.
#[derive(Default)]
pub(super) struct Reporter {
    /// Disconnected when the last report is logged.
    logging: Option<Receiver<()>>,
}

impl Reporter {
    /// Logs the lines that `report` makes. While the report before is still being logged, it does nothing.
    pub(super) fn report(&mut self, report: impl Fn() -> Vec<String>) {
        let is_busy = |ended: &Receiver<()>| ended.try_recv() == Err(TryRecvError::Empty);
        if self.logging.as_ref().is_some_and(is_busy) {
            return;
        }
        let lines = report();
        let log = move || {
            lines.iter().for_each(|line| info!(target: logging::REPORTS, "{line}"));
            log::logger().flush();
        };
        // Without a thread there is no report; the next signal asks again.
        self.logging = threads::spawn("hebra-report", log).ok();
    }
}
