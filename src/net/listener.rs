//! Listening sockets and their options.

use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};

use super::addresses::{self, Sockets};
use crate::error::Error;

/// How long a connection may be silent before the kernel probes whether the peer is still there, and the time between
/// its probes. They find peers that vanished without a word when there is no idle timeout.
const KEEPALIVE: Duration = Duration::from_secs(60);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);

/// Listens on every address that every one of `names` resolves to. A write to an accepted client times out after
/// `write_timeout`.
///
/// # Errors
///
/// Those of [`addresses::bind`].
pub(crate) fn bind(
    names: &[String],
    backlog: u32,
    write_timeout: Option<Duration>,
) -> Result<Sockets<TcpListener>, Error> {
    addresses::bind(names, &|address, only_v6| listen(address, only_v6, backlog, write_timeout))
}

/// Opens a listening socket. Returns it with the address that it really has.
fn listen(
    address: SocketAddr,
    only_v6: bool,
    backlog: u32,
    write_timeout: Option<Duration>,
) -> io::Result<(SocketAddr, TcpListener)> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(only_v6)?;
    }
    // On Windows this would let a second server take the port.
    #[cfg(unix)]
    socket.set_reuse_address(true)?;
    set_options(&socket, write_timeout)?;
    socket.bind(&address.into())?;
    socket.listen(i32::try_from(backlog).unwrap_or(i32::MAX))?;
    let listener = TcpListener::from(socket);
    Ok((listener.local_addr()?, listener))
}

/// Takes over listeners that the caller has bound.
///
/// # Errors
///
/// [`Error::Listen`] if a socket refuses an option, which one that does not listen may do.
pub(crate) fn adopt(
    listeners: Vec<TcpListener>,
    write_timeout: Option<Duration>,
) -> Result<Sockets<TcpListener>, Error> {
    let mut sockets = Sockets { bound: Vec::new(), skipped: Vec::new() };
    for listener in listeners {
        let address = listener.local_addr().and_then(|address| {
            listener.set_nonblocking(false)?;
            set_options(&SockRef::from(&listener), write_timeout)?;
            Ok(address)
        });
        let address = address
            .map_err(|cause| Error::Listen { address: "a listener that was passed in".to_owned(), cause })?;
        sockets.bound.push((address, listener));
    }
    Ok(sockets)
}

/// Sets the options that accepted sockets inherit, so that they need not be set for each connection.
fn set_options(socket: &Socket, write_timeout: Option<Duration>) -> io::Result<()> {
    socket.set_tcp_nodelay(true)?;
    // Urgent data stays in the stream (RFC 6093): nothing vanishes, and a telnet Synch is read where it was sent.
    socket.set_out_of_band_inline(true)?;
    socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEPALIVE).with_interval(KEEPALIVE_INTERVAL))?;
    // The kernel keeps nothing for longer than that for a client that takes nothing, even when its session is over
    // (RFC 5482).
    #[cfg(target_os = "linux")]
    socket.set_tcp_user_timeout(write_timeout)?;
    socket.set_write_timeout(write_timeout)
}

/// Ends a blocked `accept` on `listener`. No client can connect after it.
pub(crate) fn wake(listener: &TcpListener, address: SocketAddr) {
    if cfg!(target_os = "linux") {
        // Linux ends the wait with an error. It cannot fail on a listening socket.
        let _ = SockRef::from(listener).shutdown(Shutdown::Both);
    } else {
        // Elsewhere a connection must come. If it is refused, no thread waits.
        let _ = TcpStream::connect_timeout(&addresses::reachable(address), Duration::from_secs(1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepted_sockets_inherit_their_options() {
        let limit = Some(Duration::from_secs(7));
        let listeners = bind(&["127.0.0.1:0".to_owned()], 16, limit).expect("loopback exists");
        let (address, listener) = &listeners.bound[0];
        let _client = TcpStream::connect(address).expect("it listens");
        let (accepted, _) = listener.accept().expect("a client came");
        assert!(accepted.nodelay().expect("readable"));
        assert!(SockRef::from(&accepted).keepalive().expect("readable"));
        assert_eq!(accepted.write_timeout().expect("readable"), limit);
        #[cfg(target_os = "linux")]
        assert_eq!(SockRef::from(&accepted).tcp_user_timeout().expect("readable"), limit);
    }
}
