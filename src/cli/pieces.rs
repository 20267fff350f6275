//! Answers that are written in pieces.

use std::io::{self, Write};

/// The longest piece in bytes. A session must not keep much memory.
pub(super) const LONGEST: usize = 8 * 1024;

/// Gathers an answer, so that a short one is one write, and a long one takes little memory. It ends with a flush.
pub(super) struct Pieces<'a> {
    piece: &'a mut Vec<u8>,
    reply: &'a mut dyn Write,
}

impl<'a> Pieces<'a> {
    /// Pieces of an answer to `reply`, gathered in `piece`, which is empty.
    pub(super) fn new(piece: &'a mut Vec<u8>, reply: &'a mut dyn Write) -> Self {
        Self { piece, reply }
    }
}

impl Write for Pieces<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.piece.len() + bytes.len() > LONGEST {
            self.flush()?;
        }
        if bytes.len() > LONGEST {
            self.reply.write_all(bytes)?;
        } else {
            self.piece.extend_from_slice(bytes);
        }
        Ok(bytes.len())
    }

    /// Hands on what is gathered. The reply itself is not flushed, because the session does that.
    fn flush(&mut self) -> io::Result<()> {
        self.reply.write_all(self.piece)?;
        self.piece.clear();
        Ok(())
    }
}
