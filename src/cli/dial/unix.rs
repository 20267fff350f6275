//! A connection to a Unix socket. std reads, writes and shuts it by the same calls as a TCP connection, so the rest of the
//! command does not differ.

use std::io::{self, ErrorKind};
use std::net::TcpStream;
use std::time::Duration;

use hebra::text::Escaped;
use socket2::{Domain, SockAddr, Socket, Type};

use crate::cli::process::deadline::Deadline;
use crate::cli::process::failure::{Failure, REFUSED};

/// Connects to the socket `name`: the path of its file, or `@` and a name without a file.
///
/// # Errors
///
/// A failure that names the socket.
pub(super) fn connect(name: &str, deadline: Deadline) -> Result<TcpStream, Failure> {
    open(name, deadline.left()).map_err(|cause| {
        let attempt = format!("cannot connect to unix:{}", Escaped(name.as_bytes()));
        match cause.kind() {
            // Nobody listens there.
            ErrorKind::NotFound => {
                Failure { code: REFUSED, message: format!("{attempt}: there is no such socket") }
            }
            _ => Failure::new(attempt, &cause),
        }
    })
}

fn open(name: &str, limit: Option<Duration>) -> io::Result<TcpStream> {
    let address = SockAddr::unix(name.strip_prefix('@').map_or(name.to_owned(), |name| format!("\0{name}")))?;
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    // Linux waits for room in the backlog as long as a write may take. Zero would be no limit.
    socket.set_write_timeout(limit.map(|limit| limit.max(Duration::from_millis(1))))?;
    socket.connect(&address).map_err(|error| match error.kind() {
        ErrorKind::WouldBlock => ErrorKind::TimedOut.into(),
        _ => error,
    })?;
    socket.set_write_timeout(None)?;
    Ok(socket.into())
}
