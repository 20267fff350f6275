//! The program `hebra-load`: its command line, and where it stands. The benchmark has none of it.

mod arguments;
mod installed;

use std::io::{self, ErrorKind};
use std::process::ExitCode;

use super::cli::problem::Problem;
use super::cli::single;
use super::describe;
use super::output;
use arguments::{Asked, Command};
use installed::INSTALLED;

/// Does what the process was started for.
pub(crate) fn run() -> ExitCode {
    INSTALLED.exit_code(match arguments::parse() {
        Ok(Asked::Load(load)) => single::run(&INSTALLED, &load),
        Ok(Asked::Command(command)) => answer(&command).map(|()| true).map_err(Problem::from),
        Ok(Asked::Help(help)) => print(&help).map(|()| true).map_err(Problem::from),
        Err(problem) => Err(Problem::Usage(problem)),
    })
}

fn answer(command: &Command) -> io::Result<()> {
    match command {
        Command::Man { dir: Some(folder) } => describe::write_pages(&arguments::documented(), text, folder),
        Command::Man { dir: None } => print(&describe::page(&arguments::documented(), text)?),
        Command::Completions { shell } => print(&describe::completions(*shell, arguments::command())),
    }
}

/// Prints text of which a reader, such as a pager, may want only the first part.
fn print(text: &str) -> io::Result<()> {
    output::print(text).or_else(|error| match error.kind() {
        ErrorKind::BrokenPipe => Ok(()),
        _ => Err(error),
    })
}

/// Returns what the file of a page says.
fn text(page: &str) -> &'static str {
    match page {
        "hebra-load" => include_str!("man/load.man"),
        "hebra-load-man" => include_str!("man/man.man"),
        "hebra-load-completions" => include_str!("man/completions.man"),
        _ => "",
    }
}
