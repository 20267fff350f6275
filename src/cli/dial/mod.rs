//! From an address as it was typed to a connection.

mod address_race;
mod unix;

use std::net::TcpStream;

use hebra::text::Escaped;

use super::process::deadline::Deadline;
use super::process::failure::Failure;
use super::process::resolve;

/// Connects to `address`: `HOST:PORT`, `unix:/path` or `unix:@name`. Returns the connection, and the name of its peer as
/// it is shown.
///
/// # Errors
///
/// One failure for all addresses of a name, lookup included.
pub(super) fn dial(address: &str, deadline: Deadline) -> Result<(TcpStream, String), Failure> {
    match address.strip_prefix("unix:") {
        Some(name) => Ok((unix::connect(name, deadline)?, Escaped(address.as_bytes()).to_string())),
        None => {
            let addresses = resolve::within(address, deadline)?;
            let (stream, server) = address_race::connect(&addresses, deadline)?;
            Ok((stream, server.to_string()))
        }
    }
}
