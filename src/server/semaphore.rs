//! A counting semaphore whose sleepers are in nobody's way.
//!
//! It is a pipe, a byte of which is a permit. Those who sleep on locks and condition variables share a few queues
//! of their process in the kernel (16 on two cores since Linux 6.16), where every wake-up searches for its own:
//! thousands of idle workers would slow down each lock of the server. Those who read a pipe wait in a queue of that
//! pipe, and a byte wakes one of them (Linux 5.6 and later; elsewhere it may wake all, of whom all but one sleep again).

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

    /// Gives `count` permits. Waits only while tens of thousands that were given have not been taken.
    pub(crate) fn post(&self, count: usize) {
        // One does not allocate. It cannot fail while the other end is here.
        let _: io::Result<()> = match count {
            1 => (&self.given).write_all(&[0]),
            _ => (&self.given).write_all(&vec![0; count]),
        };
    }

    /// Sleeps until there is a permit, and takes it.
    pub(crate) fn wait(&self) {
        // The other end is here, so a signal is the only error there can be.
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
