//! Compares counts with those that are recorded.

use std::fmt::Write;

use serde_json::{Value, json};

/// How far a count may be from the recorded one, in percent.
const LIMIT: u64 = 2;

pub(crate) struct Counts {
    /// What the counts depend on beside the source.
    pub(crate) toolchain: String,
    pub(crate) cases: Vec<(String, u64)>,
}

impl Counts {
    /// Reads what [`to_json`](Self::to_json) returned.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let json: Value = serde_json::from_str(text).ok()?;
        let cases = json["instructions"].as_object()?.iter();
        let cases = cases.map(|(case, count)| Some((case.clone(), count.as_u64()?))).collect::<Option<_>>()?;
        Some(Self { toolchain: json["toolchain"].as_str()?.to_owned(), cases })
    }

    pub(crate) fn to_json(&self) -> String {
        let cases = self.cases.iter().map(|(case, count)| (case.clone(), json!(count)));
        let cases = Value::Object(cases.collect());
        format!("{:#}\n", json!({ "toolchain": self.toolchain, "instructions": cases }))
    }

    /// Returns why counts made with `toolchain` cannot be compared with these; `None` if they can.
    pub(crate) fn incomparable(&self, toolchain: &str) -> Option<String> {
        let line = format!("nothing is compared: recorded with {}, and this is {toolchain}", self.toolchain);
        (self.toolchain != toolchain).then_some(line)
    }

    /// Compares the counts of a run with these. Returns a table, and whether all are the same up to the limit.
    ///
    /// A count that is less than the recorded one is not the same either: until it is recorded, a later loss of as much
    /// would not be seen.
    pub(crate) fn compare(&self, now: &[(String, u64)]) -> (String, bool) {
        let mut table = format!("{:<38}{:>9}{:>9}{:>9}\n", "instructions", "recorded", "now", "percent");
        let mut is_same = true;
        for (case, count) in now {
            let recorded = self.cases.iter().find(|(name, _)| name == case).map_or(0, |(_, recorded)| *recorded);
            let percent = 100.0 * (*count as f64 / recorded as f64 - 1.0);
            let verdict = match 100 * count {
                _ if recorded == 0 => " NOT RECORDED",
                count if count > (100 + LIMIT) * recorded => " SLOWER",
                count if count < (100 - LIMIT) * recorded => " FASTER",
                _ => "",
            };
            is_same &= verdict.is_empty();
            // Writing to a string cannot fail.
            let _ = writeln!(table, "{case:<38}{recorded:>9}{count:>9}{percent:>+9.2}{verdict}");
        }
        if !is_same {
            let _ = writeln!(
                table,
                "more than {LIMIT} % off: if that is intended, record it: make bench-instructions ARGS=--record"
            );
        }
        (table, is_same)
    }
}
