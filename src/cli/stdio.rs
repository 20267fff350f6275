//! The standard streams of a process that shares them with others.
//!
//! `O_NONBLOCK` belongs to the open file and not to a process (fcntl(2)), so whatever shares a pipe or a terminal can set
//! it at any time. Then a read that has nothing to return and a write that finds no room fail with `EAGAIN`, which std
//! reports as an error. All commands read and write the standard streams through this file, which waits instead.

use std::io::{self, Read, StderrLock, Stdin, StdoutLock, Write};
use std::os::fd::{AsFd, BorrowedFd};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd;

/// Standard input, without a buffer.
pub(super) fn input() -> Waiting<Stdin> {
    Waiting(io::stdin())
}

/// Standard output, locked and without a buffer.
pub(super) fn output() -> Waiting<StdoutLock<'static>> {
    Waiting(io::stdout().lock())
}

/// Standard error, locked and without a buffer.
pub(super) fn error() -> Waiting<StderrLock<'static>> {
    Waiting(io::stderr().lock())
}

/// A descriptor whose reads and writes wait until they can be done, whether it blocks or not.
#[derive(Debug)]
pub(super) struct Waiting<F>(F);

impl<F: AsFd> Waiting<F> {
    /// Blocks until there is room for a write.
    pub(super) fn wait_for_room(&self) -> io::Result<()> {
        wait(self.0.as_fd(), PollFlags::POLLOUT)
    }
}

impl<F: AsFd> Read for Waiting<F> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        when_ready(&self.0, PollFlags::POLLIN, |file| unistd::read(file, buffer))
    }
}

impl<F: AsFd> Write for Waiting<F> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        when_ready(&self.0, PollFlags::POLLOUT, |file| unistd::write(file, bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Repeats a call until it neither finds the descriptor busy nor is interrupted by a signal.
fn when_ready(
    file: &impl AsFd,
    ready: PollFlags,
    mut call: impl FnMut(BorrowedFd<'_>) -> nix::Result<usize>,
) -> io::Result<usize> {
    let file = file.as_fd();
    loop {
        match call(file) {
            Err(Errno::EAGAIN) => wait(file, ready)?,
            Err(Errno::EINTR) => {}
            result => return Ok(result?),
        }
    }
}

fn wait(file: BorrowedFd<'_>, ready: PollFlags) -> io::Result<()> {
    match poll(&mut [PollFd::new(file, ready)], PollTimeout::NONE) {
        Ok(_) | Err(Errno::EINTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;
    use std::thread;

    use super::*;

    #[test]
    fn a_descriptor_that_does_not_block_loses_nothing_and_ends_at_its_end() {
        let (reader, writer) = UnixStream::pair().expect("a pair of sockets");
        for end in [&reader, &writer] {
            end.set_nonblocking(true).expect("a socket");
        }
        // More than fits the kernel's buffers.
        let sent: Vec<u8> = (0..4 << 20).map(|place: u32| (place % 251) as u8).collect();
        let mut received = Vec::new();
        thread::scope(|scope| {
            scope.spawn(|| Waiting(writer).write_all(&sent).expect("it is read"));
            Waiting(&reader).read_to_end(&mut received).expect("a socket");
        });
        assert!(received == sent);
    }
}
