//! A limited number of slots, each of which is given back when its holder is done.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// The slots that are free.
#[derive(Debug)]
pub(crate) struct Slots {
    free: AtomicU64,
}

/// A slot that is taken, given back on drop.
#[derive(Debug)]
pub(crate) struct Slot<'a>(&'a Slots);

impl Slots {
    pub(crate) fn new(slots: u64) -> Self {
        Self { free: AtomicU64::new(slots) }
    }

    /// Takes a slot if any is free.
    pub(crate) fn take(&self) -> Option<Slot<'_>> {
        let taken = self.free.fetch_update(Relaxed, Relaxed, |free| free.checked_sub(1));
        taken.is_ok().then(|| Slot(self))
    }

    #[cfg(test)]
    pub(crate) fn free(&self) -> u64 {
        self.free.load(Relaxed)
    }
}

impl Drop for Slot<'_> {
    fn drop(&mut self) {
        self.0.free.fetch_add(1, Relaxed);
    }
}
