//! The screen: text from any thread, printed above the line that is being edited.
//!
//! The editor draws the prompt on the reading thread and asks for its look first ([`Screen::draw`]). There, as the
//! beginning of what is drawn, the waiting text is printed: in order, whole, and never within a line. The editor's own way
//! to print from outside writes past the prompt when a line has just begun or ended, so it only serves to wake the editor.
//!
//! The same place stops the editor: while the program is suspended or in the background the reading thread waits there,
//! so it neither reads from the terminal nor writes to it.

use std::borrow::Cow;
use std::io::{self, Write};
use std::mem;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Sender, bounded};
use nix::sys::signal::{SigSet, Signal};

use super::lines::Lines;
use super::modes::{self, Modes};
use crate::cli::stdio;

/// Bytes of text that may wait for the prompt to be redrawn before printing blocks.
const MAX_WAITING: usize = 256 * 1024;

/// How long closing waits for the editor, which takes no notice while it searches its history.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// How long all of closing may take, because a terminal can be paused.
const CLOSE_WAIT: Duration = Duration::from_secs(2);

/// What the editor is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Nothing: a line is being handled.
    Away,
    /// It is about to show the prompt.
    Begun,
    /// A line is being edited.
    Prompt,
    /// There is no prompt any more, or never was.
    Closed,
}

/// What the reader, the printers and the thread of signals share.
pub(super) struct Screen {
    pub(super) state: Mutex<State>,
    /// Notified when text was drawn, and when the phase or a flag changed.
    pub(super) changed: Condvar,
    /// If lines are edited: the terminal's modes, and the thread that wakes the editor.
    editor: Option<(Modes, Sender<()>)>,
}

pub(super) struct State {
    pub(super) phase: Phase,
    /// The lines that are to be printed above the prompt.
    waiting: String,
    /// The beginning of a line that is to be printed when all of it is there.
    pub(super) lines: Lines,
    is_closing: bool,
    /// Whether the program is stopped, about to be, or in the background: nothing is written, read or set.
    pub(super) is_suspended: bool,
    /// Whether the editor waits for the end of the suspension.
    pub(super) is_parked: bool,
    /// Whether what was printed without a prompt ended within a line.
    is_within_line: bool,
}

impl State {
    pub(super) fn is_prompting(&self) -> bool {
        matches!(self.phase, Phase::Begun | Phase::Prompt)
    }

    /// Returns all that is still to be printed, when there is no prompt any more.
    fn take_all(&mut self) -> String {
        mem::take(&mut self.waiting) + &self.lines.finish()
    }

    /// Prints text as it is.
    pub(super) fn write(&mut self, text: &str) -> io::Result<()> {
        if !text.is_empty() {
            self.is_within_line = !text.ends_with('\n');
        }
        stdio::output().write_all(text.as_bytes())
    }
}

impl Screen {
    /// Without an editor, text is printed as it is.
    pub(super) fn new(editor: Option<(Modes, Sender<()>)>) -> Self {
        let state = State {
            phase: if editor.is_some() { Phase::Away } else { Phase::Closed },
            waiting: String::new(),
            lines: Lines::default(),
            is_closing: false,
            is_suspended: editor.is_some() && !modes::is_in_foreground(),
            is_parked: false,
            is_within_line: false,
        };
        Self { state: Mutex::new(state), changed: Condvar::new(), editor }
    }

    pub(super) fn modes(&self) -> Option<&Modes> {
        self.editor.as_ref().map(|(modes, _)| modes)
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Locks the state when not too much text waits for the prompt to be redrawn.
    pub(super) fn lock_with_room(&self) -> MutexGuard<'_, State> {
        let is_full = |state: &mut State| {
            let waits = state.phase != Phase::Closed && (state.is_prompting() || state.is_suspended);
            waits && state.waiting.len() > MAX_WAITING
        };
        self.changed.wait_while(self.lock(), is_full).unwrap_or_else(PoisonError::into_inner)
    }

    /// Prints text, above the prompt if there is one.
    pub(super) fn show(&self, mut state: MutexGuard<'_, State>, text: &str) -> io::Result<()> {
        if text.is_empty() {
            return Ok(());
        }
        if state.phase == Phase::Closed {
            return state.write(text);
        }
        state.waiting.push_str(&whole_lines(text));
        if state.is_suspended {
            return Ok(());
        }
        if state.phase == Phase::Away {
            let text = mem::take(&mut state.waiting);
            return state.write(&text);
        }
        self.wake(&state);
        Ok(())
    }

