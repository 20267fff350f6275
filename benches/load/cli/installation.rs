//! What differs between the program `hebra-load` and the benchmark `load`: what they are called, and where their files
//! are.

use std::fmt::Display;
use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use super::super::output::note;
use super::problem::Problem;

const CLEAN: u8 = 0;
/// There were errors, wrong bytes, a regression, or nothing was measured.
const FAILED: u8 = 1;
const USAGE: u8 = 2;

/// Where the program, or the benchmark, stands.
pub(crate) struct Installation {
    /// The name with which messages on standard error begin.
    pub(crate) name: &'static str,
    /// Returns the path of the hebra to start if no server is given.
    pub(crate) hebra: fn() -> io::Result<PathBuf>,
    /// Returns the directory of baselines and of the server's log. Creates it.
    pub(crate) results: fn() -> io::Result<PathBuf>,
}

impl Installation {
    /// Returns the exit code of a run that was clean or not. Prints why if there was none.
    pub(crate) fn exit_code(&self, run: Result<bool, Problem>) -> ExitCode {
        ExitCode::from(match run {
            Ok(true) => CLEAN,
            Ok(false) => FAILED,
            Err(Problem::Failed(error)) => {
                self.note(error);
                FAILED
            }
            Err(Problem::Usage(problem)) => {
                self.note(problem);
                USAGE
            }
        })
    }

    /// Prints a line on standard error that begins with the name of the program.
    pub(crate) fn note(&self, line: impl Display) {
        note(format_args!("{}: {line}", self.name));
    }
}
