//! Text printed from any thread.

use std::io;
use std::sync::Arc;

use super::screen::{Phase, Screen};

/// Prints from any thread.
#[derive(Clone)]
pub(crate) struct Printer(pub(super) Arc<Screen>);

impl Printer {
    /// Prints `text`. If there is a prompt, the text is printed above it, completed to whole lines. The caller makes sure
    /// that the text cannot control the terminal.
    ///
    /// # Errors
    ///
    /// What the system says to a write. Text above a prompt is only queued here, so its errors are not reported.
    pub(crate) fn print(&self, text: &str) -> io::Result<()> {
        self.0.show(self.0.lock_with_room(), text)
    }

    /// Prints a piece of a text. If there is a prompt, each line is printed when all of it is there. Returns whether a
    /// line has begun and not ended, for [`print_begun`](Self::print_begun).
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

    /// Prints the beginning of a line whose end has not arrived.
    ///
    /// # Errors
    ///
    /// As [`print`](Self::print).
    pub(crate) fn print_begun(&self) -> io::Result<()> {
        let mut state = self.0.lock_with_room();
        let begun = state.lines.finish();
        self.0.show(state, &begun)
    }

    /// Ends the prompt for good: prints what waits, gives the terminal back, and from then on prints text as it is. A
    /// reader that is at its prompt never returns. Other readers find the end of the input.
    pub(crate) fn close(&self) -> io::Result<()> {
        self.0.close()
    }

    /// Like [`close`](Self::close), but returns after two seconds even if the terminal takes nothing.
    pub(crate) fn close_in_time(&self) {
        self.0.close_in_time();
    }
}