    /// Makes the editor redraw if there is a prompt. Does not wait for it.
    pub(super) fn wake(&self, state: &State) {
        if let (Phase::Prompt, Some((_, waker))) = (state.phase, &self.editor) {
            // If a wake waits already, the editor redraws after it.
            let _ = waker.try_send(());
        }
    }

    /// Waits until a line may be edited. Returns `false` if there is no prompt any more.
    pub(super) fn begin(&self) -> bool {
        let is_held = |state: &mut State| state.is_suspended && state.phase != Phase::Closed;
        let mut state = self.changed.wait_while(self.lock(), is_held).unwrap_or_else(PoisonError::into_inner);
        let is_open = state.phase != Phase::Closed && self.modes().is_some_and(Modes::enter);
        if is_open {
            state.phase = Phase::Begun;
        }
        is_open
    }

    /// The editor is about to draw the prompt, and has drawn everything before it. Returns the text that comes first.
    pub(super) fn draw(&self) -> String {
        let mut state = self.lock();
        if let (Phase::Begun, Some(modes)) = (state.phase, self.modes()) {
            modes.set();
        }
        state.phase = Phase::Prompt;
        while state.is_suspended && !state.is_closing {
            state.is_parked = true;
            self.changed.notify_all();
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.is_parked = false;
        if state.is_closing {
            state.phase = Phase::Closed;
            self.changed.notify_all();
            drop(state);
            // The program ends; nothing may be drawn any more.
            loop {
                thread::park();
            }
        }
        let text = mem::take(&mut state.waiting);
        self.changed.notify_all();
        text
    }

    /// The editor has left the line, at the `end` of the input if that is true. Returns `false` if the prompt was closed
    /// meanwhile.
    pub(super) fn end(&self, is_last: bool) -> bool {
        let mut state = self.lock();
        if let Some(modes) = self.modes() {
            modes.reset();
        }
        let is_open = !state.is_closing;
        state.phase = if is_last || !is_open { Phase::Closed } else { Phase::Away };
        let text = match state.phase {
            Phase::Closed => state.take_all(),
            _ if state.is_suspended => String::new(),
            _ => mem::take(&mut state.waiting),
        };
        // If it fails, the next text fails too, and that is reported.
        let _ = state.write(&text);
        self.changed.notify_all();
        is_open
    }

    /// As [`Printer::close`](super::Printer::close).
    pub(super) fn close(&self) -> io::Result<()> {
        let mut state = self.lock();
        if state.is_prompting() {
            state.is_closing = true;
            self.changed.notify_all();
            if !state.is_suspended {
                self.wake(&state);
            }
            drop(state);
            let is_busy = |state: &mut State| state.is_prompting() && (state.is_parked || !state.is_suspended);
            let (closed, _) = self
                .changed
                .wait_timeout_while(self.lock(), CLOSE_TIMEOUT, is_busy)
                .unwrap_or_else(PoisonError::into_inner);
            state = closed;
        }
        state.phase = Phase::Closed;
        self.changed.notify_all();
        let rest = self.modes().and_then(Modes::give_back).unwrap_or_default();
        let text = rest + &state.take_all();
        state.write(&text)?;
        // What is printed next begins a line, in whichever way it is printed.
        if self.editor.is_some() && state.is_within_line { state.write("\n") } else { Ok(()) }
    }

    /// As [`Printer::close_in_time`](super::Printer::close_in_time).
    pub(super) fn close_in_time(self: &Arc<Self>) {
        let (closing, closed) = bounded::<()>(0);
        let screen = Arc::clone(self);
        let close = move || {
            // With `stty tostop` a write from the background would stop the program, which is to end.
            let _ = SigSet::from(Signal::SIGTTOU).thread_block();
            let _ = screen.close();
            drop(closing);
        };
        match thread::Builder::new().name("hebra-screen".to_owned()).spawn(close) {
            // Nothing is ever sent.
            Ok(_) => drop(closed.recv_timeout(CLOSE_WAIT)),
            Err(_) => self.modes().into_iter().for_each(Modes::give_back_now),
        }
    }
}

/// Returns `text` with a line feed at its end, unless it is empty.
fn whole_lines(text: &str) -> Cow<'_, str> {
    if text.is_empty() || text.ends_with('\n') { Cow::Borrowed(text) } else { Cow::Owned(format!("{text}\n")) }
}
