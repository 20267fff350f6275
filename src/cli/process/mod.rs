//! What every command has in common: exit codes, the line that reports a failure, names, logging, signals, threads.

pub(super) mod deadline;
pub(super) mod defer_accept;
pub(super) mod address_space;
pub(super) mod failure;
pub(super) mod logging;
pub(super) mod passed;
pub(super) mod report;
pub(super) mod resolve;
pub(super) mod server;
pub(super) mod service_manager;
pub(super) mod signals;
pub(super) mod threads;

use std::fmt::Display;
use std::io::Write;

use super::stdio;

/// All went well: the server stopped and every session had ended by itself, or the client saw the end.
pub(super) const DRAINED: u8 = 0;
/// It could not run; standard error says why.
pub(super) const FAILED: u8 = 1;
/// The command line is wrong; standard error says where.
pub(super) const USAGE: u8 = 2;
/// The server stopped, and the drain deadline or a later signal cut sessions off.
pub(super) const CUT_OFF: u8 = 3;

/// Prints the one line of a failure. A server's log is set up before, and then the line is in its form.
pub(super) fn complain(message: impl Display) {
    // A closed standard error cannot be reported anywhere.
    let _ = stdio::error().write_all(logging::failure(&message.to_string()).as_bytes());
}
