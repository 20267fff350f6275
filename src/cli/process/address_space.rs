//! The limit of address space (`ulimit -v`).
//!
//! Rust aborts the process when an allocation fails or a thread cannot map its signal stack. Therefore a server starts
//! only if the limit leaves what its clients can make it allocate, and a chat turns a client away if one more thread
//! might not fit.

use std::os::unix::process::CommandExt;
use std::process::Command;
use std::{env, fs, io};

use bytesize::ByteSize;
use hebra::{Error, Framing, ServerConfig};
use rlimit::{INFINITY, Resource};

/// What a thread takes beside its stack: its signal stack, two guard pages, and what rounding adds.
const THREAD: u64 = 64 * 1024;

/// The read buffer of a session, and twice as much again for its messages and replies.
const BUFFERS: u64 = 3 * 256 * 1024;

/// What a server takes beside its sessions: about ten threads with stacks of 2 MiB, and what waits for the log and the
/// operator.
const SERVER: u64 = 48 * 1024 * 1024;

/// What the admin server takes: 64 small threads and a few larger ones, and its answers.
const ADMIN: u64 = 64 * 1024 * 1024;

/// What a session takes in the answers of the admin server: 256 bytes in each of 64, which are copied once.
const ADMIN_SESSION: u64 = 64 * 2 * 256;

/// What must be left when a thread has started, because other threads allocate meanwhile.
const RESERVE: u64 = 8 * 1024 * 1024;

/// Checks that the limit leaves room for all sessions of a server, and for an admin server beside it if there is one.
///
/// # Errors
///
/// [`Error::Workers`] with the limit.
pub(in crate::cli) fn check_server(config: &ServerConfig, is_chat: bool, has_admin: bool) -> Result<(), Error> {
    // A session that is pushed to has a second thread, and a queue beside the one that is being sent.
    let (threads, queues) = if is_chat { (2, 2 * config.max_outgoing) } else { (1, 0) };
    // A line is gathered in memory that doubles, and so is its reply.
    let lines = if config.framing == Framing::Line { 4 * config.max_line } else { 0 };
    let session = threads * (config.stack_size as u64 + THREAD) + BUFFERS + lines as u64 + queues as u64;
    let (admin, admin_session) = if has_admin { (ADMIN, ADMIN_SESSION) } else { (0, 0) };
    let sessions = (session + admin_session).saturating_mul(config.workers as u64);
    check((SERVER + admin).saturating_add(sessions))
        .map_err(|cause| Error::Workers { workers: config.workers, cause })
}

/// Checks that the limit leaves room for a UDP server.
///
/// # Errors
///
/// [`Error::Thread`] with the limit.
pub(in crate::cli) fn check_udp() -> Result<(), Error> {
    let failed = |cause| Error::Thread { name: "hebra-udp".to_owned(), cause: io::Error::other(cause) };
    check(SERVER).map_err(failed)
}

/// Returns whether the limit leaves room for one more thread.
pub(in crate::cli) fn fits_thread(stack_size: usize) -> bool {
    left().is_none_or(|left| left >= stack_size as u64 + THREAD + RESERVE)
}

fn check(needed: u64) -> Result<(), String> {
    if left().is_some() {
        use_one_arena();
    }
    match left() {
        Some(left) if left < needed => {
            let [needed, left] = [needed, left].map(ByteSize::b);
            Err(format!("{needed} of address space may be needed, and ulimit -v leaves {left}"))
        }
        _ => Ok(()),
    }
}

/// Starts the program again, in this process, with one arena for all threads. By default glibc reserves 64 MiB for each of
/// many arenas, so that nothing would be left for threads. The environment is the only safe way to say so.
fn use_one_arena() {
    const ARENAS: &str = "MALLOC_ARENA_MAX";
    let mut words = env::args_os();
    let (Ok(program), Some(name), None) = (env::current_exe(), words.next(), env::var_os(ARENAS)) else { return };
    // If that fails, the program continues as it is.
    let _ = Command::new(program).arg0(name).args(words).env(ARENAS, "1").exec();
}

/// Returns how much more address space the process may have; `None` if there is no limit, or the system does not say how
/// much is taken.
fn left() -> Option<u64> {
    let (limit, _) = Resource::AS.get().ok()?;
    if limit == INFINITY {
        return None;
    }
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let size = status.lines().find_map(|line| line.strip_prefix("VmSize:"))?;
    let kibibytes: u64 = size.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(limit.saturating_sub(kibibytes * 1024))
}
