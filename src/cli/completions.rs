//! `hebra completions`: what a shell needs to complete commands, flags and values.

use std::io::Write;

use super::arguments::{self, CompletionsArguments};
use super::describe;
use super::process::failure;
use super::stdio;

/// Prints the completions. Returns the exit code.
pub(super) fn run(arguments: &CompletionsArguments) -> u8 {
    let script = describe::completions(arguments.shell, arguments::command());
    failure::exit_code(stdio::output().write_all(script.as_bytes()).or_else(|cause| failure::not_printed(&cause)))
}
