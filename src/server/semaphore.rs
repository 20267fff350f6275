//! A counting semaphore whose sleepers slow down no other lock.
//!
//! It is a pipe, and a byte in it is a permit. Threads that sleep on locks and condition variables share a few queues of
//! their process in the kernel (16 on two cores since Linux 6.16), which every wake-up searches: thousands of idle
//! workers would slow down each lock of the server. Threads that read a pipe wait in a queue of that pipe, and a byte
//! wakes one of them (Linux 5.6 and later; elsewhere it may wake all, and all but one sleep again).

use std::io::{self, PipeReader, PipeWriter, Read, Write};

#[derive(Debug)]
pub(crate) struct Semaphore {
    permits: PipeReader,
    given: PipeWriter,
}

impl Semaphore {
    /// A semaphore without permits. It takes two descriptors.
    pub(crate) fn new() -> io::Result<Self> {
        let (permits, given) = io::pipe()?;
        Ok(Self { permits, given })
    }

    /// Adds `count` permits. Blocks only while tens of thousands of permits wait to be taken.
    pub(crate) fn post(&self, count: usize) {
        // One permit does not allocate. It cannot fail while the other end is open.
        let _: io::Result<()> = match count {
            1 => (&self.given).write_all(&[0]),
            _ => (&self.given).write_all(&vec![0; count]),
        };
    }

    /// Blocks until there is a permit, and takes it.
    pub(crate) fn wait(&self) {
        // The other end is open, so a signal is the only possible error.
        while (&self.permits).read(&mut [0]).is_err() {}
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
    use std::thread;

    use super::*;

    #[test]
    fn each_permit_lets_one_go_on_whether_it_came_before_or_after() {
        let semaphore = Semaphore::new().expect("two descriptors are free");
        let passed = AtomicUsize::new(0);
        semaphore.post(2);
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    semaphore.wait();
                    passed.fetch_add(1, SeqCst);
                });
            }
            while passed.load(SeqCst) < 2 {
                thread::yield_now();
            }
            semaphore.post(1);
            while passed.load(SeqCst) < 3 {
                thread::yield_now();
            }
            semaphore.post(1);
        });
        assert_eq!(passed.load(SeqCst), 4);
    }
}
