//! What the server costs under load, from `/proc`: processor time, memory, threads, descriptors,
//! context switches. Of the one process whose id is known; its children are not in it.

use std::fs;
use std::io;
use std::time::{Duration, Instant};

/// The kernel counts processor time in hundredths of a second, on every platform that Rust knows.
const TICKS_PER_SECOND: u64 = 100;

/// What the server used between two looks at it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ServerSide {
    /// Processor time.
    pub(crate) cpu: Duration,
    /// Between the looks.
    pub(crate) elapsed: Duration,
    /// Resident memory in bytes, the larger of the two.
    pub(crate) resident: u64,
    /// Threads, the larger number of the two.
    pub(crate) threads: u64,
    /// Open descriptors, the larger number of the two.
    pub(crate) descriptors: u64,
    /// A thread had to wait.
    pub(crate) voluntary_switches: u64,
    /// A thread was made to wait.
    pub(crate) involuntary_switches: u64,
}

/// One look.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Look {
    at: Instant,
    cpu: Duration,
    resident: u64,
    threads: u64,
    descriptors: u64,
    voluntary: u64,
    involuntary: u64,
}

impl Look {
    /// Looks at the process with this id.
    pub(crate) fn take(id: u32) -> io::Result<Self> {
        let process = format!("/proc/{id}");
        let descriptors = fs::read_dir(format!("{process}/fd"))?.count() as u64;
        let stat = fs::read_to_string(format!("{process}/stat"))?;
        // The name may hold anything; what follows its parenthesis begins with the third field.
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_ascii_whitespace().collect();
        let field = |number: usize| fields.get(number - 3).and_then(|text| text.parse::<u64>().ok()).unwrap_or(0);
        let mut look = Self {
            at: Instant::now(),
            cpu: Duration::from_millis((field(14) + field(15)) * 1000 / TICKS_PER_SECOND),
            resident: status(&process, "VmRSS:")? * 1024,
            threads: field(20),
            descriptors,
            voluntary: 0,
            involuntary: 0,
        };
        for thread in fs::read_dir(format!("{process}/task"))?.flatten() {
            let thread = thread.path();
            let thread = thread.to_string_lossy();
            // A thread that has just ended is not missed.
            look.voluntary += status(&thread, "voluntary_ctxt_switches:").unwrap_or(0);
            look.involuntary += status(&thread, "nonvoluntary_ctxt_switches:").unwrap_or(0);
        }
        Ok(look)
    }

    /// What was used since an earlier look.
    pub(crate) fn since(self, before: Self) -> ServerSide {
        ServerSide {
            cpu: self.cpu.saturating_sub(before.cpu),
            elapsed: self.at - before.at,
            resident: self.resident.max(before.resident),
            threads: self.threads.max(before.threads),
            descriptors: self.descriptors.max(before.descriptors),
            voluntary_switches: self.voluntary.saturating_sub(before.voluntary),
            involuntary_switches: self.involuntary.saturating_sub(before.involuntary),
        }
    }
}

/// The number in a line of a `status` file; 0 if it has none.
fn status(directory: &str, name: &str) -> io::Result<u64> {
    let text = fs::read_to_string(format!("{directory}/status"))?;
    let value = text.lines().find_map(|line| line.strip_prefix(name));
    Ok(value.and_then(|value| value.split_ascii_whitespace().next()?.parse().ok()).unwrap_or(0))
}
