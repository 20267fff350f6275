//! What is wrong with a command line, in a part of one line: the flag or the variable, its value, and what would be
//! right. Nothing in it controls a terminal.

use std::error::Error as _;
use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, ArgAction, Command};
use hebra::text::Escaped;

use super::address;

/// Describes an error of `command`, which was called with `words`. `is_variable` is whether it is in the environment.
pub(super) fn describe(error: &clap::Error, command: &Command, words: &[OsString], is_variable: bool) -> String {
    let text = |kind| context(error, kind).into_iter().next().unwrap_or_default();
    let argument = text(ContextKind::InvalidArg);
    let name = || name(&argument, command, is_variable);
    let value = || format!("\"{}\"", escaped(&text(ContextKind::InvalidValue)));
    match error.kind() {
        ErrorKind::UnknownArgument => unknown(&argument, error, command, words),
        ErrorKind::InvalidSubcommand => {
            let meant = meant(context(error, ContextKind::SuggestedSubcommand));
            format!("unknown command \"{}\"{meant}", escaped(&text(ContextKind::InvalidSubcommand)))
        }
        ErrorKind::MissingSubcommand | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            let commands: Vec<&str> = command.get_subcommands().map(Command::get_name).collect();
            format!("a command is missing: {}", commands.join(", "))
        }
        ErrorKind::MissingRequiredArgument => {
            let missing: Vec<String> =
                context(error, ContextKind::InvalidArg).iter().map(|argument| placeholder(argument)).collect();
            format!("missing: {}", missing.join(", "))
        }
        ErrorKind::InvalidValue if text(ContextKind::InvalidValue).is_empty() => {
            format!("{} needs a value: {argument}", name())
        }
        ErrorKind::InvalidValue => {
            let valid = context(error, ContextKind::ValidValue).join(", ");
            let meant = meant(context(error, ContextKind::SuggestedValue));
            format!("{}: {} is none of {valid}{meant}", name(), value())
        }
        ErrorKind::ValueValidation => {
            let problem = error.source().map(ToString::to_string).unwrap_or_default();
            format!("{}: {} {}", name(), value(), escaped(&problem))
        }
        ErrorKind::TooManyValues => format!("{} takes no value, but was given {}", name(), value()),
        ErrorKind::ArgumentConflict => format!("{} is given twice", name()),
        // The first paragraph states the problem; the others are hints.
        _ => {
            let text = error.to_string();
            let lines = text.lines().take_while(|line| !line.trim().is_empty()).map(str::trim);
            escaped(lines.collect::<Vec<_>>().join(" ").trim_start_matches("error: "))
        }
    }
}

/// Describes a word that the command does not know.
fn unknown(argument: &str, error: &clap::Error, command: &Command, words: &[OsString]) -> String {
    if !argument.starts_with('-') {
        let is_address = address::listener(argument).is_ok() && flag("--listen", command).is_some();
        let suggested = is_address.then(|| format!("--listen {}", escaped(argument)));
        return format!("unexpected argument \"{}\"{}", escaped(argument), meant(suggested.into_iter().collect()));
    }
    // clap names the first letter of a word such as `-5s` or `-workers`.
    let words: Vec<&str> = words.iter().filter_map(|word| word.to_str()).collect();
    let typed = words.iter().position(|word| word.starts_with(argument) && !argument.starts_with("--"));
    let word = typed.map_or(argument, |at| words[at]);
    let before = typed.and_then(|at| flag(words[at - 1], command)).filter(|flag| flag.get_action().takes_values());
    if let Some(flag) = before.and_then(Arg::get_long) {
        return taken_for_flag(flag, word, command);
    }
    let mut suggested = context(error, ContextKind::SuggestedArg);
    suggested.extend(flag(&format!("-{word}"), command).and_then(Arg::get_long).map(|flag| format!("--{flag}")));
    // A flag that came before its command.
    let owner = command.get_subcommands().find(|subcommand| flag(word, subcommand).is_some());
    suggested.extend(owner.map(|owner| format!("{} {word}", owner.get_name())));
    let takes_words = |positional: &Arg| matches!(positional.get_action(), ArgAction::Append);
    let hint = match suggested.is_empty() && command.get_positionals().any(takes_words) {
        true => "; put -- before a word that begins with -".to_owned(),
        false => meant(suggested),
    };
    format!("unknown flag {}{hint}", escaped(word))
}

/// Describes a value of `--flag` that clap took for a flag of its own, such as `-5s`.
fn taken_for_flag(flag: &str, value: &str, command: &Command) -> String {
    let words = [OsString::from(command.get_name()), OsString::from(format!("--{flag}={value}"))];
    match command.clone().try_get_matches_from(&words) {
        Err(error) if matches!(error.kind(), ErrorKind::ValueValidation | ErrorKind::InvalidValue) => {
            describe(&error, command, &words, false)
        }
        _ => format!("--{flag}: \"{0}\" begins with -; write --{flag}=\"{0}\"", escaped(value)),
    }
}

/// Returns the flag of a word such as `--workers`.
fn flag<'a>(word: &str, command: &'a Command) -> Option<&'a Arg> {
    let long = word.strip_prefix("--")?;
    command.get_arguments().find(|argument| argument.get_long() == Some(long))
}

/// Returns the flag, the variable or the placeholder that `argument`, such as `--workers <N>`, stands for.
fn name(argument: &str, command: &Command, is_variable: bool) -> String {
    let word = argument.split([' ', '=', '[']).next().unwrap_or_default();
    match flag(word, command) {
        Some(flag) if is_variable => {
            flag.get_env().map_or(word.to_owned(), |variable| variable.display().to_string())
        }
        Some(_) => word.to_owned(),
        None => placeholder(argument),
    }
}

/// Names the variable in place of each flag in `problem` whose value came from there: nobody typed that flag.
pub(super) fn with_variables(problem: &str, command: &Command, is_variable: &dyn Fn(&str) -> bool) -> String {
    let mut named = String::new();
    for word in problem.split_inclusive(' ') {
        let (word, rest) = word.strip_suffix(' ').map_or((word, ""), |word| (word, " "));
        match flag(word, command) {
            Some(flag) if is_variable(flag.get_id().as_str()) => {
                named.push_str(&name(word, command, true));
                // A value follows.
                named.push_str(if rest.is_empty() { "" } else { "=" });
            }
            _ => named.extend([word, rest]),
        }
    }
    named
}

/// Returns `TEXT` for `<TEXT>...`.
fn placeholder(argument: &str) -> String {
    argument.chars().filter(|character| !"<>[].".contains(*character)).collect()
}

fn meant(suggestions: Vec<String>) -> String {
    match suggestions.as_slice() {
        [] => String::new(),
        some => format!("; did you mean {}?", some.join(" or ")),
    }
}

fn escaped(text: &str) -> String {
    Escaped(text.as_bytes()).to_string()
}

fn context(error: &clap::Error, kind: ContextKind) -> Vec<String> {
    match error.get(kind) {
        Some(ContextValue::String(text)) => vec![text.clone()],
        Some(ContextValue::Strings(texts)) => texts.clone(),
        _ => Vec::new(),
    }
}
