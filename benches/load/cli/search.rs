//! `--search`: many short runs against one server, and the highest rate at which the objective held.

use std::io;
use std::time::Duration;

use serde_json::{Value, json};

use super::super::output::{self, note};
use super::super::results::figures::{self, time, unit};
use super::super::results::json;
use super::super::search::knee::{self, Found, Range, Tried};
use super::super::search::objective::{Objective, Verdict};
use super::super::traffic::load::Load;
use super::super::traffic::run;
use super::arguments::Arguments;
use super::files::open;
use super::installation::Installation;
use super::problem::Problem;
use super::target::Target;

/// Messages per second of the first run, unless its window would have too few.
const FIRST: f64 = 100.0;

/// The highest rate, as that of `--rate`.
const MOST: f64 = 1e8;

/// From this share of its time on, the client may be what does not keep up.
const BUSY: f64 = 0.9;

/// What is kept of a run.
struct Ran {
    rate: f64,
    verdict: Verdict,
    measured: Duration,
    achieved: f64,
    client_busy: f64,
    first_error: Option<String>,
}

/// Searches, prints and writes the result. Returns `true` if there is a rate at which the objective holds.
pub(super) fn run(
    installation: &Installation,
    arguments: &Arguments,
    load: Load,
    objective: &Objective,
) -> Result<bool, Problem> {
    let file = arguments.files.json.as_ref().map(|path| open("json", path)).transpose()?;
    let least = objective.fewest_messages() / load.duration.as_secs_f64();
    if least > MOST {
        return Err(Problem::Usage(format!("--duration {:?}: too short for {}", load.duration, objective.name())));
    }
    let target = Target::start(installation, arguments, load)?;
    let load = &target.load;
    let mut runs: Vec<Ran> = Vec::new();
    let found = knee::search(Range { least, first: FIRST.max(least), most: MOST }, |rate| {
        let load = Load { rate: Some(rate), ..load.clone() };
        let outcome = run::run(&load, None, &mut |_| ())?;
        if let Some(problem) = outcome.nothing_measured(&load).filter(|_| runs.is_empty()) {
            let problem = outcome.tally.failures.first.map_or(problem, |first| format!("nothing answers: {first}"));
            return Err(Problem::from(io::Error::other(problem)));
        }
        let ran = Ran {
            rate,
            verdict: objective.judge(&load, &outcome),
            measured: objective.measured(&outcome),
            achieved: outcome.rate(),
            client_busy: outcome.client_busy(),
            first_error: outcome.tally.failures.first,
        };
        let is_held = ran.verdict == Verdict::Held;
        if !arguments.no_progress {
            note(ran.line(objective));
        }
        runs.push(ran);
        Ok::<_, Problem>(is_held)
    })?;
    let mut text = format!("{} against {}\n", load.title(), load.address) + &result(objective, load, &found);
    text += &doubts(&found, &runs);
    let printed = output::print(&text);
    if let Some(file) = file {
        let result = json::join(json::environment(), json::load(load));
        file.write(&format!("{:#}\n", json::join(result, document(objective, &found, &runs))))?;
    }
    printed?;
    Ok(found.below.is_some() && found.is_settled)
}

impl Ran {
    fn line(&self, objective: &Objective) -> String {
        let measured = time(1e6 * self.measured.as_secs_f64(), 3);
        let what = match self.verdict {
            Verdict::Held => "held",
            Verdict::TooLate => "too late",
            Verdict::Saturated => "the rate was not reached",
            Verdict::Errors(_) => self.first_error.as_deref().unwrap_or("errors"),
        };
        format!("{:>12}/s: {} {measured}, {what}", figures::rate(self.rate), objective.name())
    }
}

/// Formats the answer, a sentence.
fn result(objective: &Objective, load: &Load, found: &Found) -> String {
    let rate = |tried: &Tried| figures::rate(tried.rate);
    let failed = |tried: &Tried| format!("failed in {} of {}", tried.runs - tried.held, tried.runs);
    match (&found.below, &found.above) {
        (Some(below), above) => {
            let above = above.map_or("which is the highest that is tried".to_owned(), |above| {
                format!("{}/s {}", rate(&above), failed(&above))
            });
            let held = format!("held in {} of {} runs", below.held, below.runs);
            format!("highest rate with {objective}: {} {} ({held}; {above})\n", rate(below), unit(load))
        }
        (None, Some(above)) => {
            format!(
                "no rate with {objective}: {} {}, the lowest that is tried, {} runs\n",
                rate(above),
                unit(load),
                failed(above)
            )
        }
        (None, None) => format!("no rate with {objective}\n"),
    }
}

/// Says what makes the answer doubtful.
fn doubts(found: &Found, runs: &[Ran]) -> String {
    let mut text = String::new();
    if !found.is_settled {
        text += &format!("  NOT SETTLED: {} runs contradict each other; try a longer --duration\n", runs.len());
    }
    let failed = runs.iter().filter(|ran| found.above.is_some_and(|above| above.rate == ran.rate));
    let failed = failed.filter(|ran| ran.verdict != Verdict::Held);
    let busy = failed.clone().map(|ran| ran.client_busy).fold(0.0, f64::max);
    if busy > BUSY {
        text += &format!("  the client was busy for {:.0} % of the time: it may be the limit\n", 100.0 * busy);
    }
    if let Some(first) = failed.filter_map(|ran| ran.first_error.as_ref()).next() {
        text += &format!("  first error {first}\n");
    }
    text
}

fn document(objective: &Objective, found: &Found, runs: &[Ran]) -> Value {
    let tried = |tried: &Tried| json!({ "rate": tried.rate, "held": tried.held, "runs": tried.runs });
    let ran = |ran: &Ran| {
        let errors = if let Verdict::Errors(count) = ran.verdict { count } else { 0 };
        json!({
            "rate": ran.rate,
            "held": ran.verdict == Verdict::Held,
            "measured_us": ran.measured.as_secs_f64() * 1e6,
            "achieved_rate": ran.achieved,
            "saturated": ran.verdict == Verdict::Saturated,
            "errors": errors,
            "client_busy": ran.client_busy,
        })
    };
    json!({ "search": {
        "objective": objective.to_string(),
        "below": found.below.as_ref().map(tried),
        "above": found.above.as_ref().map(tried),
        "settled": found.is_settled,
        "runs": runs.iter().map(ran).collect::<Vec<_>>(),
    } })
}
