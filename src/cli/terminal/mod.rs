//! The operator's terminal: lines are read with a prompt and line editing, and what arrives meanwhile is
//! printed above the line being typed. In a pipe, or on a terminal that can do nothing, lines are read plainly.
//!
//! Any thread may print; one thread reads. The line editor redraws the prompt on the reading thread, and there,
//! as the beginning of what is drawn, the waiting text is printed: in order, whole, and never within a line.
//! Its own way to print from outside writes past the prompt when a line is just begun or ended; here that only
//! wakes the editor up.

mod lines;

use std::borrow::Cow;
use std::cell::RefCell;
use std::env;
use std::io::{self, BufRead, ErrorKind, IsTerminal, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nix::sys::termios::{SetArg, Termios, tcgetattr, tcsetattr};
use rustyline::completion::Completer;
use rustyline::error::ReadlineError;
use rustyline::highlight::{CmdKind, Highlighter};
use rustyline::hint::Hinter;
use rustyline::history::DefaultHistory;
use rustyline::validate::Validator;
use rustyline::{ColorMode, Config, Editor, ExternalPrinter, Helper};

use super::process::threads;
use lines::Lines;

/// How much text may wait for the prompt to be redrawn, in bytes, before whoever prints has to wait.
const MAX_WAITING: usize = 256 * 1024;

/// How long [`Printer::close`] waits for the editor: it does not look up while it searches its history.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// How long [`Printer::close_in_time`] waits: a terminal can be paused.
const CLOSE_WAIT: Duration = Duration::from_secs(2);

/// What to say of [`ErrorKind::InvalidData`]: the editor forgets what it read together with the byte and had not
/// looked at yet.
pub(crate) const NOT_TEXT: &str = "left out: a byte that is not UTF-8, and what came with it";

/// The message that makes the editor redraw. It goes a line up and down again, because the editor ends each
/// message with a line feed.
const WAKE: &str = "\x1b[A\n";

/// Ends what the editor began: marks around pasted text, a drawing shown at once, the prompt's line.
const LEAVE: &str = "\x1b[?2004l\x1b[?2026l\r\x1b[K";

/// Opens the terminal of standard input and output.
///
/// # Errors
///
/// If the terminal cannot be asked for its settings.
pub(crate) fn open(prompt: &str) -> io::Result<(LineReader, Printer)> {
    if !is_interactive() {
        let screen = Arc::new(Screen::new(None, None));
        return Ok((
            LineReader {
                prompt: String::new(),
                begun: Default::default(),
                editor: None,
                screen: Arc::clone(&screen),
            },
            Printer(screen),
        ));
    }
    let settings = tcgetattr(io::stdin())?;
    // The editor asks its helper for the prompt's look only if there are colours; we have none.
    let config = Config::builder().color_mode(ColorMode::Forced).auto_add_history(true).build();
    let mut editor = Editor::with_config(config).map_err(io_error)?;
    let wake = editor.create_external_printer().map_err(io_error)?;
    let screen = Arc::new(Screen::new(Some(settings), Some(Box::new(wake))));
    editor.set_helper(Some(Redraw { screen: Arc::clone(&screen), line: RefCell::default() }));
    let reader = LineReader {
        prompt: prompt.to_owned(),
        begun: Default::default(),
        editor: Some(editor),
        screen: Arc::clone(&screen),
    };
    Ok((reader, Printer(screen)))
}

/// Whether somebody types lines and sees what is printed: standard input and output are terminals, and can edit.
pub(crate) fn is_interactive() -> bool {
    let is_dumb = env::var_os("TERM").is_some_and(|term| term == "dumb" || term == "cons25" || term == "emacs");
    io::stdin().is_terminal() && io::stdout().is_terminal() && !is_dumb
}

/// Reads the lines that are typed.
pub(crate) struct LineReader {
    prompt: String,
    /// The line that the next call goes on with, left and right of the cursor.
    begun: (String, String),
    editor: Option<Editor<Redraw, DefaultHistory>>,
    screen: Arc<Screen>,
}

impl LineReader {
    /// The next line without its end, or `None` at the end of the input (Ctrl-D).
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Interrupted`] after Ctrl-C, which should end the program; [`ErrorKind::InvalidData`] for a
    /// byte that is no text, after which the next call goes on with the line; else what the system says. The
    /// terminal has its own settings back in each case.
    pub(crate) fn read(&mut self) -> io::Result<Option<String>> {
        let Some(editor) = &mut self.editor else {
            let mut line = Vec::new();
            let count = io::stdin().lock().read_until(b'\n', &mut line)?;
            // One odd byte is no reason to end the conversation.
            let mut line = String::from_utf8_lossy(&line).into_owned();
            line.truncate(line.trim_end_matches(['\r', '\n']).len());
            return Ok((count > 0).then_some(line));
        };
        if !self.screen.begin() {
            return Ok(None);
        }
        let (left, right) = std::mem::take(&mut self.begun);
        let result = editor.readline_with_initial(&self.prompt, (&left, &right));
        let goes_on = matches!(&result, Err(ReadlineError::Io(error)) if error.kind() == ErrorKind::InvalidData);
        if goes_on && let Some(helper) = editor.helper() {
            self.begun = helper.line.take();
        }
        let ended = result.is_err() && !goes_on;
        if !self.screen.end(ended) {
            return Ok(None);
        }
        match result {
            Ok(line) => Ok(Some(line)),
            Err(ReadlineError::Eof) => Ok(None),
            Err(error) => Err(io_error(error)),
        }
    }
}

/// Prints from any thread.
#[derive(Clone)]
pub(crate) struct Printer(Arc<Screen>);

impl Printer {
    /// Prints `text` above the prompt, if there is one; it is then completed to whole lines. Without a prompt it
    /// is printed as it is. The caller sees to it that it cannot control the terminal.
    ///
    /// # Errors
    ///
    /// What the system says to a write. Text above a prompt is only accepted here.
    pub(crate) fn print(&self, text: &str) -> io::Result<()> {
        self.0.show(self.0.lock_with_room(), text)
    }

    /// Prints a piece of a text. If there is a prompt, a line is printed when all of it is there; the result is
    /// whether one is begun, for [`print_begun`](Self::print_begun).
    ///
    /// # Errors
    ///
    /// As [`print`](Self::print).
    pub(crate) fn print_piece(&self, text: &str) -> io::Result<bool> {
        let mut state = self.0.lock_with_room();
        if state.phase == Phase::Closed {
            return state.write(text).map(|()| false);
        }
        let lines = state.lines.feed(text);
        let is_begun = state.lines.is_begun();
        self.0.show(state, &lines).map(|()| is_begun)
    }

    /// Prints what has come of a line, because its end takes its time.
    ///
    /// # Errors
    ///
    /// As [`print`](Self::print).
    pub(crate) fn print_begun(&self) -> io::Result<()> {
        let mut state = self.0.lock_with_room();
        let begun = state.lines.finish();
        self.0.show(state, &begun)
    }

    /// Ends the prompt, for whoever ends the program while a line is being typed: prints what waits, gives the
    /// terminal its settings back, and from then on prints text as it is. A reader that is at its prompt never
    /// returns from there; the others find the end of the input.
    pub(crate) fn close(&self) -> io::Result<()> {
        let mut state = self.0.lock();
        if state.is_prompting() {
            state.closing = true;
            self.0.wake(state);
            let (closed, _) = self
                .0
                .changed
                .wait_timeout_while(self.0.lock(), CLOSE_TIMEOUT, |state| state.is_prompting())
                .unwrap_or_else(PoisonError::into_inner);
            state = closed;
            if let Some(settings) = &state.settings {
                // It has gone if its settings cannot be set.
                let _ = tcsetattr(io::stdin(), SetArg::TCSANOW, settings);
            }
            write(LEAVE)?;
        }
        state.phase = Phase::Closed;
        let text = state.take_all();
        state.write(&text)?;
        // Whoever prints next, by whatever way, begins a line.
        if state.settings.is_some() && state.is_within_line { state.write("\n") } else { Ok(()) }
    }

    /// Closes it, for whoever ends whatever happens: a terminal that takes nothing holds whoever closes it.
    pub(crate) fn close_in_time(&self) {
        let screen = self.clone();
        // There is nobody to tell if it cannot be given back.
        if let Ok(closed) = threads::spawn("hebra-screen", move || drop(screen.close())) {
            let _ = closed.recv_timeout(CLOSE_WAIT);
        }
    }
}

/// What the editor is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Nothing: a line is being handled.
    Away,
    /// It is about to show the prompt.
    Begun,
    /// A line is being typed.
    Prompt,
    /// There is no prompt any more, or never was.
    Closed,
}

/// What the reader and the printers share.
struct Screen {
    state: Mutex<State>,
    /// Told when text was drawn and when the phase changed.
    changed: Condvar,
    waker: Mutex<Option<Box<dyn ExternalPrinter + Send>>>,
}

struct State {
    phase: Phase,
    /// The lines that have to be printed above the prompt.
    waiting: String,
    /// What has come of a line that is to be printed when all of it is there.
    lines: Lines,
    /// Whether the editor was told of it.
    woken: bool,
    closing: bool,
    /// What the terminal was set to, if there is a prompt.
    settings: Option<Termios>,
    /// Whether what was printed without a prompt ended within a line.
    is_within_line: bool,
}

impl State {
    fn is_prompting(&self) -> bool {
        matches!(self.phase, Phase::Begun | Phase::Prompt)
    }

    /// What is still to be printed, when there is no prompt any more.
    fn take_all(&mut self) -> String {
        std::mem::take(&mut self.waiting) + &self.lines.finish()
    }

    /// Prints text as it is.
    fn write(&mut self, text: &str) -> io::Result<()> {
        if !text.is_empty() {
            self.is_within_line = !text.ends_with('\n');
        }
        write(text)
    }
}

impl Screen {
    fn new(settings: Option<Termios>, waker: Option<Box<dyn ExternalPrinter + Send>>) -> Self {
        let phase = if waker.is_some() { Phase::Away } else { Phase::Closed };
        Self {
            state: Mutex::new(State {
                phase,
                waiting: String::new(),
                lines: Lines::default(),
                woken: false,
                closing: false,
                settings,
                is_within_line: false,
            }),
            changed: Condvar::new(),
            waker: Mutex::new(waker),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Locks it when not too much waits for the prompt to be redrawn.
    fn lock_with_room(&self) -> MutexGuard<'_, State> {
        let is_full = |state: &mut State| state.is_prompting() && state.waiting.len() > MAX_WAITING;
        self.changed.wait_while(self.lock(), is_full).unwrap_or_else(PoisonError::into_inner)
    }

    /// Prints text, above the prompt if there is one.
    fn show(&self, mut state: MutexGuard<'_, State>, text: &str) -> io::Result<()> {
        match state.phase {
            _ if text.is_empty() => Ok(()),
            Phase::Closed => state.write(text),
            Phase::Away => write(&whole_lines(text)),
            Phase::Begun | Phase::Prompt => {
                state.waiting.push_str(&whole_lines(text));
                self.wake(state);
                Ok(())
            }
        }
    }

    /// Makes the editor redraw, unless it is about to. It takes no wake while it searches its history, so a
    /// second one might wait for ever.
    fn wake(&self, mut state: MutexGuard<'_, State>) {
        if state.phase != Phase::Prompt || state.woken {
            return;
        }
        state.woken = true;
        // It may wait for the editor, which needs the state to draw.
        drop(state);
        if let Some(waker) = &mut *self.waker.lock().unwrap_or_else(PoisonError::into_inner) {
            // It fails when the editor is gone, and then nobody waits for it.
            let _ = waker.print(WAKE.to_owned());
        }
    }

    /// A line is to be read. False if there is no prompt any more.
    fn begin(&self) -> bool {
        let mut state = self.lock();
        let open = state.phase != Phase::Closed;
        if open {
            state.phase = Phase::Begun;
        }
        open
    }

    /// The prompt is about to be drawn, and everything before it has been: what has to be printed first.
    fn draw(&self, is_own_prompt: bool) -> String {
        let mut state = self.lock();
        if state.closing {
            state.phase = Phase::Closed;
            self.changed.notify_all();
            drop(state);
            // The program ends; nothing may be drawn any more.
            loop {
                std::thread::park();
            }
        }
        state.phase = Phase::Prompt;
        // While it searches its history the editor takes no wake; it would fill up with them.
        state.woken &= !is_own_prompt;
        let text = std::mem::take(&mut state.waiting);
        self.changed.notify_all();
        drop(state);
        text
    }

    /// The editor has left the line. False if the prompt was closed meanwhile.
    fn end(&self, ended: bool) -> bool {
        let mut state = self.lock();
        let open = !state.closing;
        state.phase = if ended || !open { Phase::Closed } else { Phase::Away };
        state.woken = false;
        // Whoever prints next learns that nobody sees it.
        let _ = if state.phase == Phase::Closed {
            let text = state.take_all();
            state.write(&text)
        } else {
            write(&std::mem::take(&mut state.waiting))
        };
        self.changed.notify_all();
        open
    }
}

/// Draws what waits before the prompt, and knows the line: the editor forgets it when it fails.
struct Redraw {
    screen: Arc<Screen>,
    /// Left and right of the cursor.
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
    fn highlight_prompt<'b, 's: 'b, 'p: 'b>(&'s self, prompt: &'p str, is_own: bool) -> Cow<'b, str> {
        let text = self.screen.draw(is_own);
        if text.is_empty() { Cow::Borrowed(prompt) } else { Cow::Owned(text + prompt) }
    }

    /// Asked for when the line has changed or the cursor has moved.
    fn highlight_char(&self, line: &str, cursor: usize, _: CmdKind) -> bool {
        let (left, right) = line.split_at(cursor);
        self.line.replace((left.to_owned(), right.to_owned()));
        false
    }
}

/// `text` with a line feed at its end, unless it is empty.
fn whole_lines(text: &str) -> Cow<'_, str> {
    if text.is_empty() || text.ends_with('\n') { Cow::Borrowed(text) } else { Cow::Owned(format!("{text}\n")) }
}

fn write(text: &str) -> io::Result<()> {
    let mut output = io::stdout().lock();
    output.write_all(text.as_bytes())?;
    output.flush()
}

fn io_error(error: ReadlineError) -> io::Error {
    match error {
        ReadlineError::Io(error) => error,
        ReadlineError::Interrupted => ErrorKind::Interrupted.into(),
        error => io::Error::other(error),
    }
}
