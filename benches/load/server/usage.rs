//! What a server uses under load, from `/proc`: processor time, memory, threads, descriptors and context switches.
//!
//! The numbers are those of one process. Its children are not included.

use std::fs;
use std::io;
use std::time::{Duration, Instant};

/// `/proc/PID/stat` counts processor time in these units on every platform that Rust supports (`USER_HZ`).
const TICKS_PER_SECOND: u64 = 100;

/// What the server used between two snapshots.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ServerSide {
    /// Processor time.
    pub(crate) cpu: Duration,
    /// Time between the snapshots.
    pub(crate) elapsed: Duration,
    /// Resident memory in bytes, the larger value of the two.
    pub(crate) resident: u64,
    /// Threads, the larger value of the two.
    pub(crate) threads: u64,
    /// Open descriptors, the larger value of the two.
    pub(crate) descriptors: u64,
    /// Context switches because a thread blocked.
    pub(crate) voluntary_switches: u64,
    /// Context switches because a thread was preempted.
    pub(crate) involuntary_switches: u64,
}

/// The counters of a process at one moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Snapshot {
    at: Instant,
    cpu: Duration,
    resident: u64,
    threads: u64,
    descriptors: u64,
    voluntary: u64,
    involuntary: u64,
}

impl Snapshot {
    /// Reads the counters of the process with this id.
    pub(crate) fn take(id: u32) -> io::Result<Self> {
        let process = format!("/proc/{id}");
        let descriptors = fs::read_dir(format!("{process}/fd"))?.count() as u64;
        let (cpu, threads) = stat(&process)?;
        let mut snapshot = Self {
            at: Instant::now(),
            cpu,
            resident: status(&process, "VmRSS:")? * 1024,
            threads,
            descriptors,
            voluntary: 0,
            involuntary: 0,
        };
        for thread in fs::read_dir(format!("{process}/task"))?.flatten() {
            let thread = thread.path();
            let thread = thread.to_string_lossy();
            // A thread may end while its directory is read.
            snapshot.voluntary += status(&thread, "voluntary_ctxt_switches:").unwrap_or(0);
            snapshot.involuntary += status(&thread, "nonvoluntary_ctxt_switches:").unwrap_or(0);
        }
        Ok(snapshot)
    }

    /// Returns what was used since an earlier snapshot.
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

/// Reads a process again and again while it is under load, at a small part of the cost of a [`Snapshot`].
#[derive(Debug)]
pub(crate) struct Meter {
    id: u32,
    /// When it was read last, and the processor time that it had used by then.
    before: Option<(Instant, Duration)>,
}

/// What a process used between two readings.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reading {
    /// Processor time divided by the time between the readings: 1 is a whole core.
    pub(crate) cores: f64,
    /// Resident memory in bytes.
    pub(crate) resident: u64,
}

impl Meter {
    /// Begins with the process with this id.
    pub(crate) fn new(id: u32) -> Self {
        let mut meter = Self { id, before: None };
        meter.read();
        meter
    }

    /// Returns what was used since the last reading, or `None` if the process is gone.
    pub(crate) fn read(&mut self) -> Option<Reading> {
        let process = format!("/proc/{}", self.id);
        let (now, (cpu, _)) = (Instant::now(), stat(&process).ok()?);
        let resident = status(&process, "VmRSS:").ok()? * 1024;
        let (at, used) = self.before.replace((now, cpu))?;
        let elapsed = (now - at).as_secs_f64().max(1e-9);
        Some(Reading { cores: cpu.saturating_sub(used).as_secs_f64() / elapsed, resident })
    }
}

/// Returns the processor time that a process has used so far, and the number of its threads.
fn stat(process: &str) -> io::Result<(Duration, u64)> {
    let stat = fs::read_to_string(format!("{process}/stat"))?;
    // The second field is the name in parentheses and may contain spaces. After it begins the third field.
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_ascii_whitespace().collect();
    let field = |number: usize| fields.get(number - 3).and_then(|text| text.parse::<u64>().ok()).unwrap_or(0);
    Ok((Duration::from_millis((field(14) + field(15)) * 1000 / TICKS_PER_SECOND), field(20)))
}

/// Returns the number in a line of a `status` file, or 0 if there is no such line.
fn status(directory: &str, name: &str) -> io::Result<u64> {
    let text = fs::read_to_string(format!("{directory}/status"))?;
    let value = text.lines().find_map(|line| line.strip_prefix(name));
    Ok(value.and_then(|value| value.split_ascii_whitespace().next()?.parse().ok()).unwrap_or(0))
}
