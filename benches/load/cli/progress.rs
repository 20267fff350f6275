//! Progress of a run on standard error: a bar on a terminal, one line per second elsewhere and on a terminal that
//! cannot move its cursor.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use super::super::output::note;
use super::super::traffic::load::Load;
use super::super::traffic::run::Point;

const SECOND: Duration = Duration::from_secs(1);

/// The progress of one run.
pub(crate) struct Progress {
    bar: Option<ProgressBar>,
    total: Duration,
    next_line: Duration,
}

impl Progress {
    /// Starts to show the progress of a run of `load`.
    pub(crate) fn new(load: &Load) -> Self {
        let total = load.warmup + load.duration;
        let style = ProgressStyle::with_template("{wide_bar} {msg}").expect("a constant template is valid");
        let bar = ProgressBar::new(total.as_millis() as u64).with_style(style);
        // A bar is also hidden on a terminal that cannot move its cursor.
        Self { bar: (!bar.is_hidden()).then_some(bar), total, next_line: SECOND }
    }

    /// Shows the latest point of the run.
    pub(crate) fn show(&mut self, point: Point) {
        let Point { at, rate, p99_us, failures, open } = point;
        let text = format!("{rate:.0}/s, p99 {p99_us:.0} us, {failures} errors, {open} connections");
        match &self.bar {
            Some(bar) => {
                bar.set_position(at.as_millis() as u64);
                bar.set_message(text);
            }
            None if at >= self.next_line => {
                note(format_args!("{:5.1} of {:.1} s: {text}", at.as_secs_f64(), self.total.as_secs_f64()));
                self.next_line = at + SECOND - Duration::from_millis(50);
            }
            None => {}
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
