//! The terminal: lines are read with a prompt and line editing, and text that arrives meanwhile is printed above the line
//! being typed. In a pipe, or on a terminal that cannot edit, lines are read plainly.
//!
//! Any thread may print; one thread reads. The terminal is given back in its original state whatever ends or stops the
//! program: by [`Printer::close`] in the normal course, by [`guard`] when a signal does, by [`restore`] when nothing may
//! be waited for.

mod job;
mod lines;
mod modes;
mod printer;
mod reader;
mod screen;

use std::env;
use std::io::{self, BufReader, IsTerminal};
use std::sync::{Arc, OnceLock};
use std::thread;

use crossbeam_channel::{Sender, bounded};
use nix::sys::signal::{SigSet, Signal, kill};
use nix::unistd::Pid;
use rustyline::error::ReadlineError;
use rustyline::{Behavior, ColorMode, Config, Editor, ExternalPrinter};

use super::stdio;
pub(super) use job::guard;
use modes::Modes;
pub(super) use printer::Printer;
use reader::Edited;
pub(super) use reader::{LineReader, NOT_TEXT};
use screen::Screen;

/// The message that makes the editor redraw. It goes a line up and down again, because the editor ends each message with
/// a line feed.
const WAKE: &str = "\x1b[A\n";

/// The screen on which lines are edited. A process has one terminal at most.
static SCREEN: OnceLock<Arc<Screen>> = OnceLock::new();

/// Opens the terminal of standard input and output.
///
/// # Errors
///
/// If the terminal cannot be asked for its modes.
pub(super) fn open(prompt: &str) -> io::Result<(LineReader, Printer)> {
    if !is_interactive() {
        let lines = LineReader::Plain(BufReader::new(stdio::input()));
        return Ok((lines, Printer(Arc::new(Screen::new(None)))));
    }
    let modes = Modes::new()?;
    // The editor asks its helper for the prompt's look only if there are colours; we have none.
    let config = Config::builder().color_mode(ColorMode::Forced).auto_add_history(true);
    // The editor cannot wait for a terminal that does not block. What it opens itself, no other process can make so.
    let behavior = if modes::is_controlling() { Behavior::PreferTerm } else { Behavior::Stdio };
    let config = config.behavior(behavior).build();
    let cannot_edit = |error: ReadlineError| io::Error::other(error);
    let mut editor = Editor::with_config(config).map_err(cannot_edit)?;
    let waker = wake_by(editor.create_external_printer().map_err(cannot_edit)?)?;
    let screen = Arc::new(Screen::new(Some((modes, waker))));
    let reader = LineReader::Edited(Box::new(Edited::new(prompt, editor, Arc::clone(&screen))));
    let _ = SCREEN.set(Arc::clone(&screen));
    if screen.lock().is_suspended {
        // Makes the thread of signals wait for the foreground.
        kill(Pid::this(), Signal::SIGCONT)?;
    }
    Ok((reader, Printer(screen)))
}

/// Starts the thread that wakes the editor, which may block: the editor takes one message at a time, and none while it
/// searches its history.
fn wake_by(mut printer: impl ExternalPrinter + Send + 'static) -> io::Result<Sender<()>> {
    let (waker, wakes) = bounded(1);
    let wake = move || {
        // A message that comes too late, when the terminal is another program's, must not stop this one.
        let _ = SigSet::from(Signal::SIGTTOU).thread_block();
        // It fails when the editor is gone.
        while wakes.recv().is_ok() && printer.print(WAKE.to_owned()).is_ok() {}
    };
    thread::Builder::new().name("hebra-waker".to_owned()).spawn(wake).map(|_| waker)
}

/// Gives the terminal back at once, for a program that ends now, whatever its threads are doing. May be called from any
/// thread and at any time; it does nothing if no line is being edited.
pub(super) fn restore() {
    if let Some(modes) = SCREEN.get().and_then(|screen| screen.modes()) {
        modes.give_back_now();
    }
}

/// Gives the terminal back when it is dropped, in a panic too.
pub(super) struct GiveBack;

impl Drop for GiveBack {
    fn drop(&mut self) {
        restore();
    }
}

/// Returns whether lines are edited: standard input and output are terminals, and can do it.
pub(super) fn is_interactive() -> bool {
    let is_dumb = env::var_os("TERM").is_some_and(|term| term == "dumb" || term == "cons25" || term == "emacs");
    io::stdin().is_terminal() && io::stdout().is_terminal() && !is_dumb
}
