//! `hebra man`: the manual pages.
//!
//! Synopsis and options come from the flags themselves. What else a page says is in the file of its command beside this
//! one, in the macros of man(7): the description, and then the sections after the options.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use clap::Command;
use clap_mangen::Man;

use super::arguments::ManArguments;
use super::process::FAILED;
use super::process::failure::{self, Failure};
use super::stdio;

/// When the pages last changed in more than their options. A build has no date of its own, so that it can be repeated.
const DATE: &str = "2026-11-25";

/// Bytes that a line of a page's source has at most.
const LINE: usize = 80;

/// Prints a page, or writes all pages. Returns the exit code.
pub(super) fn run(arguments: &ManArguments) -> u8 {
    let command = arguments.selected();
    let done = match &arguments.dir {
        Some(folder) => write_all(&command, folder),
        None => page(&command)
            .and_then(|page| stdio::output().write_all(page.as_bytes()))
            .or_else(|cause| failure::not_printed(&cause)),
    };
    failure::exit_code(done)
}

/// Writes the page of a command and those of the commands below it.
fn write_all(command: &Command, folder: &Path) -> Result<(), Failure> {
    let path = folder.join(format!("{}.1", name(command)));
    page(command)
        .and_then(|page| fs::write(&path, page))
        .map_err(|cause| Failure { code: FAILED, message: format!("cannot write {path:?}: {cause}") })?;
    command.get_subcommands().try_for_each(|below| write_all(below, folder))
}

/// Returns the name of a command's page, such as `hebra-udp-serve`.
fn name(command: &Command) -> &str {
    command.get_display_name().unwrap_or_else(|| command.get_name())
}

fn page(command: &Command) -> io::Result<String> {
    let (description, sections) = text(name(command));
    // The list of all flags would hide what a command takes besides.
    let mut command = command.clone().subcommand_help_heading("COMMANDS");
    let usage = command.render_usage().to_string();
    let command = command.override_usage(usage.trim_start_matches("Usage: ").to_owned());
    let man = Man::new(command.clone())
        .title(name(&command).to_uppercase())
        .date(DATE)
        .source(concat!("hebra ", env!("CARGO_PKG_VERSION")))
        .manual("User Commands");
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    writeln!(page, ".SH DESCRIPTION\n{description}")?;
    if command.get_subcommands().next().is_some() {
        man.render_subcommands_section(&mut page)?;
    }
    man.render_options_section(&mut page)?;
    writeln!(page, "{sections}")?;
    Ok(tidy(&String::from_utf8(page).map_err(io::Error::other)?))
}

/// Removes blank lines and spaces at the end of lines, and breaks long lines of text: none of them means anything, and
/// linters report them.
fn tidy(page: &str) -> String {
    let mut tidied = String::with_capacity(page.len() + page.len() / 16);
    let mut is_filled = true;
    for line in page.lines().map(str::trim_end).filter(|line| !line.is_empty()) {
        is_filled = if is_filled { line != ".nf" } else { line == ".fi" };
        let mut rest = line;
        while rest.len() > LINE && is_filled && !rest.starts_with('.') {
            // A space after a backslash is a space to print, and a line must not begin as a macro does.
            let breaks = rest.match_indices(' ').map(|(at, _)| at);
            let possible =
                |at: &usize| !rest[..*at].ends_with('\\') && !rest[at + 1..].starts_with(['.', '\'', ' ']);
            let Some(at) = breaks.filter(possible).take_while(|at| *at <= LINE).last() else { break };
            tidied.extend([&rest[..at], "\n"]);
            rest = &rest[at + 1..];
        }
        tidied.extend([rest, "\n"]);
    }
    tidied
}

/// Returns what the file of a command says: the description, and the sections after the options.
fn text(name: &str) -> (&'static str, &'static str) {
    let text = match name {
        "hebra" => include_str!("hebra.man"),
        "hebra-serve" => include_str!("serve.man"),
        "hebra-connect" => include_str!("connect.man"),
        "hebra-probe" => include_str!("probe.man"),
        "hebra-udp" => include_str!("udp.man"),
        "hebra-udp-serve" => include_str!("udp-serve.man"),
        "hebra-udp-send" => include_str!("udp-send.man"),
        "hebra-man" => include_str!("man.man"),
        "hebra-completions" => include_str!("completions.man"),
        _ => "",
    };
    text.split_at(text.find(".SH ").unwrap_or(text.len()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::arguments;

    /// Returns the pages of a command and of those below it, each with its name.
    fn pages(command: &Command) -> Vec<(String, String)> {
        let own = (name(command).to_owned(), page(command).expect("it is text"));
        command.get_subcommands().flat_map(pages).chain([own]).collect()
    }

    #[test]
    fn every_command_has_a_page_with_all_sections() {
        let pages = pages(&arguments::documented());
        assert_eq!(pages.len(), 9);
        for (name, page) in &pages {
            for section in ["NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "EXIT STATUS", "EXAMPLES", "\"SEE ALSO\""]
            {
                let section = section.replace("EXIT STATUS", "\"EXIT STATUS\"");
                assert!(page.contains(&format!(".SH {section}\n")), "{name} lacks {section}");
            }
            // Pages that the others refer to exist.
            for reference in page.lines().filter_map(|line| line.strip_prefix(".BR hebra")?.split_once(" (1)")) {
                let reference = format!("hebra{}", reference.0.replace("\\-", "-"));
                assert!(pages.iter().any(|(name, _)| *name == reference), "{name} refers to {reference}");
            }
        }
    }
}
