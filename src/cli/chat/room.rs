//! The room of a chat: its clients, and what is said to them.
//!
//! Each client has a session of its own, whose handler passes on what the client says. No thread waits for a client:
//! what is said is pushed to each client's outgoing queue, and sent to the operator over a channel.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use crossbeam_channel::{Receiver, Sender, bounded};
use hebra::text::{Escaped, incomplete};
use hebra::{Client, ClientHandle, Session};

use super::member::Member;
use super::notice::Notice;
use super::pace::Pace;

/// Notices that may wait for the operator. With the longest texts they take 6 MiB.
const NOTICES: usize = 1024;

/// Bytes of a line that are passed on; the rest is cut off. Escaped they are at most six times as many.
const LONGEST_LINE: usize = 1024;

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

/// A reference to a room that does not keep it open.
#[derive(Debug)]
pub(super) struct WeakRoom(Weak<Shared>);

/// What the members and the operator share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) seats: Seats,
    pub(super) pace: Pace,
    members: Mutex<BTreeMap<u64, ClientHandle>>,
    notices: Sender<Notice>,
    /// Notices that did not fit and were not reported yet.
    missed: AtomicU64,
}

impl Room {
    /// An empty room, and the notices of what happens in it. They end when the last clone of the room and its last client
    /// are gone. `max_outgoing` is how many bytes may wait for a client.
    pub(in crate::cli) fn new(seats: Seats, max_outgoing: usize) -> (Self, Receiver<Notice>) {
        let (sender, notices) = bounded(NOTICES);
        let shared = Shared {
            seats,
            pace: Pace::new(max_outgoing),
            members: Mutex::default(),
            notices: sender,
            missed: AtomicU64::new(0),
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
        Member::new(client, Arc::clone(&self.shared), is_seated)
    }

    /// Lets the operator say `text`, at most a kilobyte of it, to all clients. Returns how many they are.
    ///
    /// It never waits for a client. It sleeps while the room is said too much ([`Pace`]).
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
        self.shared.pace.keep(line.len());
        line.into_bytes()
    }
}

impl WeakRoom {
    /// Returns the room, unless it is gone.
    pub(super) fn upgrade(&self) -> Option<Room> {
        self.0.upgrade().map(|shared| Room { shared })
    }
}

impl Shared {
    /// The lock is held for pushes, which never block, and never while anything can panic.
    pub(super) fn members(&self) -> MutexGuard<'_, BTreeMap<u64, ClientHandle>> {
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends a notice to the operator, or counts it as missed.
    pub(super) fn notify(&self, notice: Notice) {
        let missed = self.missed.swap(0, Relaxed);
        if missed > 0 && self.notices.try_send(Notice::Missed(missed)).is_err() {
            self.missed.fetch_add(missed + 1, Relaxed);
        } else if self.notices.try_send(notice).is_err() {
            self.missed.fetch_add(1, Relaxed);
        }
    }
}

/// Returns what is passed on of a line.
pub(super) fn escape(line: &[u8]) -> String {
    if line.len() <= LONGEST_LINE {
        return Escaped(line).to_string();
    }
    let kept = &line[..LONGEST_LINE];
    // A character that the cut goes through is left out.
    format!("{}...", Escaped(&kept[..kept.len() - incomplete(kept)]))
}
