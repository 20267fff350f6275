//! The block of lines on a terminal: each figure with its course over the last half minute. It needs no colours.

use std::collections::VecDeque;
use std::time::Duration;

use super::super::super::results::figures::{mebibytes, rate, thousands, time, unit};
use super::super::super::traffic::load::{Load, Mode};
use super::super::super::traffic::tally::kinds;
use super::super::super::traffic::timeline::{DRAWN, Update};
use super::interval::{Figures, Interval, SECOND};
use super::sparkline::{Scale, draw};

/// Seconds that a curve shows.
const CURVE: usize = 30;
/// Widths of the name of a figure, of its value, and of what may stand behind the curve.
const NAME: usize = 12;
const VALUE: usize = 10;
const NOTE: usize = 20;
/// Narrower than this, there are no curves.
const SHORTEST_CURVE: usize = 5;

/// What is shown of a run.
#[derive(Debug)]
pub(crate) struct View<'a> {
    load: &'a Load,
    at: Duration,
    open: usize,
    interval: Interval,
    /// One entry for each second.
    seconds: VecDeque<Figures>,
}

impl<'a> View<'a> {
    pub(crate) fn new(load: &'a Load) -> Self {
        Self { load, at: Duration::ZERO, open: 0, interval: Interval::default(), seconds: VecDeque::new() }
    }

    pub(crate) fn add(&mut self, update: &Update<'_>) {
        (self.at, self.open) = (update.point.at, update.point.open);
        self.interval.add(update);
        if self.interval.is_longer_than(SECOND) {
            self.seconds.push_back(self.interval.end());
            // One more than is shown: the errors of a second are a difference.
            if self.seconds.len() > CURVE + 1 {
                self.seconds.pop_front();
            }
        }
    }

    /// Returns the block, no line of which is wider than `width`.
    pub(crate) fn text(&self, width: usize) -> String {
        let load = self.load;
        let mut lines = vec![format!("{}: {}", load.address, load.title()), self.progress(width)];
        if let Some(now) = self.seconds.back() {
            lines.extend(self.figures(now, width));
        }
        lines.iter().map(|line| fit(line, width.saturating_sub(1))).collect::<Vec<_>>().join("\n")
    }

    fn progress(&self, width: usize) -> String {
        if self.at.is_zero() {
            return "connecting".to_owned();
        }
        let (phase, done, total) = match self.at.checked_sub(self.load.warmup) {
            Some(done) if !done.is_zero() => ("measuring", done, self.load.duration),
            _ => ("warming up", self.at, self.load.warmup),
        };
        let share = (done.as_secs_f64() / total.as_secs_f64().max(1e-9)).min(1.0);
        let cells = curve(width) + VALUE + 2;
        let full = (share * cells as f64) as usize;
        let bar = "█".repeat(full) + &"░".repeat(cells - full);
        format!("{phase:NAME$}{bar}  {:.0} of {:.0} s", done.as_secs_f64().floor(), total.as_secs_f64())
    }

    fn figures(&self, now: &Figures, width: usize) -> Vec<String> {
        let row = |name: &str, value: &str, values: &[Option<f64>], scale: Scale, note: &str| {
            let cells = curve(width);
            let curve = draw(values.iter().copied(), scale, cells);
            format!("{name:NAME$}{value:>VALUE$}  {curve:cells$}  {note}")
        };
        let course = |figure: fn(&Figures) -> Option<f64>| self.seconds.iter().map(figure).collect::<Vec<_>>();
        let most = |values: &[Option<f64>]| values.iter().flatten().copied().fold(0.0, f64::max);

        let rates = course(|second| Some(second.rate));
        let scale = Scale::Linear(most(&rates).max(self.load.rate.unwrap_or(0.0)));
        let note = self.load.rate.map_or(String::new(), |asked| format!("of {}/s requested", rate(asked)));
        let mut lines = vec![row(unit(self.load), &rate(now.rate), &rates, scale, &note)];

        // One scale for the three, so that their heights can be compared.
        let all = self.seconds.iter().filter_map(|second| second.times);
        let scale = Scale::logarithmic(all.flat_map(|times| [times.p50, times.p999]));
        for (name, figure) in DRAWN {
            let values = self.seconds.iter().map(|second| second.times.as_ref().map(figure)).collect::<Vec<_>>();
            let value = now.times.as_ref().map_or("-".to_owned(), |times| time(figure(times), 2));
            let note = if name == "p50" { "response time" } else { "" };
            lines.push(row(name, &value, &values, scale, note));
        }

        for (kind, name) in kinds().into_iter().enumerate().filter(|(kind, _)| now.failures[*kind] > 0) {
            let counts = self.seconds.iter().map(|second| second.failures[kind] as f64);
            let before = [0.0].into_iter().chain(counts.clone());
            // What was before the first second that is kept is not known.
            let kept = usize::from(self.seconds.len() > CURVE);
            let values: Vec<_> =
                counts.zip(before).map(|(count, before)| Some(count - before)).skip(kept).collect();
            let count = thousands(now.failures[kind] as f64);
            lines.push(row(name, &count, &values, Scale::Linear(most(&values)), "errors in all"));
        }
        if now.failures.iter().all(|count| *count == 0) {
            lines.push(row("errors", "none", &[], Scale::Linear(1.0), ""));
        }

        if let Some(server) = now.server {
            let cores = course(|second| second.server.map(|server| server.cores));
            let value = format!("{:.0} %", 100.0 * server.cores);
            lines.push(row("server", &value, &cores, Scale::Linear(most(&cores).max(1.0)), "of a core"));
            let memory = course(|second| second.server.map(|server| server.resident as f64));
            let scale = Scale::Linear(most(&memory));
            lines.push(row("memory", &mebibytes(server.resident), &memory, scale, "resident"));
        }
        if self.open < self.load.connections && self.load.mode != Mode::Churn {
            lines.push(format!("only {} of {} connections are open", self.open, self.load.connections));
        }
        lines
    }
}

/// Cuts a line that is too long, before a word.
fn fit(line: &str, width: usize) -> &str {
    let line = line.trim_end();
    match line.char_indices().nth(width) {
        Some((end, _)) => line[..end].rsplit_once(' ').map_or(&line[..end], |(words, _)| words).trim_end(),
        None => line,
    }
}

/// Returns the width of a curve on a terminal of this width, next to its name, value and note.
fn curve(width: usize) -> usize {
    let width = width.saturating_sub(NAME + VALUE + NOTE + 5).min(CURVE);
    if width < SHORTEST_CURVE { 0 } else { width }
}
