//! What the harness writes: files that are opened before a measurement, so that none is lost to a mistyped path, and
//! notes on standard error.

use std::fmt::Display;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

/// A file that is open for writing and keeps its content until [`Output::write`].
#[derive(Debug)]
pub(crate) struct Output {
    path: PathBuf,
    file: File,
    /// It did not exist before, and nothing has been written to it.
    is_new: bool,
}

impl Output {
    /// Opens a file. Creates it if it does not exist.
    ///
    /// # Errors
    ///
    /// Like those of all methods, the error begins with the path.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        let opened = match options.write(true).create_new(true).open(path) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                OpenOptions::new().write(true).open(path).map(|file| (file, false))
            }
            created => created.map(|file| (file, true)),
        };
        let (file, is_new) = opened.map_err(|error| named(path, &error))?;
        Ok(Self { path: path.to_owned(), file, is_new })
    }

    /// Replaces the content of the file.
    pub(crate) fn write(mut self, text: &str) -> io::Result<()> {
        self.is_new = false;
        self.replace(text).map_err(|error| named(&self.path, &error))
    }

    fn replace(&mut self, text: &str) -> io::Result<()> {
        // A pipe or a device has no length.
        if self.file.metadata()?.is_file() {
            self.file.set_len(0)?;
        }
        self.file.write_all(text.as_bytes())
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        if self.is_new {
            // A run without a result leaves no empty file.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Returns the error with the path that it is about.
pub(crate) fn named(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

/// Prints a result. Unlike `print!`, this does not panic if standard output is closed or full.
pub(crate) fn print(text: &str) -> io::Result<()> {
    let mut output = io::stdout().lock();
    output
        .write_all(text.as_bytes())
        .and_then(|()| output.flush())
        .map_err(|error| io::Error::new(error.kind(), format!("standard output: {error}")))
}

/// Prints a line on standard error, if that takes it.
pub(crate) fn note(line: impl Display) {
    let _ = writeln!(io::stderr(), "{line}");
}
