//! One client of a room: the handler of its session.

use std::io::{self, Write};
use std::mem;
use std::sync::Arc;

use hebra::text::incomplete;
use hebra::{Client, CloseReason, Handler, Next};

use super::notice::Notice;
use super::order::said;
use super::room::{Seats, Shared, escape};

/// One client of a [`Room`](super::Room).
#[derive(Debug)]
pub(in crate::cli) struct Member {
    client: Client,
    room: Arc<Shared>,
    /// Whether it was let in.
    is_seated: bool,
    /// The beginning of a character whose end is in the next message.
    begun: Vec<u8>,
    reason: Option<CloseReason>,
}

impl Member {
    pub(super) fn new(client: Client, room: Arc<Shared>, is_seated: bool) -> Self {
        Self { client, room, is_seated, begun: Vec::new(), reason: None }
    }

    /// Passes on what the client says.
    fn say(&self, line: &[u8]) {
        let text = escape(line);
        if self.room.seats == Seats::Many {
            let line = format!("<{}> {text}\r\n", self.client.id);
            self.room.pace.keep(line.len());
            for (_, other) in self.room.members().iter().filter(|(id, _)| **id != self.client.id) {
                // A client that does not read is disconnected by this, and no other client notices.
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

    fn message(&mut self, message: &[u8], reply: &mut dyn Write) -> io::Result<Next> {
        let mut bytes = mem::take(&mut self.begun);
        bytes.extend_from_slice(message);
        self.begun = bytes.split_off(bytes.len() - incomplete(&bytes));
        // A message may be several lines, or the beginning of one, because some clients send no line feed.
        for line in bytes.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii).filter(|line| !line.is_empty()) {
            match said(line) {
                Some(line) => self.say(line),
                None => reply.write_all(
                    b"* only the operator has commands; //TEXT says /TEXT, and @@2 TEXT says @2 TEXT\r\n",
                )?,
            }
        }
        Ok(Next::Continue)
    }

    fn closed(&mut self, reason: CloseReason) {
        self.reason = Some(reason);
        let begun = mem::take(&mut self.begun);
        if !begun.is_empty() {
            self.say(&begun);
        }
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
