//! The chat service: an operator and one client, or a room full of them.
//!
//! Each client has a session of its own, whose handler passes on what its client says. Nobody waits for
//! anybody: what is said is pushed to each client's outgoing queue, and told to the operator by a channel.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crossbeam_channel::{Receiver, Sender, bounded};

use super::pace::Pace;
use super::{Handler, Next};
use crate::client::Client;
use crate::events::Printable;
use crate::{ClientHandle, CloseReason, Connection};

/// Notices that may wait for the operator. With the longest texts they take 6 MiB.
const NOTICES: usize = 1024;

/// Bytes of a line that are passed on; the rest is cut off. Escaped they are six times as many at most.
const LONGEST_LINE: usize = 1024;

/// How many clients a [`Room`] holds, and whether they hear each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seats {
    /// One, who talks with the operator. Others are turned away and told why.
    One,
    /// As many as the server serves. Each hears the others and the operator by name: `<2> hello`.
    Many,
}

/// Those who are in a chat. Clones are the same room.
///
/// ```no_run
/// use hebra::{Room, Seats, Server, ServerConfig};
///
/// let (room, notices) = Room::new(Seats::Many);
/// let entrance = room.clone();
/// let server = Server::bind(ServerConfig::default(), move |connection| entrance.enter(connection))?.start()?;
/// for notice in notices {
///     println!("{notice}");
/// }
/// # Ok::<(), hebra::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Room {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    seats: Seats,
    members: Mutex<BTreeMap<u64, ClientHandle>>,
    notices: Sender<Notice>,
    /// Notices that did not fit and were not told of yet.
    missed: AtomicU64,
    /// The operator's.
    pace: Mutex<Pace>,
}

/// What the operator learns. [`Display`](fmt::Display) gives the line to show: `<2> hello` if client 2 said hello, and
/// all other lines begin with an asterisk, so that nothing a client says looks like one.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Notice {
    /// A client came in.
    Joined(Client),
    /// A client said something.
    Said {
        /// Who.
        client: Client,
        /// What, on one line, safe to print, and cut to a kilobyte.
        text: String,
    },
    /// A client left.
    Left {
        /// Who.
        client: Client,
        /// Why; none if its session panicked.
        reason: Option<CloseReason>,
    },
    /// A client was turned away: the operator talks to another.
    TurnedAway(Client),
    /// So many notices were lost, because the operator did not take them up in time.
    Missed(u64),
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Joined(client) => write!(f, "* <{}> joined from {}", client.id, client.peer),
            Self::Said { client, text } => write!(f, "<{}> {text}", client.id),
            Self::Left { client, reason: Some(reason) } => write!(f, "* <{}> left: {reason}", client.id),
            Self::Left { client, reason: None } => write!(f, "* <{}> left", client.id),
            Self::TurnedAway(client) => write!(f, "* <{}> turned away: another client is talked to", client.id),
            Self::Missed(notices) => write!(f, "* lines not shown: {notices}"),
        }
    }
}

impl Room {
    /// An empty room, and what happens in it. The notices end when the last clone of the room and its last
    /// client are gone.
    #[must_use]
    pub fn new(seats: Seats) -> (Self, Receiver<Notice>) {
        let (notices, told) = bounded(NOTICES);
        let shared = Shared {
            seats,
            members: Mutex::default(),
            notices,
            missed: AtomicU64::new(0),
            pace: Mutex::new(Pace::new()),
        };
        (Self { shared: Arc::new(shared) }, told)
    }

    /// Lets a client in: the handler of its session.
    pub fn enter(&self, connection: &Connection<'_>) -> Member {
        let client = connection.client();
        let mut members = self.shared.members();
        let seated = self.shared.seats == Seats::Many || members.is_empty();
        if seated {
            members.insert(client.id, connection.handle());
        }
        // While the room is locked, so that nobody is heard before he was seen.
        self.shared.tell(if seated { Notice::Joined(client) } else { Notice::TurnedAway(client) });
        drop(members);
        Member { client, room: Arc::clone(&self.shared), seated, pace: Pace::new(), reason: None }
    }

