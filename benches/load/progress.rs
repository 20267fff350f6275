//! What people see while a run goes on, on standard error: a bar on a terminal, a line a second elsewhere.

use std::io::{IsTerminal, stderr};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use super::load::Load;
use super::run::Point;

const SECOND: Duration = Duration::from_secs(1);

/// The progress of one run.
pub(crate) struct Progress {
    bar: Option<ProgressBar>,
    total: Duration,
    next_line: Duration,
}

impl Progress {
    /// Of a run of `load`, on a terminal or not.
    pub(crate) fn new(load: &Load) -> Self {
        let total = load.warmup + load.duration;
        let bar = stderr().is_terminal().then(|| {
            let style = ProgressStyle::with_template("{wide_bar} {msg}").expect("a constant template is valid");
            ProgressBar::new(total.as_millis() as u64).with_style(style)
        });
        Self { bar, total, next_line: SECOND }
    }

    /// Shows a point.
    pub(crate) fn show(&mut self, point: Point) {
        let Point { at, rate, p99_us, failures, open } = point;
        let text = format!("{rate:.0}/s, p99 {p99_us:.0} us, {failures} errors, {open} connections");
        match &self.bar {
            Some(bar) => {
                bar.set_position(at.as_millis() as u64);
                bar.set_message(text);
            }
            None if at >= self.next_line => {
                eprintln!("{:5.1} of {:.1} s: {text}", at.as_secs_f64(), self.total.as_secs_f64());
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
