//! Which core this thread may use. Threads and processes that it starts inherit that.

use std::io;

use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;

/// This thread.
const SELF: Pid = Pid::from_raw(0);

/// The calling thread on one core. Dropping this value gives it back the cores that it had.
pub(crate) struct Pinned(CpuSet);

impl Pinned {
    pub(crate) fn to(core: usize) -> io::Result<Self> {
        let before = sched_getaffinity(SELF)?;
        let mut one = CpuSet::new();
        one.set(core)?;
        sched_setaffinity(SELF, &one)?;
        Ok(Self(before))
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        // It worked before, so the cores exist.
        let _ = sched_setaffinity(SELF, &self.0);
    }
}

/// Returns two cores that this thread may use, one for a client and one for a server, or `None` if it has only one.
pub(crate) fn two_cores() -> io::Result<Option<(usize, usize)>> {
    let usable = sched_getaffinity(SELF)?;
    let mut cores = (0..CpuSet::count()).filter(|core| usable.is_set(*core).unwrap_or(false));
    Ok(cores.next().zip(cores.next()))
}
