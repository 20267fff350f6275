//! Limits of the system that the configuration can exceed. They are reported at the start, before a client meets them.
//!
//! They are read from `/proc`. Where there is none, nothing is reported.

use std::fs;

use crate::config::ServerConfig;
use crate::events::Event;

/// Returns a warning for each limit that is lower than what the configuration can need.
pub(crate) fn warnings(config: &ServerConfig) -> Vec<Event> {
    let mut warnings = Vec::new();
    let mut check = |what, needs: u64, limit: Option<u64>, name| {
        if let Some(limit) = limit.filter(|limit| *limit < needs) {
            warnings.push(Event::LimitTooLow { what, needs, limit, name });
        }
    };
    check("workers and max-pending", config.descriptors(), open_files(), "open descriptors, ulimit -n");
    check("backlog", config.backlog.into(), number("/proc/sys/net/core/somaxconn"), "net.core.somaxconn");
    warnings
}

/// Returns how many memory mappings a process may have.
pub(crate) fn max_mappings() -> Option<u64> {
    number("/proc/sys/vm/max_map_count")
}

/// Memory mappings of one thread on Linux: its stack, its signal stack, and a guard page for each.
pub(crate) const MAPPINGS_PER_THREAD: u64 = 4;

/// Mappings left for everything else: the program, its libraries, its heaps.
const OTHER_MAPPINGS: u64 = 1024;

/// Returns how many threads for sessions the process may have.
pub(crate) fn max_threads() -> Option<u64> {
    max_mappings().map(|limit| limit.saturating_sub(OTHER_MAPPINGS) / MAPPINGS_PER_THREAD)
}

/// Returns how many descriptors this process may have.
fn open_files() -> Option<u64> {
    let limits = fs::read_to_string("/proc/self/limits").ok()?;
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

fn number(path: &str) -> Option<u64> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_limit_that_is_too_low_is_reported() {
        if !fs::exists("/proc/self/limits").is_ok_and(|exists| exists) {
            return;
        }
        let config = ServerConfig::default().workers(1 << 40).backlog(1 << 30);
        let warnings: Vec<String> = warnings(&config).iter().map(ToString::to_string).collect();
        assert_eq!(warnings.len(), 2, "{warnings:?}");
        assert!(warnings[0].starts_with("workers and max-pending can need 1099511628192, "), "{warnings:?}");
        assert!(warnings[1].contains("net.core.somaxconn"), "{warnings:?}");
    }
}
