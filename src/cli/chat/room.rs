//! The room of a chat: its clients, and what is said to them.
//!
//! Each client has a session of its own, whose handler passes on what the client says. No thread waits for a client:
//! what is said is pushed to each client's outgoing queue, and sent to the operator over a channel.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crossbeam_channel::{Receiver, Sender, bounded};
use hebra::text::{Escaped, incomplete};
use hebra::{Client, ClientHandle, ServerConfig, Session};

use super::member::Member;
use super::notice::Notice;
use super::pace::Pace;
use crate::cli::process::address_space;

/// Notices that may wait for the operator. With the longest texts they take 6 MiB.
const NOTICES: usize = 1024;

/// Bytes of a line that are passed on; the rest is cut off. Escaped they are at most six times as many.
const LONGEST_LINE: usize = 1024;

/// How many clients a [`Room`] holds, and whether they hear each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::cli) enum Seats {
    /// One, which talks with the operator. Others are turned away.
    One,
    /// As many as the server serves. Each hears the others and the operator by name: `<2> hello`.
    Many,
}

/// The clients of a chat, and the way to the operator.
#[derive(Debug)]
pub(in crate::cli) struct Room {
    pub(super) seats: Seats,
    pub(super) pace: Pace,
    /// The stack of the second thread of each session.
    stack_size: usize,
    members: Mutex<BTreeMap<u64, ClientHandle>>,
    notices: Sender<Notice>,
    /// Notices that did not fit and were not reported yet.
    missed: AtomicU64,
}

impl Room {
    /// An empty room, and the notices of what happens in it. They end when the room is dropped, which its clients and the
    /// server share.
    pub(in crate::cli) fn new(seats: Seats, config: &ServerConfig) -> (Arc<Self>, Receiver<Notice>) {
        let (sender, notices) = bounded(NOTICES);
        let room = Self {
            seats,
            pace: Pace::new(config.max_outgoing),
            stack_size: config.stack_size,
            members: Mutex::default(),
            notices: sender,
            missed: AtomicU64::new(0),
        };
        (Arc::new(room), notices)
    }

    /// Lets a client in, or turns it away. Returns the handler of its session.
    pub(in crate::cli) fn enter(self: &Arc<Self>, session: &Session) -> Member {
        let client = session.client();
        let mut members = self.members();
        let refusal = if self.seats == Seats::One && !members.is_empty() {
            Some("the operator is talking to another client")
        } else if !address_space::fits_thread(self.stack_size) {
            Some("the server has no memory for another client")
        } else {
            None
        };
        // While the room is locked, so that the operator sees a client before hearing it.
        match refusal {
            Some(why) => self.notify(Notice::TurnedAway { client, why }),
            None => {
                members.insert(client.id, session.handle());
                self.notify(Notice::Joined(client));
            }
        }
        drop(members);
        Member::new(client, Arc::clone(self), refusal)
    }

    /// Lets the operator say `text`, at most a kilobyte of it, to all clients. Returns how many they are.
    ///
    /// It never waits for a client. It sleeps if more is said in the room than its [`Pace`] allows.
    pub(super) fn say(&self, text: &str) -> usize {
        let line = self.operator_line(text);
        let members = self.members();
        members.values().filter(|handle| handle.push(&line).is_ok()).count()
    }

    /// Lets the operator say `text` to one client, in the same way. Returns whether the client is there.
    pub(super) fn say_to(&self, id: u64, text: &str) -> bool {
        let line = self.operator_line(text);
        self.members().get(&id).is_some_and(|handle| handle.push(&line).is_ok())
    }

    /// Ends a client's session. Returns whether the client is there.
    pub(super) fn dismiss(&self, id: u64) -> bool {
        self.members().get(&id).map(ClientHandle::close).is_some()
    }

    /// Returns who is here, a line for each, in the order of arrival. The first line is their number.
    pub(super) fn list(&self) -> Vec<String> {
        let members: Vec<Client> = self.members().values().map(ClientHandle::client).collect();
        let number = format!("* here: {}", members.len());
        let lines = members.iter().map(|member| format!("* <{}> {}", member.id, member.peer));
        [number].into_iter().chain(lines).collect()
    }

    /// The clients by number. The lock is held for pushes, which never block, and never while anything can panic.
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

    fn operator_line(&self, text: &str) -> Vec<u8> {
        let text = escape(text.as_bytes());
        let line = match self.seats {
            Seats::One => format!("{text}\r\n"),
            Seats::Many => format!("<operator> {text}\r\n"),
        };
        self.pace.keep(line.len());
        line.into_bytes()
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
