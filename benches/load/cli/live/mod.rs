//! What people see while a load runs, on standard error: a block of lines on a terminal ([`view`]), plain lines
//! elsewhere and on a terminal that cannot move its cursor. The main thread draws; the event loops are not held up.

mod interval;
pub(crate) mod sparkline;
pub(crate) mod view;

use std::io;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::super::output::note;
use super::super::traffic::load::Load;
use super::super::traffic::timeline::Update;
use interval::{Interval, SECOND, line};
use view::View;

/// Times per second that the block is drawn.
const DRAWN: u8 = 5;

/// Width of a terminal that does not say how wide it is.
const USUAL_WIDTH: usize = 80;

/// What is shown of one run.
pub(crate) enum Live<'a> {
    Nothing,
    Block { bar: ProgressBar, view: View<'a> },
    Lines { load: &'a Load, each: Duration, interval: Interval },
}

impl<'a> Live<'a> {
    /// Begins to show a run of `load`, if that is `wanted`.
    pub(crate) fn new(load: &'a Load, wanted: bool) -> Self {
        if !wanted {
            return Self::Nothing;
        }
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(DRAWN));
        // A bar is also hidden on a terminal that cannot move its cursor.
        if bar.is_hidden() {
            return Self::Lines { load, each: each(load.warmup + load.duration), interval: Interval::default() };
        }
        bar.set_style(ProgressStyle::with_template("{msg}").expect("a constant template is valid"));
        let view = View::new(load);
        bar.set_message(view.text(width()));
        Self::Block { bar, view }
    }

    /// Shows the latest point of the run.
    pub(crate) fn show(&mut self, update: &Update<'_>) {
        match self {
            Self::Nothing => {}
            Self::Block { bar, view } => {
                view.add(update);
                bar.set_message(view.text(width()));
            }
            Self::Lines { load, each, interval } => {
                interval.add(update);
                if interval.is_longer_than(*each) {
                    note(line(load, &interval.end()));
                }
            }
        }
    }
}

impl Drop for Live<'_> {
    fn drop(&mut self) {
        if let Self::Block { bar, .. } = self {
            bar.finish_and_clear();
        }
    }
}

/// Returns the width of the terminal, which may have changed.
fn width() -> usize {
    terminal_size::terminal_size_of(io::stderr()).map_or(USUAL_WIDTH, |(width, _)| width.0.into())
}

/// Returns the time between two plain lines: a log of a long run need not be long.
fn each(total: Duration) -> Duration {
    match total.as_secs() {
        ..=120 => SECOND,
        121..=1200 => 10 * SECOND,
        _ => 60 * SECOND,
    }
}
