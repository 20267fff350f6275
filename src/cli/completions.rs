//! `hebra completions`: what a shell needs to complete commands, flags and values.

use std::io::Write;

use clap_complete::{Shell as Generator, generate};

use super::arguments::{self, CompletionsArguments, Shell};
use super::process::failure;
use super::stdio;

/// clap_complete writes nothing for arguments without a flag in fish.
const FISH_SHELLS: &str =
    "complete -c hebra -n \"__fish_hebra_using_subcommand completions\" -f -a \"bash zsh fish\"\n";

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
    if shell == Generator::Fish {
        script.extend(FISH_SHELLS.as_bytes());
    }
    failure::exit_code(stdio::output().write_all(&script).or_else(|cause| failure::not_printed(&cause)))
}
