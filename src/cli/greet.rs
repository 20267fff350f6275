//! The greeting service of `hebra serve --service greet`.

use std::io::{self, Write};
use std::sync::Arc;

use hebra::{Handler, Next};

/// Takes one message, answers it with a greeting and a line feed, and ends the session. Clones share the greeting.
#[derive(Clone, Debug)]
pub(super) struct Greet {
    /// The answer, including its line feed.
    line: Arc<str>,
}

impl Greet {
    pub(super) fn new(greeting: &str) -> Self {
        Self { line: format!("{greeting}\n").into() }
    }
}

impl Handler for Greet {
    fn message(&mut self, _message: &[u8], reply: &mut dyn Write) -> io::Result<Next> {
        reply.write_all(self.line.as_bytes())?;
        Ok(Next::Close)
    }
}
