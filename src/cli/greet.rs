//! The greeting service of `hebra serve --service greet`.

use std::io::{self, Write};
use std::sync::Arc;

use hebra::protocol::{Decoded, Decoder};
use hebra::{Framing, Handler, Next};

/// Takes one message, answers it with a greeting and a line feed, and ends the session.
#[derive(Debug)]
pub(super) struct Greet {
    greeting: Arc<str>,
    /// Takes telnet commands out, so that they are not greeted. The server does not do it, because it would end a session
    /// whose first message is `bye`.
    decoder: Decoder,
}

impl Greet {
    pub(super) fn new(greeting: &Arc<str>) -> Self {
        Self { greeting: Arc::clone(greeting), decoder: Decoder::new(Framing::Text, 0) }
    }
}

impl Handler for Greet {
    fn message(&mut self, mut read: &[u8], reply: &mut dyn Write) -> io::Result<Next> {
        while let Some(decoded) = self.decoder.next(&mut read) {
            if let Decoded::Reply(answer) = decoded {
                reply.write_all(answer)?;
                continue;
            }
            reply.write_all(format!("{}\n", self.greeting).as_bytes())?;
            return Ok(Next::Close);
        }
        Ok(Next::Continue)
    }
}
