//! The operator of `hebra serve --service chat`: shows what happens in the room, and says what is typed.

use std::fmt::Display;
use std::io::{self, IsTerminal};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded};
use hebra::Error;

use super::room::{Notice, Room, WeakRoom};
use crate::cli::process::signals::Signals;
use crate::cli::process::threads::spawn;
use crate::cli::terminal::{self, GiveBack, LineReader, NOT_TEXT, Printer};

/// How long a screen that shows nothing any more is waited for: a terminal can be paused.
const LAST_WAIT: Duration = Duration::from_secs(1);

/// What the operator may type, for whoever typed something else.
const HELP: &str = "* TEXT says it to all, @2 TEXT to client 2; //x says /x, @@x says @x; /who, /kick 2, bye";

/// The operator's two threads: one shows, the other listens to what is typed.
pub(in crate::cli) struct Operator {
    screen: Printer,
    ended: Receiver<()>,
    _give_back: GiveBack,
}

impl Operator {
    /// Starts both. When the operator leaves, the server is asked to stop.
    pub(in crate::cli) fn start(room: Room, notices: Receiver<Notice>, signals: &Signals) -> Result<Self, Error> {
        let failed = |cause| Error::Thread { name: "hebra-screen".to_owned(), cause };
        let (lines, screen) = terminal::open("> ").map_err(failed)?;
        signals.before_cut(terminal::restore);
        let stop = signals.stop();
        let (nobody, somebody) = bounded(0);
        let (shown, answers) = (screen.clone(), screen.clone());
        let ended = spawn("hebra-screen", move || show(&notices, &shown, nobody))?;
        // It may wait for what is typed when everything else has ended, so it keeps nothing alive, and ends
        // with the process.
        let room = room.downgrade();
        spawn("hebra-operator", move || {
            listen(lines, &room, &answers, &somebody);
            stop.ask();
        })?;
        Ok(Self { screen, ended, _give_back: GiveBack })
    }

    /// Waits until everything is shown. The room is to be empty and dropped.
    pub(in crate::cli) fn end(self) {
        // Nobody sends: it ends with the thread, or the time.
        let _ = self.ended.recv_timeout(LAST_WAIT);
        self.screen.close_in_time();
    }
}

/// Shows what happens until nothing can happen any more. `nobody` is dropped when the first client comes.
fn show(notices: &Receiver<Notice>, screen: &Printer, nobody: Sender<()>) {
    let mut nobody = Some(nobody);
    for notice in notices {
        if let Notice::Joined(_) = notice {
            nobody = None;
        }
        print(screen, &notice);
    }
    drop(nobody);
}

/// Shows a line. If the screen is gone, the chat goes on without.
fn print(screen: &Printer, line: impl Display) {
    let _ = screen.print(&format!("{line}\n"));
}

/// Does what is typed until the operator leaves: by `bye`, or at the end of the input.
fn listen(mut lines: LineReader, room: &WeakRoom, answers: &Printer, somebody: &Receiver<()>) {
    if !io::stdin().is_terminal() {
        // What a script says is for whoever comes first.
        let _ = somebody.recv();
    }
    loop {
        let line = lines.read();
        let Some(room) = room.upgrade() else { return };
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
            Order::Who => {
                let members = room.members();
                print(answers, format_args!("* here: {}", members.len()));
                for member in members {
                    print(answers, format_args!("* <{}> {}", member.id, member.peer));
                }
            }
            Order::Unknown => print(answers, HELP),
            Order::Leave => {
                room.say("bye");
                return;
            }
        }
    }
}

/// What the operator wants.
#[derive(Debug, PartialEq, Eq)]
enum Order<'a> {
    Nothing,
    Say(&'a str),
    SayTo(u64, &'a str),
    Who,
    Kick(u64),
    Leave,
    Unknown,
}

impl<'a> From<&'a str> for Order<'a> {
    fn from(line: &'a str) -> Self {
        let id = |text: &str| text.parse().ok();
        if line.is_empty() {
            Self::Nothing
        } else if line == "bye" {
            Self::Leave
        } else if line == "/who" {
            Self::Who
        } else if line.starts_with("//") || line.starts_with("@@") {
            Self::Say(&line[1..])
        } else if let Some(addressed) = line.strip_prefix('@') {
            let (name, text) = addressed.split_once(char::is_whitespace).unwrap_or((addressed, ""));
            match (id(name), text.trim()) {
                (Some(id), text) if !text.is_empty() => Self::SayTo(id, text),
                _ => Self::Unknown,
            }
        } else if let Some(command) = line.strip_prefix('/') {
            let kicked = command.strip_prefix("kick").and_then(|name| id(name.trim()));
            kicked.map_or(Self::Unknown, Self::Kick)
        } else {
            Self::Say(line)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_typed_is_said_unless_it_is_an_order() {
        let cases = [
            ("", Order::Nothing),
            ("hello, all", Order::Say("hello, all")),
            ("goodbye", Order::Say("goodbye")),
            ("@2 hello", Order::SayTo(2, "hello")),
            ("@2   hello  there", Order::SayTo(2, "hello  there")),
            ("@2", Order::Unknown),
            ("@two hello", Order::Unknown),
            ("//who", Order::Say("/who")),
            ("///", Order::Say("//")),
            ("@@2 hello", Order::Say("@2 hello")),
            ("/@2", Order::Unknown),
            ("@/who", Order::Unknown),
            ("@2 //who", Order::SayTo(2, "//who")),
            ("/who", Order::Who),
            ("/kick 2", Order::Kick(2)),
            ("/kick", Order::Unknown),
            ("/kick two", Order::Unknown),
            ("/dance", Order::Unknown),
            ("bye", Order::Leave),
        ];
        for (line, order) in cases {
            assert_eq!(Order::from(line), order, "{line}");
        }
    }
}
