//! Why the harness did not measure.

use std::fmt::Display;
use std::io;

/// Why the harness did not measure.
#[derive(Debug)]
pub(crate) enum Problem {
    /// The command line is wrong.
    Usage(String),
    /// The machine or a server refuses something.
    Failed(io::Error),
}

impl Problem {
    /// What is wrong with the value of a flag.
    pub(crate) fn flag(flag: &str, problem: impl Display) -> Self {
        Self::Usage(format!("--{flag} {problem}"))
    }
}

impl From<io::Error> for Problem {
    fn from(error: io::Error) -> Self {
        Self::Failed(error)
    }
}
