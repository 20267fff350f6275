//! `hebra completions`: what a shell needs to complete commands, flags and values.

use std::io::Write;

use clap_complete::{Shell as Generator, generate};

use super::arguments::{self, CompletionsArguments, Shell};
use super::process::failure;
use super::stdio;

/// Prints the completions. Returns the exit code.
pub(super) fn run(arguments: &CompletionsArguments) -> u8 {
    let shell = match arguments.shell {
        Shell::Bash => Generator::Bash,
        Shell::Zsh => Generator::Zsh,
        Shell::Fish => Generator::Fish,
    };
    let mut command = arguments::command();
    let mut script = Vec::new();
    generate(shell, &mut command, "hebra", &mut script);
    failure::exit_code(stdio::output().write_all(&script).or_else(|cause| failure::not_printed(&cause)))
}
