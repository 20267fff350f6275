//! What a server reports on request, in the log.

use crossbeam_channel::{Receiver, TryRecvError};
use log::info;

use super::{logging, threads};

/// Logs the lines that `report` makes, on a thread of its own, because the log may be stalled and the caller has signals
/// to wait for. While the report before is still being logged, it does nothing. `last` is that report's thread.
pub(super) fn report(last: &mut Option<Receiver<()>>, report: impl Fn() -> Vec<String>) {
    let is_running = |ended: &Receiver<()>| ended.try_recv() == Err(TryRecvError::Empty);
    if last.as_ref().is_some_and(is_running) {
        return;
    }
    let lines = report();
    let log = move || {
        lines.iter().for_each(|line| info!(target: logging::REPORTS, "{line}"));
        log::logger().flush();
    };
    // Without a thread there is no report; the next signal asks again.
    *last = threads::spawn("hebra-report", log).ok();
}
