//! The operator of a chat: shows what happens in the room, and says what is typed.
//!
//! The operator is a person at a terminal or a script in a pipe. Service managers and containers start a program with
//! neither; then the room serves without an operator.

use std::fmt::Display;
use std::io::{self, IsTerminal};
use std::sync::{Arc, Weak};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded};
use hebra::Error;

use super::notice::Notice;
use super::order::Order;
use super::room::Room;
use super::rows;
use crate::cli::process::signals::Signals;
use crate::cli::process::threads::spawn;
use crate::cli::terminal::{self, GiveBack, LineReader, NOT_TEXT, Printer};

/// How long a screen that shows nothing any more is waited for: a terminal can be paused.
const LAST_WAIT: Duration = Duration::from_secs(1);

/// What the operator may type.
const HELP: &str = "* TEXT says it to all, @2 TEXT to client 2; //x says /x, @@x says @x; /who, /kick 2, bye";

/// The operator's two threads: one shows notices, the other reads what is typed.
pub(in crate::cli) struct Operator {
    screen: Printer,
    ended: Receiver<()>,
    _give_back: GiveBack,
}

impl Operator {
    /// Starts both. When the operator leaves, the server is asked to stop.
    pub(in crate::cli) fn start(
        room: &Arc<Room>,
        notices: Receiver<Notice>,
        signals: &Signals,
    ) -> Result<Self, Error> {
        let failed = |cause| Error::Thread { name: "hebra-screen".to_owned(), cause };
        let (lines, screen) = terminal::open("> ").map_err(failed)?;
        signals.before_cut(terminal::restore);
        let stop = signals.stop();
        let (is_empty, joined) = bounded(0);
        let (shown, answers) = (screen.clone(), screen.clone());
        let ended = spawn("hebra-screen", move || show(&notices, &shown, is_empty))?;
        // This thread may wait for input when everything else has ended, so it keeps nothing alive, and ends with the
        // process.
        let room = Arc::downgrade(room);
        // A script has to say something to be an operator; a person is there.
        let is_there = io::stdin().is_terminal();
        spawn("hebra-operator", move || {
            if listen(lines, is_there, &room, &answers, &joined) {
                stop.ask();
            }
        })?;
        Ok(Self { screen, ended, _give_back: GiveBack })
    }

    /// Waits until everything is shown. The room must be dropped.
    pub(in crate::cli) fn end(self) {
        // Nothing is sent: the wait ends with the thread, or with the time.
        let _ = self.ended.recv_timeout(LAST_WAIT);
        self.screen.close_in_time();
    }
}

/// Shows what happens until nothing can happen any more. `is_empty` is dropped when the first client joins.
fn show(notices: &Receiver<Notice>, screen: &Printer, is_empty: Sender<()>) {
    let mut is_empty = Some(is_empty);
    for notice in notices {
        if let Notice::Joined(_) = notice {
            is_empty = None;
        }
        print(screen, notice.rows(rows::columns()));
    }
    drop(is_empty);
}

/// Shows a line. If the screen is gone, the chat continues without it.
fn print(screen: &Printer, line: impl Display) {
    let _ = screen.print(&format!("{line}\n"));
}

/// Does what is typed until the operator leaves, by `bye` or at the end of the input. `is_there` is whether there is an
/// operator before anything is typed. Returns `false` if there never was an operator, or the room is gone.
fn listen(
    mut lines: LineReader,
    mut is_there: bool,
    room: &Weak<Room>,
    answers: &Printer,
    joined: &Receiver<()>,
) -> bool {
    loop {
        let line = lines.read();
        if !is_there {
            if !matches!(line, Ok(Some(_))) {
                let why = line.err().map_or("is empty".to_owned(), |error| format!("cannot be read: {error}"));
                print(answers, format_args!("* no operator: standard input {why}"));
                return false;
            }
            // What a script says is for the first client. Nothing is sent: the wait ends when the client has joined.
            let _ = joined.recv();
            is_there = true;
        }
        let Some(room) = room.upgrade() else { return false };
        let order = match &line {
            Ok(Some(line)) => Order::from(line.trim()),
            Ok(None) => Order::Leave,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Order::Leave,
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                print(answers, format_args!("* {NOT_TEXT}"));
                Order::Nothing
            }
            Err(error) => {
                print(answers, format_args!("* cannot read what is typed: {error}"));
                Order::Leave
            }
        };
        match order {
            Order::Nothing => {}
            Order::Say(text) if room.say(text) > 0 => {}
            Order::Say(_) => print(answers, "* nobody is here"),
            Order::SayTo(id, text) if room.say_to(id, text) => {}
            Order::Kick(id) if room.dismiss(id) => {}
            Order::SayTo(id, _) | Order::Kick(id) => print(answers, format_args!("* <{id}> is not here")),
            Order::Who => room.list().iter().for_each(|line| print(answers, line)),
            Order::Unknown => print(answers, HELP),
            Order::Leave => {
                room.say("bye");
                return true;
            }
        }
    }
}
