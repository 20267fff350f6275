//! The greeting service.

use std::io::{self, Write};
use std::sync::Arc;

use super::{Handler, Next};

/// Takes one message, answers it with a greeting and a line feed, and ends the session.
///
/// Clones share the greeting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Greet {
    /// The answer, line feed included.
    line: Arc<str>,
}

impl Greet {
    /// What is said if nothing else is wanted.
    pub const DEFAULT: &str = "Un saludo crack!";

    /// A service that says `greeting`.
    #[must_use]
    pub fn new(greeting: &str) -> Self {
        Self { line: format!("{greeting}\n").into() }
    }
}

impl Default for Greet {
    fn default() -> Self {
        Self::new(Self::DEFAULT)
    }
}

impl Handler for Greet {
    fn message(&mut self, _message: &[u8], reply: &mut dyn Write) -> io::Result<Next> {
        reply.write_all(self.line.as_bytes())?;
        Ok(Next::Close)
    }
}
