//! Lines that are typed: with a prompt and editing on a terminal, plainly in a pipe.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{self, BufRead, BufReader, ErrorKind, Stdin};
use std::mem;
use std::sync::Arc;

use rustyline::completion::Completer;
use rustyline::error::ReadlineError;
use rustyline::highlight::{CmdKind, Highlighter};
use rustyline::hint::Hinter;
use rustyline::history::DefaultHistory;
use rustyline::validate::Validator;
use rustyline::{Editor, Helper};

use super::screen::Screen;
use crate::cli::stdio::{self, Waiting};

/// What to say of [`ErrorKind::InvalidData`]: the editor forgets what it read together with the byte and had not looked
/// at yet.
pub(crate) const NOT_TEXT: &str = "left out: a byte that is not UTF-8, and what came with it";

/// Reads the lines that are typed.
pub(crate) enum LineReader {
    Plain(BufReader<Waiting<Stdin>>),
    Edited(Box<Edited>),
}

impl LineReader {
    /// Returns the next line without its end, or `None` at the end of the input (Ctrl-D).
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::Interrupted`] after Ctrl-C, which should end the program.
    /// - [`ErrorKind::InvalidData`] for a byte that is not text. The next call continues the line.
    /// - What the system says.
    ///
    /// The terminal is in its original state in each case.
    pub(crate) fn read(&mut self) -> io::Result<Option<String>> {
        match self {
            Self::Plain(input) => read_plain(input),
            Self::Edited(edited) => edited.read(),
        }
    }
}

fn read_plain(input: &mut impl BufRead) -> io::Result<Option<String>> {
    let mut line = Vec::new();
    let count = input.read_until(b'\n', &mut line)?;
    // One odd byte is no reason to end the conversation.
    let mut line = String::from_utf8_lossy(&line).into_owned();
    line.truncate(line.trim_end_matches(['\r', '\n']).len());
    Ok((count > 0).then_some(line))
}

/// Lines edited on a terminal.
pub(crate) struct Edited {
    prompt: String,
    editor: Editor<Redraw, DefaultHistory>,
    screen: Arc<Screen>,
    /// The line that the next call continues, left and right of the cursor.
    begun: (String, String),
    /// Lines that were pasted and are still to be returned.
    pasted: VecDeque<String>,
}

impl Edited {
    pub(super) fn new(prompt: &str, mut editor: Editor<Redraw, DefaultHistory>, screen: Arc<Screen>) -> Self {
        editor.set_helper(Some(Redraw { screen: Arc::clone(&screen), line: RefCell::default() }));
        Self { prompt: prompt.to_owned(), editor, screen, begun: Default::default(), pasted: VecDeque::new() }
    }

    fn read(&mut self) -> io::Result<Option<String>> {
        if let Some(line) = self.pasted.pop_front() {
            return Ok(Some(line));
        }
        loop {
            match self.edit() {
                // Text that is pasted keeps its line feeds in the editor, so that it can be looked at before Enter sends
                // it. Enter ends the last line, so it adds none to a text that ends with a line feed.
                Ok(Some(text)) if text.contains('\n') => {
                    self.pasted = text.lines().map(str::to_owned).collect();
                    return Ok(self.pasted.pop_front());
                }
                // The terminal was made not to block, by a process that shares it.
                Err(error) if error.kind() == ErrorKind::WouldBlock => stdio::output().wait_for_room()?,
                result => return result,
            }
        }
    }

    /// Lets the operator edit until Enter is pressed.
    fn edit(&mut self) -> io::Result<Option<String>> {
        if !self.screen.begin() {
            return Ok(None);
        }
        let (left, right) = mem::take(&mut self.begun);
        let result = self.editor.readline_with_initial(&self.prompt, (&left, &right)).map_err(io_error);
        let goes_on = |error: &io::Error| matches!(error.kind(), ErrorKind::InvalidData | ErrorKind::WouldBlock);
        let is_last = match &result {
            Ok(_) => false,
            Err(error) if goes_on(error) => {
                self.begun = self.editor.helper().map(|helper| helper.line.take()).unwrap_or_default();
                false
            }
            Err(_) => true,
        };
        if !self.screen.end(is_last) {
            return Ok(None);
        }
        match result {
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(None),
            result => result.map(Some),
        }
    }
}

fn io_error(error: ReadlineError) -> io::Error {
    match error {
        ReadlineError::Io(error) => error,
        ReadlineError::Errno(error) => error.into(),
        ReadlineError::Interrupted => ErrorKind::Interrupted.into(),
        ReadlineError::Eof => ErrorKind::UnexpectedEof.into(),
        error => io::Error::other(error),
    }
}

/// Draws the text that waits before the prompt, and remembers the line, because the editor forgets it when it fails.
pub(super) struct Redraw {
    screen: Arc<Screen>,
    /// The line left and right of the cursor.
    line: RefCell<(String, String)>,
}

impl Helper for Redraw {}
impl Completer for Redraw {
    type Candidate = String;
}
impl Hinter for Redraw {
    type Hint = String;
}
impl Validator for Redraw {}
impl Highlighter for Redraw {
    fn highlight_prompt<'b, 's: 'b, 'p: 'b>(&'s self, prompt: &'p str, _: bool) -> Cow<'b, str> {
        let text = self.screen.draw();
        if text.is_empty() { Cow::Borrowed(prompt) } else { Cow::Owned(text + prompt) }
    }

    /// Called when the line has changed or the cursor has moved.
    fn highlight_char(&self, line: &str, cursor: usize, _: CmdKind) -> bool {
        let (left, right) = line.split_at(cursor);
        self.line.replace((left.to_owned(), right.to_owned()));
        false
    }
}
