//! Interim.
use std::io::{self, BufRead, IsTerminal, Write};

pub(super) struct LineReader;
#[derive(Clone)]
pub(super) struct Printer;

pub(super) fn open(_prompt: &str) -> (LineReader, Printer) {
    (LineReader, Printer)
}

impl LineReader {
    pub(super) fn is_interactive(&self) -> bool {
        io::stdin().is_terminal()
    }
    pub(super) fn next_line(&mut self) -> io::Result<Option<String>> {
        let mut line = String::new();
        Ok((io::stdin().lock().read_line(&mut line)? > 0).then_some(line))
    }
}

impl Printer {
    pub(super) fn print_line(&mut self, text: &str) {
        let _ = writeln!(io::stdout(), "{text}");
    }
}
