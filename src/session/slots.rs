//! A number of places, each of which is given back when its holder is done.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// So many places.
#[derive(Debug)]
pub(crate) struct Places {
    free: AtomicU64,
}

/// One of them, given back on drop.
#[derive(Debug)]
pub(crate) struct Place<'a>(&'a Places);

impl Places {
    pub(crate) fn new(places: u64) -> Self {
        Self { free: AtomicU64::new(places) }
    }

    /// One, if any is free.
    pub(crate) fn take(&self) -> Option<Place<'_>> {
        let taken = self.free.fetch_update(Relaxed, Relaxed, |free| free.checked_sub(1));
        taken.is_ok().then(|| Place(self))
    }

    #[cfg(test)]
    pub(crate) fn free(&self) -> u64 {
        self.free.load(Relaxed)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.free.fetch_add(1, Relaxed);
    }
}
