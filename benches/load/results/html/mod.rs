//! The result of one run as one HTML file that loads nothing: figures, charts, tables and conditions.
//!
//! The charts are drawn here, so that they are there without the script too, in print for instance. The script only shows
//! values. Whatever comes from outside is escaped, and the policy of the page lets nothing run but its own script.

mod axis;
mod chart;
mod charts;
mod sections;

use std::hash::{BuildHasher, Hasher, RandomState};

use serde_json::Value;

use super::super::traffic::load::Load;
use super::super::traffic::run::Outcome;

const PAGE: &str = include_str!("page.html");
const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// Returns the page. `environment` is what JSON says of the machine.
pub(crate) fn page(load: &Load, outcome: &Outcome, environment: &Value) -> String {
    let mut content = String::new();
    // Writing to a string cannot fail.
    let _ = sections::write_figures(&mut content, load, outcome, environment);
    for chart in charts::all(load, outcome) {
        let _ = chart.write(&mut content);
    }
    let _ = sections::write_tables(&mut content, load, outcome, environment);
    let title = format!("{}, against {}", load.title(), load.address);
    // The content comes last: what looks like a place in it stays as it is.
    PAGE.replace("{nonce}", &nonce())
        .replace("{style}", STYLE.trim_end())
        .replace("{script}", SCRIPT.trim_end())
        .replace("{title}", &escape(&title))
        .replace("{content}", content.trim_end())
}

/// Returns 128 random bits. The keys of std's hash maps are random, and their hash function hides them.
fn nonce() -> String {
    let half = || RandomState::new().build_hasher().finish();
    format!("{:016x}{:016x}", half(), half())
}

/// Returns text as it stands in HTML, also in attributes.
fn escape(text: &str) -> String {
    let mut escaped = String::new();
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            control if control.is_control() => escaped.push('\u{fffd}'),
            other => escaped.push(other),
        }
    }
    escaped
}
