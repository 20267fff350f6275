//! The chat service: a room with an operator and one client, or many.
//!
//! Each client has a session of its own, whose handler passes on what its client says. No thread waits for a client:
//! what is said is pushed to each client's outgoing queue, and sent to the operator over a channel.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded};
use hebra::rate::{Bucket, Rate};
use hebra::text::{Escaped, incomplete};
use hebra::{Client, ClientHandle, CloseReason, Handler, Next, Session};

/// Notices that may wait for the operator. With the longest texts they take 6 MiB.
const NOTICES: usize = 1024;

/// Bytes of a line that are passed on; the rest is cut off. Escaped they are at most six times as many.
const LONGEST_LINE: usize = 1024;

/// Bytes a second that one speaker may say for long.
const PACE: u64 = 1024 * 1024;

/// How much faster a speaker may be for a moment: what is said in this time may be said at once.
const BURST: Duration = Duration::from_millis(64);

/// Shorter waits add up before a speaker sleeps: a sleep takes longer than it is asked for.
const SHORTEST_WAIT: Duration = Duration::from_millis(5);

/// How many clients a [`Room`] holds, and whether they hear each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::cli) enum Seats {
    /// One, which talks with the operator. Others are turned away and told why.
    One,
    /// As many as the server serves. Each hears the others and the operator by name: `<2> hello`.
    Many,
}

/// The clients of a chat. Clones are the same room.
#[derive(Clone, Debug)]
pub(in crate::cli) struct Room {
    shared: Arc<Shared>,
}

/// A room that this does not keep open.
#[derive(Debug)]
pub(super) struct WeakRoom(Weak<Shared>);

#[derive(Debug)]
struct Shared {
    seats: Seats,
    members: Mutex<BTreeMap<u64, ClientHandle>>,
    notices: Sender<Notice>,
    /// Notices that did not fit and were not reported yet.
    missed: AtomicU64,
    /// The operator's.
    pace: Mutex<Pace>,
}

/// What the operator learns. [`Display`](fmt::Display) gives the line to show: `<2> hello` if client 2 said hello. All
/// other lines begin with an asterisk, so that nothing a client says looks like one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::cli) enum Notice {
    /// A client came in.
    Joined(Client),
    /// A client said something.
    Said {
        /// The client.
        client: Client,
        /// What it said, on one line, safe to print, and cut to a kilobyte.
        text: String,
    },
    /// A client left.
    Left {
        /// The client.
        client: Client,
        /// Why; `None` if its session panicked.
        reason: Option<CloseReason>,
    },
    /// A client was turned away: the operator talks with another.
    TurnedAway(Client),
    /// So many notices were lost, because the operator's screen did not take them in time.
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
    /// An empty room, and what happens in it. The notices end when the last clone of the room and its last client are
    /// gone.
    pub(in crate::cli) fn new(seats: Seats) -> (Self, Receiver<Notice>) {
        let (sender, notices) = bounded(NOTICES);
        let shared = Shared {
            seats,
            members: Mutex::default(),
            notices: sender,
            missed: AtomicU64::new(0),
            pace: Mutex::new(Pace::new()),
        };
        (Self { shared: Arc::new(shared) }, notices)
    }

    pub(super) fn downgrade(&self) -> WeakRoom {
        WeakRoom(Arc::downgrade(&self.shared))
    }

    /// Lets a client in. Returns the handler of its session.
    pub(in crate::cli) fn enter(&self, session: &Session) -> Member {
        let client = session.client();
        let mut members = self.shared.members();
        let is_seated = self.shared.seats == Seats::Many || members.is_empty();
        if is_seated {
            members.insert(client.id, session.handle());
        }
        // While the room is locked, so that the operator sees a client before hearing it.
        self.shared.notify(if is_seated { Notice::Joined(client) } else { Notice::TurnedAway(client) });
        drop(members);
        Member { client, room: Arc::clone(&self.shared), is_seated, pace: Pace::new(), reason: None }
    }

    /// Lets the operator say `text`, at most a kilobyte of it, to all clients. Returns how many they are.
    ///
    /// It never waits for a client. It sleeps if the operator says more than a mebibyte a second, so that clients that
    /// read can keep up; clients who say as much are slowed down in the same way.
    pub(super) fn say(&self, text: &str) -> usize {
        let line = self.line(text);
        let members = self.shared.members();
        members.values().filter(|handle| handle.push(&line).is_ok()).count()
    }

    /// Lets the operator say `text` to one client, in the same way. Returns whether it is there.
    pub(super) fn say_to(&self, id: u64, text: &str) -> bool {
        let line = self.line(text);
        self.shared.members().get(&id).is_some_and(|handle| handle.push(&line).is_ok())
    }

    /// Ends a client's session. Returns whether it is there.
    pub(super) fn dismiss(&self, id: u64) -> bool {
        self.shared.members().get(&id).map(ClientHandle::close).is_some()
    }

    /// Returns the clients in the order of arrival.
    pub(super) fn members(&self) -> Vec<Client> {
        self.shared.members().values().map(ClientHandle::client).collect()
    }

    fn line(&self, text: &str) -> Vec<u8> {
        let text = escape(text.as_bytes());
        let line = match self.shared.seats {
            Seats::One => format!("{text}\r\n"),
            Seats::Many => format!("<operator> {text}\r\n"),
        };
        self.shared.pace.lock().unwrap_or_else(PoisonError::into_inner).keep(line.len());
        line.into_bytes()
    }
}

