//! `hebra man`: the manual pages.
//!
//! Synopsis and options come from the flags themselves. What else a page says is in the file of its command beside this
//! one, in the macros of man(7): the description, and then the sections after the options.

use std::io::Write;

use super::arguments::ManArguments;
use super::describe::{page, write_pages};
use super::process::FAILED;
use super::process::failure::{self, Failure};
use super::stdio;

/// Prints a page, or writes all pages. Returns the exit code.
pub(super) fn run(arguments: &ManArguments) -> u8 {
    let command = arguments.selected();
    let done = match &arguments.dir {
        Some(folder) => write_pages(&command, text, folder)
            .map_err(|problem| Failure { code: FAILED, message: problem.to_string() }),
        None => page(&command, text)
            .and_then(|page| stdio::output().write_all(page.as_bytes()))
            .or_else(|cause| failure::not_printed(&cause)),
    };
    failure::exit_code(done)
}

/// Returns what the file of a command says: the description, and the sections after the options.
fn text(page: &str) -> &'static str {
    match page {
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
    }
}

#[cfg(test)]
mod tests {
    use clap::Command;

    use super::*;
    use crate::cli::arguments;
    use crate::cli::describe::name;

    /// Returns the pages of a command and of those below it, each with its name.
    fn pages(command: &Command) -> Vec<(String, String)> {
        let own = (name(command).to_owned(), page(command, text).expect("it is text"));
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
