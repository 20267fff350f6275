//! `--service whoami`: each line is answered with one line of JSON, which says which server answered and whom.

use std::io::{self, Write};

use hebra::protocol::without_end;
use hebra::{Datagram, Handler, Next, Session};

use super::arguments::Label;
use super::json::Text;
use super::pieces::Pieces;

/// What all answers of this server have in common.
#[derive(Debug)]
pub(super) struct Identity {
    /// The beginning of an answer.
    head: String,
    /// The field of the labels, with the comma behind it.
    labels: String,
}

impl Identity {
    pub(super) fn new(labels: &[Label]) -> Self {
        let host = nix::unistd::gethostname().unwrap_or_default();
        let (version, host) = (env!("CARGO_PKG_VERSION"), Text(host.as_encoded_bytes()));
        let field = |Label { key, value }: &Label| format!("{}:{}", Text(key.as_bytes()), Text(value.as_bytes()));
        let labels: Vec<String> = labels.iter().map(field).collect();
        Self {
            head: format!("{{\"service\":\"whoami\",\"version\":\"{version}\",\"host\":{host},"),
            labels: format!("\"labels\":{{{}}},", labels.join(",")),
        }
    }

    /// Appends an answer's fields up to `proxied_by`: who was asked, and by whom.
    fn write_parties(
        &self,
        out: &mut Vec<u8>,
        listener: &str,
        client: Option<u64>,
        peer: &str,
        proxied_by: Option<&str>,
    ) -> io::Result<()> {
        out.extend(self.head.as_bytes());
        write!(out, "\"listener\":{},\"client\":", Text(listener.as_bytes()))?;
        match client {
            Some(number) => write!(out, "{number}")?,
            None => out.extend(b"null"),
        }
        write!(out, ",\"peer\":{},\"proxied_by\":", Text(peer.as_bytes()))?;
        match proxied_by {
            Some(proxy) => write!(out, "{},", Text(proxy.as_bytes())),
            None => out.write_all(b"null,"),
        }
    }

    /// Writes the answer to a datagram. If it would be too long, it has no labels.
    pub(super) fn answer(&self, datagram: &Datagram<'_>, answer: &mut Vec<u8>) -> bool {
        let (listener, peer) = (format!("udp://{}", datagram.listener), datagram.peer.to_string());
        let mut write = |labels: &str| -> io::Result<bool> {
            answer.clear();
            self.write_parties(answer, &listener, None, &peer, None)?;
            answer.extend(labels.as_bytes());
            write_message(answer, datagram.payload)?;
            Ok(answer.len() <= datagram.longest_answer)
        };
        // One that is too long in both forms is left to the server, which counts it. Writing to memory cannot fail.
        write(&self.labels).is_ok_and(|fits| fits || write("").is_ok())
    }
}

/// Writes the field of the message, and the end.
fn write_message(out: &mut impl Write, line: &[u8]) -> io::Result<()> {
    writeln!(out, "\"message\":{}}}", Text(without_end(line)))
}

/// The service in one session.
#[derive(Debug)]
pub(super) struct Whoami {
    /// The answer up to the message, which is the same throughout a session.
    opening: Vec<u8>,
    piece: Vec<u8>,
}

impl Whoami {
    pub(super) fn new(identity: &Identity, session: &Session) -> Self {
        let client = session.client();
        let proxy = client.proxied_by.map(|proxy| proxy.to_string());
        let mut opening = Vec::new();
        // Writing to memory cannot fail.
        let _ = identity.write_parties(
            &mut opening,
            &session.listener().to_string(),
            Some(client.id),
            &client.peer.to_string(),
            proxy.as_deref(),
        );
        opening.extend(identity.labels.as_bytes());
        Self { opening, piece: Vec::new() }
    }
}

impl Handler for Whoami {
    fn message(&mut self, line: &[u8], reply: &mut dyn Write) -> io::Result<Next> {
        let mut pieces = Pieces::new(&mut self.piece, reply);
        pieces.write_all(&self.opening)?;
        write_message(&mut pieces, line)?;
        pieces.flush()?;
        Ok(Next::Continue)
    }
}
