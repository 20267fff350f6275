//! What is made from the flags of a program: manual pages, and completions for shells. `hebra-load` compiles this file
//! too, so it imports nothing of `hebra`.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use clap::{Command, ValueEnum};
use clap_complete::generate;
use clap_mangen::Man;

/// When the pages last changed in more than their options. A build has no date of its own, so that it can be repeated.
const DATE: &str = "2026-11-25";

/// Bytes that a line of a page's source has at most.
const LINE: usize = 80;

/// Returns what a page says besides synopsis and options, in the macros of man(7): the description, and then the
/// sections after the options.
pub(crate) type Text = fn(page: &str) -> &'static str;

/// A shell that completes.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Shell {
    Bash,
    Zsh,
    Fish,
}

/// Writes the page of a command and those of the commands below it to a folder.
///
/// # Errors
///
/// The error names the file.
pub(crate) fn write_pages(command: &Command, text: Text, folder: &Path) -> io::Result<()> {
    let path = folder.join(format!("{}.1", name(command)));
    page(command, text)
        .and_then(|page| fs::write(&path, page))
        .map_err(|cause| io::Error::new(cause.kind(), format!("cannot write {path:?}: {cause}")))?;
    command.get_subcommands().try_for_each(|below| write_pages(below, text, folder))
}

/// Returns the name of a command's page, such as `hebra-udp-serve`.
pub(crate) fn name(command: &Command) -> &str {
    command.get_display_name().unwrap_or_else(|| command.get_name())
}

/// Returns the page of a command.
pub(crate) fn page(command: &Command, text: Text) -> io::Result<String> {
    let text = text(name(command));
    let (description, sections) = text.split_at(text.find(".SH ").unwrap_or(text.len()));
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

/// Removes blank lines, spaces at the end of lines and the second of two line breaks, and breaks long lines of text: none
/// of them means anything, and linters report them.
fn tidy(page: &str) -> String {
    let mut tidied = String::with_capacity(page.len() + page.len() / 16);
    let mut is_filled = true;
    for line in page.lines().map(str::trim_end).filter(|line| !line.is_empty()) {
        if line == ".br" && tidied.ends_with("\n.br\n") {
            continue;
        }
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

/// Returns the script with which a shell completes the command, its flags and their values.
pub(crate) fn completions(shell: Shell, mut command: Command) -> String {
    let name = command.get_name().to_owned();
    let generator = match shell {
        Shell::Bash => clap_complete::Shell::Bash,
        Shell::Zsh => clap_complete::Shell::Zsh,
        Shell::Fish => clap_complete::Shell::Fish,
    };
    let mut script = Vec::new();
    generate(generator, &mut command, &name, &mut script);
    let mut script = String::from_utf8(script).expect("flags are text");
    if let Shell::Fish = shell {
        // clap_complete writes nothing for arguments without a flag in fish.
        let condition = format!("__fish_{}_using_subcommand completions", name.replace('-', "_"));
        let line = format!("complete -c {name} -n \"{condition}\" -f -a \"bash zsh fish\"\n");
        script += &line;
    }
    script
}
