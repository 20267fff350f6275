//! The modes of the terminal: what they were when the program started, and what the line editor makes of them.
//!
//! The editor sets the terminal for each line and resets it after the line. Whatever ends or stops the program in
//! between must reset it too, and only if the terminal is ours: changing it from the background would break the line
//! that the shell is editing. No lock is held here while anything is written, so a terminal that takes nothing delays
//! nobody.

use std::io;
use std::os::fd::AsFd;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, poll};
use nix::sys::signal::{SigSet, SigmaskHow, Signal};
use nix::sys::termios::{SetArg, Termios, tcgetattr, tcsetattr};
use nix::unistd::{self, getpgrp, tcgetpgrp};

/// Switches off what the editor switched on besides the modes: marks around pasted text, and drawing at once.
const MARKS_OFF: &str = "\x1b[?2004l\x1b[?2026l";

/// Switches the marks around pasted text on again.
const MARKS_ON: &str = "\x1b[?2004h";

/// Removes the line of the prompt.
const ERASE_LINE: &str = "\r\x1b[K";

/// How long the editor may take to set the modes. It waits for output before it does.
const ENTRY_TIMEOUT: Duration = Duration::from_millis(500);

/// How long a terminal may take to accept a few bytes, in milliseconds.
const WRITE_TIMEOUT: u8 = 100;

/// The modes of the terminal of standard input.
pub(super) struct Modes {
    state: Mutex<State>,
    entered: Condvar,
}

struct State {
    /// The modes when the program started.
    original: Termios,
    /// The editor's modes, while a line is edited.
    editing: Option<Termios>,
    /// Whether the editor is about to set its modes.
    is_entering: bool,
    /// Whether the program ends, so that no line is edited any more.
    is_over: bool,
}

impl Modes {
    /// Takes note of the modes as they are.
    ///
    /// # Errors
    ///
    /// If the terminal does not say.
    pub(super) fn new() -> io::Result<Self> {
        let original = tcgetattr(io::stdin())?;
        let state = Mutex::new(State { original, editing: None, is_entering: false, is_over: false });
        Ok(Self { state, entered: Condvar::new() })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The editor is about to set its modes, on this thread. Returns `false` if it must not, because the program ends.
    pub(super) fn enter(&self) -> bool {
        // The editor sets and resets modes even if the program is in the background. The signal that it gets for that must
        // not stop it: POSIX 11.1.4 lets a thread that blocks the signal go on.
        let _ = SigSet::from(Signal::SIGTTOU).thread_block();
        let mut state = self.lock();
        state.is_entering = !state.is_over;
        state.is_entering
    }

    /// The editor has set its modes.
    pub(super) fn set(&self) {
        let mut state = self.lock();
        state.is_entering = false;
        if state.is_over {
            apply(&state.original);
        } else {
            state.editing = tcgetattr(io::stdin()).ok();
        }
        self.entered.notify_all();
    }

    /// The editor has reset them.
    pub(super) fn reset(&self) {
        let mut state = self.lock();
        (state.is_entering, state.editing) = (false, None);
        self.entered.notify_all();
    }

    /// Resets the modes while the program is stopped.
    pub(super) fn lend(&self) {
        let state = self.lock();
        if state.editing.is_some() && is_in_foreground() {
            apply(&state.original);
            drop(state);
            write_in_time(MARKS_OFF);
        }
    }

    /// Sets the editor's modes again, when the program continues in the foreground.
    pub(super) fn reclaim(&self) {
        let state = self.lock();
        if let Some(editing) = &state.editing {
            apply(editing);
            drop(state);
            write_in_time(MARKS_ON);
        }
    }

    /// Resets the modes for good. Returns what must be written to the terminal for the rest of its state.
    pub(super) fn give_back(&self) -> Option<String> {
        let (mut state, _) = self
            .entered
            .wait_timeout_while(self.lock(), ENTRY_TIMEOUT, |state| state.is_entering)
            .unwrap_or_else(PoisonError::into_inner);
        state.is_over = true;
        let is_changed = state.editing.take().is_some() && is_in_foreground();
        if is_changed {
            apply(&state.original);
        }
        is_changed.then(|| format!("{MARKS_OFF}{ERASE_LINE}"))
    }

    /// Like [`give_back`](Self::give_back), for a program that ends at once.
    pub(super) fn give_back_now(&self) {
        if let Some(rest) = self.give_back() {
            write_in_time(&rest);
        }
    }
}

/// Returns whether the terminal is the program's to use. One without job control always is.
pub(super) fn is_in_foreground() -> bool {
    tcgetpgrp(io::stdin()).map_or(true, |group| group == getpgrp())
}

/// Returns whether standard input and output are the terminal that controls the program, which is also `/dev/tty`.
pub(super) fn is_controlling() -> bool {
    tcgetpgrp(io::stdin()).is_ok() && tcgetpgrp(io::stdout()).is_ok()
}

/// Sets modes. A terminal that refuses them is gone.
fn apply(modes: &Termios) {
    // A shell may take the terminal at any moment. The signal that this sends must not stop a program that is ending.
    let mask = SigSet::from(Signal::SIGTTOU).thread_swap_mask(SigmaskHow::SIG_BLOCK);
    let _ = tcsetattr(io::stdin(), SetArg::TCSANOW, modes);
    if let Ok(mask) = mask {
        let _ = mask.thread_set_mask();
    }
}

/// Writes a few bytes, unless the terminal takes nothing.
fn write_in_time(text: &str) {
    let output = io::stdout();
    let mut descriptors = [PollFd::new(output.as_fd(), PollFlags::POLLOUT)];
    if poll(&mut descriptors, WRITE_TIMEOUT) == Ok(1) {
        let _ = unistd::write(&output, text.as_bytes());
    }
}
