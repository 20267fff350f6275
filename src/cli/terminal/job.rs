//! Signals that stop, continue or end a program which edits lines on a terminal.
//!
//! They are blocked in every thread and accepted one after the other by one thread, `hebra-terminal`. So the terminal
//! is given back before the signal does what it does by default, which is what the shell is to see.

use std::io;
use std::sync::{MutexGuard, TryLockError};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{SigSet, Signal, kill, raise};
use nix::unistd::Pid;

use super::screen::{Phase, Screen, State};
use super::{SCREEN, is_interactive, modes};
use crate::cli::process::signals::not_ignored;

/// The signals that do not end this program by default, or cannot be handled.
const NOT_ENDING: [Signal; 17] = [
    Signal::SIGCHLD,
    Signal::SIGCONT,
    Signal::SIGPIPE,
    Signal::SIGTSTP,
    Signal::SIGTTIN,
    Signal::SIGTTOU,
    Signal::SIGURG,
    Signal::SIGWINCH,
    Signal::SIGKILL,
    Signal::SIGSTOP,
    // Handled in every command.
    Signal::SIGXFSZ,
    // Faults: the program cannot go on long enough to do anything.
    Signal::SIGBUS,
    Signal::SIGFPE,
    Signal::SIGILL,
    Signal::SIGSEGV,
    Signal::SIGSYS,
    Signal::SIGTRAP,
];

/// How long a suspension waits for the editor, and for a thread that writes to a terminal which may be paused. At Ctrl-Z
/// the editor sets its modes once more before it waits, so a shorter time might leave them to the shell on a busy machine.
const SUSPEND_TIMEOUT: Duration = Duration::from_secs(1);

/// How often a program in the background looks whether it has the terminal again. A shell does not say.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);

/// Takes over the signals that stop or end the program, except those that are handled `elsewhere`, if lines are going to
/// be edited. An inherited decision to ignore one is honoured.
///
/// Must be called before the program starts any thread, because threads inherit what is blocked.
///
/// # Errors
///
/// If the system refuses the thread.
pub(crate) fn guard(elsewhere: &[i32]) -> io::Result<()> {
    if !is_interactive() {
        return Ok(());
    }
    let is_ours = |signal: &Signal| !NOT_ENDING.contains(signal) && !elsewhere.contains(&(*signal as i32));
    let ours: Vec<i32> =
        Signal::iterator().filter(is_ours).chain([Signal::SIGTSTP]).map(|signal| signal as i32).collect();
    let mut signals: SigSet =
        not_ignored(&ours).into_iter().filter_map(|signal| Signal::try_from(signal).ok()).collect();
    signals.add(Signal::SIGCONT);
    signals.thread_block()?;
    thread::Builder::new().name("hebra-terminal".to_owned()).spawn(move || watch(&signals)).map(drop)
}

/// Accepts signals until one ends the program.
fn watch(signals: &SigSet) {
    while let Ok(signal) = signals.wait() {
        let screen = SCREEN.get();
        match signal {
            Signal::SIGCONT => {}
            Signal::SIGTSTP => {
                if let Some(screen) = screen {
                    screen.suspend();
                }
                act(signal);
                // Stopped and continued; or not stopped, because nobody could continue it. A signal that came meanwhile and
                // ends the program is accepted first, because it has a lower number.
                let _ = kill(Pid::this(), Signal::SIGCONT);
                continue;
            }
            signal => {
                if let Some(screen) = screen {
                    screen.close_in_time();
                }
                act(signal);
            }
        }
        let Some(screen) = screen else { continue };
        if !modes::is_in_foreground() {
            screen.hold();
            // There is no state to give back, so signals do at once what they do by default.
            let _ = signals.thread_unblock();
            while !modes::is_in_foreground() {
                thread::sleep(LOOK_INTERVAL);
            }
            let _ = signals.thread_block();
        }
        screen.resume();
    }
}

/// Lets a signal do what it does by default. Returns when the program is continued.
fn act(signal: Signal) {
    let signals = SigSet::from(signal);
    let _ = signals.thread_unblock();
    let _ = raise(signal);
    let _ = signals.thread_block();
}

impl Screen {
    /// Stops the editor and resets the terminal, because the program is going to be stopped.
    pub(super) fn suspend(&self) {
        if let Some(mut state) = self.lock_in_time() {
            state.is_suspended = state.phase != Phase::Closed;
            self.wake(&state);
            drop(state);
            // In the middle of a key sequence or a search the editor takes no notice. Then it is stopped where it is.
            let is_busy = |state: &mut State| state.is_prompting() && !state.is_parked;
            let _ = self.changed.wait_timeout_while(self.lock(), SUSPEND_TIMEOUT, is_busy);
        }
        if let Some(modes) = self.modes() {
            modes.lend();
        }
    }

    /// Keeps text until the program has the terminal again: it continues in the background.
    pub(super) fn hold(&self) {
        if let Some(mut state) = self.lock_in_time() {
            state.is_suspended = state.phase != Phase::Closed;
        }
    }

    /// Goes on in the foreground: sets the terminal for the editor again and redraws the line.
    pub(super) fn resume(&self) {
        // A thread that holds the lock writes to the terminal, and so nothing is suspended.
        let Some(mut state) = self.lock_in_time() else { return };
        state.is_suspended = false;
        if let (true, Some(modes)) = (state.is_prompting(), self.modes()) {
            modes.reclaim();
        }
        self.changed.notify_all();
        if !state.is_parked {
            self.wake(&state);
        }
        // The window may have another size. Nobody says so to a program in the background.
        let _ = kill(Pid::this(), Signal::SIGWINCH);
    }

    /// Locks the state unless a thread that writes to a paused terminal holds it.
    fn lock_in_time(&self) -> Option<MutexGuard<'_, State>> {
        let begun = Instant::now();
        loop {
            match self.state.try_lock() {
                Ok(state) => return Some(state),
                Err(TryLockError::Poisoned(state)) => return Some(state.into_inner()),
                Err(TryLockError::WouldBlock) if begun.elapsed() > SUSPEND_TIMEOUT => return None,
                Err(TryLockError::WouldBlock) => thread::sleep(Duration::from_millis(5)),
            }
        }
    }
}