    /// Lets the operator say `text` to everyone, a kilobyte of it at most; how many that are.
    ///
    /// Nobody waits for a client. Only who says more than a mebibyte a second waits here, so that clients that do
    /// read can keep up; so do clients who say as much.
    pub fn say(&self, text: &str) -> usize {
        let line = self.line(text);
        let members = self.shared.members();
        members.values().filter(|handle| handle.push(&line).is_ok()).count()
    }

    /// Lets the operator say `text` to one client, in the same way; whether it is there.
    pub fn say_to(&self, id: u64, text: &str) -> bool {
        let line = self.line(text);
        self.shared.members().get(&id).is_some_and(|handle| handle.push(&line).is_ok())
    }

    /// Ends a client's session; whether it is there.
    pub fn dismiss(&self, id: u64) -> bool {
        self.shared.members().get(&id).map(ClientHandle::close).is_some()
    }

    /// Who is there, in the order of arrival.
    #[must_use]
    pub fn members(&self) -> Vec<Client> {
        self.shared.members().values().map(ClientHandle::client).collect()
    }

    fn line(&self, text: &str) -> Vec<u8> {
        let text = printable(text.as_bytes());
        let line = match self.shared.seats {
            Seats::One => format!("{text}\r\n"),
            Seats::Many => format!("<operator> {text}\r\n"),
        };
        self.shared.pace.lock().unwrap_or_else(PoisonError::into_inner).keep(line.len());
        line.into_bytes()
    }
}

/// What can be passed on of a line.
fn printable(line: &[u8]) -> String {
    let mut end = line.len().min(LONGEST_LINE);
    if end == line.len() {
        return Printable(line).to_string();
    }
    // Not within a character, which has four bytes at most.
    while end + 4 > LONGEST_LINE && line[end] & 0b1100_0000 == 0b1000_0000 {
        end -= 1;
    }
    format!("{}...", Printable(&line[..end]))
}

impl Shared {
    /// The lock is held for pushes, which never wait, and never while anything can panic.
    fn members(&self) -> MutexGuard<'_, BTreeMap<u64, ClientHandle>> {
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells the operator, or counts what it misses.
    fn tell(&self, notice: Notice) {
        let missed = self.missed.swap(0, Relaxed);
        if missed > 0 && self.notices.try_send(Notice::Missed(missed)).is_err() {
            self.missed.fetch_add(missed + 1, Relaxed);
        } else if self.notices.try_send(notice).is_err() {
            self.missed.fetch_add(1, Relaxed);
        }
    }
}

/// One client of a [`Room`]: its session's handler.
#[derive(Debug)]
pub struct Member {
    client: Client,
    room: Arc<Shared>,
    /// Whether it was let in.
    seated: bool,
    pace: Pace,
    reason: Option<CloseReason>,
}

impl Member {
    fn say(&mut self, line: &[u8]) {
        let text = printable(line);
        if self.room.seats == Seats::Many {
            let line = format!("<{}> {text}\r\n", self.client.id);
            // A flood would drop those who read as fast as they can. It holds up its own speaker.
            self.pace.keep(line.len());
            for (_, other) in self.room.members().iter().filter(|(id, _)| **id != self.client.id) {
                // Whoever reads too slowly is dropped by that, and nobody else is the worse for it.
                let _ = other.push(line.as_bytes());
            }
        }
        self.room.tell(Notice::Said { client: self.client, text });
    }
}

impl Handler for Member {
    fn open(&mut self, reply: &mut dyn Write) -> io::Result<Next> {
        if self.seated {
            return Ok(Next::Continue);
        }
        reply.write_all(b"busy: the operator is talking to another client\r\n")?;
        Ok(Next::Close)
    }

    fn message(&mut self, message: &[u8], _reply: &mut dyn Write) -> io::Result<Next> {
        // A message may be several lines, or none that has ended: clients that send no line feed are heard too.
        for line in message.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii).filter(|line| !line.is_empty()) {
            self.say(line);
        }
        Ok(Next::Continue)
    }

    fn closed(&mut self, reason: CloseReason) {
        self.reason = Some(reason);
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        if self.seated {
            let mut members = self.room.members();
            members.remove(&self.client.id);
            self.room.tell(Notice::Left { client: self.client, reason: self.reason });
        }
    }
}