impl WeakRoom {
    /// Returns the room, unless it is gone.
    pub(super) fn upgrade(&self) -> Option<Room> {
        self.0.upgrade().map(|shared| Room { shared })
    }
}

/// Returns what is passed on of a line.
fn escape(line: &[u8]) -> String {
    if line.len() <= LONGEST_LINE {
        return Escaped(line).to_string();
    }
    let kept = &line[..LONGEST_LINE];
    // A character that the cut goes through is left out.
    format!("{}...", Escaped(&kept[..kept.len() - incomplete(kept)]))
}

impl Shared {
    /// The lock is held for pushes, which never block, and never while anything can panic.
    fn members(&self) -> MutexGuard<'_, BTreeMap<u64, ClientHandle>> {
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends a notice to the operator, or counts it as missed.
    fn notify(&self, notice: Notice) {
        let missed = self.missed.swap(0, Relaxed);
        if missed > 0 && self.notices.try_send(Notice::Missed(missed)).is_err() {
            self.missed.fetch_add(missed + 1, Relaxed);
        } else if self.notices.try_send(notice).is_err() {
            self.missed.fetch_add(1, Relaxed);
        }
    }
}

/// How fast one speaker may speak to many. It delays only that speaker.
#[derive(Debug)]
struct Pace {
    rate: Rate,
    bucket: Bucket,
}

impl Pace {
    fn new() -> Self {
        let rate = Rate::new(PACE, BURST);
        Self { bucket: rate.full_bucket(Instant::now()), rate }
    }

    /// Lets the speaker say so many bytes, and sleeps for as long as that is too fast.
    fn keep(&mut self, bytes: usize) {
        let wait = self.rate.take(&mut self.bucket, bytes as u64, Instant::now());
        if wait >= SHORTEST_WAIT {
            thread::sleep(wait);
        }
    }
}

/// One client of a [`Room`]: the handler of its session.
#[derive(Debug)]
pub(in crate::cli) struct Member {
    client: Client,
    room: Arc<Shared>,
    /// Whether it was let in.
    is_seated: bool,
    pace: Pace,
    reason: Option<CloseReason>,
}

impl Member {
    fn say(&mut self, line: &[u8]) {
        let text = escape(line);
        if self.room.seats == Seats::Many {
            let line = format!("<{}> {text}\r\n", self.client.id);
            // A flood would disconnect clients that read as fast as they can. It slows down its own speaker.
            self.pace.keep(line.len());
            for (_, other) in self.room.members().iter().filter(|(id, _)| **id != self.client.id) {
                // A client that reads too slowly is disconnected by this, and no other client notices.
                let _ = other.push(line.as_bytes());
            }
        }
        self.room.notify(Notice::Said { client: self.client, text });
    }
}

impl Handler for Member {
    fn open(&mut self, reply: &mut dyn Write) -> io::Result<Next> {
        if self.is_seated {
            return Ok(Next::Continue);
        }
        reply.write_all(b"busy: the operator is talking to another client\r\n")?;
        Ok(Next::Close)
    }

    fn message(&mut self, message: &[u8], _reply: &mut dyn Write) -> io::Result<Next> {
        // A message may be several lines, or the beginning of one: clients that send no line feed are heard too.
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
        if self.is_seated {
            let mut members = self.room.members();
            members.remove(&self.client.id);
            self.room.notify(Notice::Left { client: self.client, reason: self.reason });
        }
    }
}
