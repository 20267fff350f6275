//! One client of a room: the handler of its session.

use std::io::{self, Write};
use std::mem;
use std::sync::Arc;

use hebra::text::incomplete;
use hebra::{Client, CloseReason, Handler, Next};

use super::notice::Notice;
use super::order::Said;
use super::room::{Room, Seats, escape};

/// The answer to a command that only the operator has.
const HINT: &str = "* only the operator has commands; /who lists the room, //x says /x, and @@2 x says @2 x\r\n";

/// One client of a [`Room`].
#[derive(Debug)]
pub(in crate::cli) struct Member {
    client: Client,
    room: Arc<Room>,
    /// Why the client is turned away; `None` if it was let in.
    refusal: Option<&'static str>,
    /// The beginning of a character whose end is in the next message.
    begun: Vec<u8>,
    reason: Option<CloseReason>,
}

impl Member {
    pub(super) fn new(client: Client, room: Arc<Room>, refusal: Option<&'static str>) -> Self {
        Self { client, room, refusal, begun: Vec::new(), reason: None }
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
        let Some(why) = self.refusal else { return Ok(Next::Continue) };
        reply.write_all(format!("busy: {why}\r\n").as_bytes())?;
        Ok(Next::Close)
    }

    fn message(&mut self, message: &[u8], reply: &mut dyn Write) -> io::Result<Next> {
        let mut bytes = mem::take(&mut self.begun);
        bytes.extend_from_slice(message);
        self.begun = bytes.split_off(bytes.len() - incomplete(&bytes));
        // A message may be several lines, or the beginning of one, because some clients send no line feed. Telnet
        // ends lines with CR NUL, and C programs pad them with NUL.
        let lines = bytes.split(|byte| [b'\n', 0].contains(byte)).map(<[u8]>::trim_ascii);
        for line in lines.filter(|line| !line.is_empty()) {
            match Said::from(line) {
                Said::Text(line) => self.say(line),
                Said::Who => reply.write_all((self.room.list().join("\r\n") + "\r\n").as_bytes())?,
                Said::Command => reply.write_all(HINT.as_bytes())?,
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
        if self.refusal.is_none() {
            let mut members = self.room.members();
            members.remove(&self.client.id);
            self.room.notify(Notice::Left { client: self.client, reason: self.reason });
        }
    }
}
