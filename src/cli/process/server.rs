//! What both servers print, and how they end.

use std::fmt::Display;
use std::io::{ErrorKind, Write};

use hebra::Error;

use super::{FAILED, complain};
use crate::cli::stdio;

/// Returns the exit code of a server. If it could not run, that is reported in one line.
pub(in crate::cli) fn exit_code(outcome: Result<u8, Error>) -> u8 {
    match outcome {
        Ok(code) => code,
        Err(error) => {
            complain(&error);
            FAILED
        }
    }
}

/// Prints a line for each socket, in the order of the flags or of the descriptors: each address comes with its position.
/// The kernel holds clients already, so a program that reads the line can connect.
pub(in crate::cli) fn announce(mut addresses: Vec<(usize, String)>) {
    addresses.sort_by_key(|(position, _)| *position);
    print(addresses.into_iter().map(|(_, address)| format!("listening on {address}\n")).collect());
}

/// Prints a line for each address of the admin server.
pub(in crate::cli) fn announce_admin(addresses: impl IntoIterator<Item: Display>) {
    print(addresses.into_iter().map(|address| format!("admin on http://{address}/\n")).collect());
}

fn print(lines: String) {
    // A closed standard output is the reader's choice; the server serves all the same.
    if let Err(cause) = stdio::output().write_all(lines.as_bytes())
        && cause.kind() != ErrorKind::BrokenPipe
    {
        complain(format_args!("cannot print where it listens: {cause}"));
    }
}
