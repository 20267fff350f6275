//! Signals: the first SIGINT, SIGTERM or SIGHUP asks for a stop, a later one ends the process, and SIGUSR1 asks for a
//! report.
//!
//! One thread, `hebra-signals`, receives them all. It waits for nothing else, so a signal is obeyed whatever the other
//! threads are stuck in.

use std::fs;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, unbounded};
use hebra::Error;
use nix::sys::signal::{SigSet, Signal};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1, SIGUSR2, SIGXFSZ};
use signal_hook::flag;
use signal_hook::iterator::Signals as Incoming;
use signal_hook::low_level::exit;

use super::report::{Line, report};
use super::{CUT_OFF, threads};

/// The signals of a server. SIGUSR2 means nothing here, and must not end the sessions either.
pub(crate) const HANDLED: [i32; 5] = [SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2];

/// How long a stop signal that comes again is part of the same request: GNU `timeout` signals the process and then its
/// group, and some supervisors do the same.
const AGAIN: Duration = Duration::from_millis(250);

/// What a signal asks the server for.
enum Request {
    Stop,
    Report,
}

/// Asks for a stop as a signal does. Clones ask for the same stop.
#[derive(Clone, Debug)]
pub(crate) struct Stop {
    asked: Arc<OnceLock<Instant>>,
    /// Whether the next signal but the first only ends the delay of the stop.
    is_delayed: Arc<AtomicBool>,
    requests: Sender<Request>,
}

impl Stop {
    /// Ends [`Signals::wait`]. Returns how long ago a stop was first asked for; `None` if this is the first time.
    pub(crate) fn ask(&self) -> Option<Duration> {
        let mut is_first = false;
        let asked = self.asked.get_or_init(|| {
            is_first = true;
            Instant::now()
        });
        if is_first {
            // The receiver lives as long as the server.
            let _ = self.requests.send(Request::Stop);
            return None;
        }
        Some(asked.elapsed())
    }

    /// Returns whether a stop was asked for.
    pub(crate) fn is_asked(&self) -> bool {
        self.asked.get().is_some()
    }

    /// Ends the delay of the stop. Returns whether there was one.
    fn end_delay(&self) -> bool {
        let was_delayed = self.is_delayed.swap(false, SeqCst);
        if was_delayed {
            let _ = self.requests.send(Request::Stop);
        }
        was_delayed
    }
}

/// The signals of a running server.
pub(crate) struct Signals {
    stop: Stop,
    requests: Receiver<Request>,
    /// What is done before a later signal ends the process.
    before_cut: Arc<OnceLock<fn()>>,
}

impl Signals {
    /// Takes the signals over.
    ///
    /// # Errors
    ///
    /// If the system refuses a handler or the thread.
    pub(crate) fn install() -> Result<Self, Error> {
        let incoming =
            take_over(&HANDLED).map_err(|cause| Error::Thread { name: "hebra-signals".to_owned(), cause })?;
        let (sender, requests) = unbounded();
        let stop = Stop { asked: Arc::default(), is_delayed: Arc::default(), requests: sender };
        let before_cut = Arc::default();
        let (asking, cutting) = (stop.clone(), Arc::clone(&before_cut));
        threads::spawn("hebra-signals", move || receive(incoming, &asking, &cutting))?;
        Ok(Self { stop, requests, before_cut })
    }

    /// Returns another way to ask for a stop.
    pub(crate) fn stop(&self) -> Stop {
        self.stop.clone()
    }

    /// Runs `last` before a later signal ends the process. It must return soon, because the operator waits.
    pub(crate) fn before_cut(&self, last: fn()) {
        // It is set once: only a chat has something to do.
        let _ = self.before_cut.set(last);
    }

    /// Blocks until a stop is asked for, calls `stopping`, and then waits for `delay`, which a later signal ends. Meanwhile it
    /// logs `lines` whenever SIGUSR1 asks for them.
    pub(crate) fn wait(&self, delay: Duration, stopping: impl FnOnce(), lines: impl Fn() -> Vec<Line>) {
        let mut last = None;
        self.stop.is_delayed.store(!delay.is_zero(), SeqCst);
        while let Ok(Request::Report) = self.requests.recv() {
            report(&mut last, &lines);
        }
        stopping();
        if delay.is_zero() {
            return;
        }
        report(&mut last, || vec![Line::Delayed(delay)]);
        let end = Instant::now() + delay;
        while let Ok(Request::Report) = self.requests.recv_deadline(end) {
            report(&mut last, &lines);
        }
        self.stop.is_delayed.store(false, SeqCst);
    }
}

/// Takes over those of `signals` that are not ignored, and unblocks them: a process inherits both states. An ignored
/// signal is meant to be ignored (`nohup`, a job in the background of a script), but a blocked one was forgotten by the
/// parent, because a program that handles a signal wants to see it.
///
/// # Errors
///
/// If the system refuses a handler.
pub(crate) fn take_over(signals: &[i32]) -> io::Result<Incoming> {
    let handled = not_ignored(signals);
    let incoming = Incoming::new(&handled)?;
    // Only now, so that a signal that was pending is handled.
    let handled: SigSet = handled.into_iter().filter_map(|signal| Signal::try_from(signal).ok()).collect();
    handled.thread_unblock()?;
    Ok(incoming)
}

/// Makes a write beyond the limit of file size fail with an error: the signal that comes with it would end the process.
///
/// # Errors
///
/// If the system refuses a handler.
pub(crate) fn survive_file_size_limit() -> io::Result<()> {
    // A handler that does nothing is as good as ignoring the signal, which needs unsafe code.
    flag::register(SIGXFSZ, Arc::new(AtomicBool::new(false))).map(drop)
}

/// Returns those of `signals` that the process does not ignore. Only Linux says so without unsafe code; elsewhere no
/// signal counts as ignored.
pub(crate) fn not_ignored(signals: &[i32]) -> Vec<i32> {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    signals.iter().copied().filter(|signal| ignored >> (signal - 1) & 1 == 0).collect()
}

/// Receives signals until one of them ends the process.
fn receive(mut incoming: Incoming, stop: &Stop, before_cut: &OnceLock<fn()>) {
    loop {
        for signal in incoming.wait() {
            match signal {
                SIGUSR1 => drop(stop.requests.send(Request::Report)),
                SIGUSR2 => {}
                _ => match stop.ask() {
                    Some(elapsed) if elapsed < AGAIN => {}
                    Some(_) if !stop.end_delay() => cut(before_cut),
                    _ => {
                        // Signals that have come by then are the same request, however late this thread runs.
                        thread::sleep(AGAIN);
                        incoming.pending().for_each(drop);
                        break;
                    }
                },
            }
        }
    }
}

/// Ends the process at once, whatever its threads do.
fn cut(before_cut: &OnceLock<fn()>) {
    if let Some(last) = before_cut.get() {
        last();
    }
    exit(CUT_OFF.into());
}
