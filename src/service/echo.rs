//! The echo service.

use std::io::{self, Write};

use super::{Handler, Next};

/// Answers each message with itself, straight from the read buffer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Echo;

impl Handler for Echo {
    fn message(&mut self, message: &[u8], reply: &mut dyn Write) -> io::Result<Next> {
        reply.write_all(message)?;
        Ok(Next::Continue)
    }
}
