//! From the words of a command line and the environment to a command, or to the one line that says what is wrong.
//!
//! The words are parsed twice: first alone, and then with the environment. So a problem that only the second time finds
//! is one of a variable, and the line names that.

use std::env;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

use clap::builder::Resettable;
use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{ArgMatches, CommandFactory, FromArgMatches};
use hebra::Error;
use hebra::text::Escaped;

use super::problem;
use super::{Arguments, Command, UdpCommand};
use crate::cli::process::passed;

/// Why there is no command to run.
#[derive(Debug)]
pub(crate) enum Rejected {
    /// Help or the version was asked for.
    Shown(clap::Error),
    /// The command line or the environment is wrong: one line that names the mistake, and the help to read.
    Wrong(String),
}

/// Parses what the process was started with.
///
/// # Errors
///
/// [`Rejected`] says why there is no command.
pub(crate) fn parse(words: impl Iterator<Item = OsString>) -> Result<Command, Rejected> {
    let words: Vec<OsString> = words.collect();
    let command = Arguments::command();
    let (used, name) = selected(&command, &words);
    let wrong = |problem: String| Rejected::Wrong(format!("{problem} (see {name} --help)"));
    if let Some(word) = words.iter().find(|word| word.to_str().is_none()) {
        return Err(wrong(format!("an argument is not UTF-8: {}", quoted(word))));
    }
    let refused = |error: clap::Error, is_variable| {
        if error.kind() == ErrorKind::DisplayHelp || error.kind() == ErrorKind::DisplayVersion {
            return Rejected::Shown(error);
        }
        // clap does not say which one.
        let variable = (error.kind() == ErrorKind::InvalidUtf8).then(|| not_text(used)).flatten();
        wrong(variable.unwrap_or_else(|| problem::describe(&error, used, &words, is_variable)))
    };
    without_variables(command.clone(), &|_| true)
        .try_get_matches_from(&words)
        .map_err(|error| refused(error, false))?;
    // Container settings and service files pass empty variables for those that are not set.
    let is_unset = |variable: &OsStr| env::var_os(variable).is_some_and(|value| value.is_empty());
    let matches = without_variables(command.clone(), &is_unset)
        .try_get_matches_from(&words)
        .map_err(|error| refused(error, true))?;
    let parsed = Arguments::from_arg_matches(&matches).map_err(|error| refused(error, false))?.command;
    check(&parsed, used, innermost(&matches)).map_err(wrong)?;
    Ok(parsed)
}

/// Returns the command that the words select, and how it is called: `hebra udp serve`.
fn selected<'a>(root: &'a clap::Command, words: &[OsString]) -> (&'a clap::Command, String) {
    let (mut command, mut name) = (root, root.get_name().to_owned());
    // The commands above have no flags that take a value.
    for word in words.iter().skip(1).filter(|word| !word.as_bytes().starts_with(b"-")) {
        let Some(next) = command.find_subcommand(word) else { break };
        command = next;
        name = format!("{name} {}", next.get_name());
    }
    (command, name)
}

/// Makes a command and its subcommands ignore some variables.
fn without_variables(command: clap::Command, ignored: &dyn Fn(&OsStr) -> bool) -> clap::Command {
    command
        .mut_args(|argument| match argument.get_env() {
            Some(variable) if ignored(variable) => argument.env(Resettable::Reset),
            _ => argument,
        })
        .mut_subcommands(|subcommand| without_variables(subcommand, ignored))
}

fn innermost(matches: &ArgMatches) -> &ArgMatches {
    matches.subcommand().map_or(matches, |(_, inner)| innermost(inner))
}

/// Describes the first variable of a command that is not UTF-8.
fn not_text(command: &clap::Command) -> Option<String> {
    command.get_arguments().filter_map(|argument| argument.get_env()).find_map(|variable| {
        let value = env::var_os(variable).filter(|value| value.to_str().is_none())?;
        Some(format!("{}: {} is not UTF-8", variable.display(), quoted(&value)))
    })
}

fn quoted(text: &OsStr) -> String {
    format!("\"{}\"", Escaped(text.as_bytes()))
}

/// Checks what no single value shows to be wrong. A problem is one line.
fn check(parsed: &Command, command: &clap::Command, matches: &ArgMatches) -> Result<(), String> {
    let (dependent, validated) = match parsed {
        Command::Serve(arguments) => (arguments.dependent(), arguments.validate()),
        Command::Udp(UdpCommand::Serve(arguments)) => (arguments.dependent(), arguments.validate()),
        Command::Probe(arguments) => (arguments.dependent(), arguments.validate()),
        Command::Man(arguments) => return arguments.validate(),
        Command::Connect(_) | Command::Udp(UdpCommand::Send(_)) | Command::Completions(_) => return Ok(()),
    };
    let source = |id: &str| matches.try_contains_id(id).ok().and_then(|_| matches.value_source(id));
    // The flag or the variable that a value came from.
    let name = |id: &str| {
        let argument = command.get_arguments().find(|argument| argument.get_id() == id);
        match argument.and_then(|argument| argument.get_env()) {
            Some(variable) if source(id) == Some(ValueSource::EnvVariable) => variable.display().to_string(),
            _ => format!("--{}", id.replace('_', "-")),
        }
    };
    // A variable without effect is no mistake, because environments are shared.
    let is_typed = |id: &str| source(id) == Some(ValueSource::CommandLine);
    let is_variable = |id: &str| source(id) == Some(ValueSource::EnvVariable);
    let named = |problem: &str| problem::with_variables(problem, command, &is_variable);
    if let Some((id, _, missing)) = dependent.iter().find(|(id, has_effect, _)| !has_effect && is_typed(id)) {
        return Err(format!("{} has no effect {}", name(id), named(missing)));
    }
    let is_given = matches!(source("listen"), Some(ValueSource::CommandLine | ValueSource::EnvVariable));
    if is_given && passed::are_passed() {
        return Err(format!("{} has no effect with sockets that were passed in (LISTEN_FDS)", name("listen")));
    }
    validated.map_err(|error| match error {
        Error::Config { field, problem } => format!("{} {}", name(field), named(problem)),
        other => other.to_string(),
    })
}
