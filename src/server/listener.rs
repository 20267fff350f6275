//! Listening sockets: names resolved to addresses, options set, ports shared.

use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::time::Duration;

use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};

use crate::Error;

/// How long a silent connection may be before the kernel asks whether the peer is still there, and how long
/// between its questions. It finds peers that vanished without a word when there is no idle timeout.
const KEEPALIVE: Duration = Duration::from_secs(60);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);

/// How many free ports are tried for one that is free on every address of a name.
const PORT_ATTEMPTS: usize = 16;

/// Listening sockets, and the addresses that do not exist here.
#[derive(Debug, Default)]
pub(crate) struct Listeners {
    pub(crate) bound: Vec<(SocketAddr, TcpListener)>,
    pub(crate) skipped: Vec<(SocketAddr, ErrorKind)>,
}

/// Listens on every address that every one of `names` (`HOST:PORT`) resolves to.
///
/// # Errors
///
/// A name that cannot be resolved, an address that cannot be listened on. An address that this machine does
/// not have (`::1` without IPv6) is passed over as long as its name has another.
pub(crate) fn bind(names: &[String], backlog: u32) -> Result<Listeners, Error> {
    let mut resolved = Vec::new();
    for name in names {
        resolved.push((name, resolve(name)?));
    }
    let all: Vec<SocketAddr> = resolved.iter().flat_map(|(_, addresses)| addresses).copied().collect();
    let mut listeners = Listeners::default();
    let mut seen = Vec::new();
    for (name, mut addresses) in resolved {
        // `127.0.0.1:1234` and `localhost:1234` have an address in common. A free port is never the same.
        addresses.retain(|address| address.port() == 0 || !seen.contains(address));
        seen.extend(&addresses);
        if addresses.is_empty() {
            continue;
        }
        let Listeners { bound, skipped } = bind_name(name, &addresses, &all, backlog)?;
        listeners.bound.extend(bound);
        listeners.skipped.extend(skipped);
    }
    Ok(listeners)
}

/// The addresses of `name`, each once, in the resolver's order.
fn resolve(name: &str) -> Result<Vec<SocketAddr>, Error> {
    let failed = |cause| Error::Resolve { address: name.to_owned(), cause };
    let mut addresses = Vec::new();
    for address in name.to_socket_addrs().map_err(failed)? {
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    if addresses.is_empty() {
        return Err(failed(io::Error::new(ErrorKind::NotFound, "the name has no address")));
    }
    Ok(addresses)
}

/// Listens on the addresses of one name.
fn bind_name(name: &str, addresses: &[SocketAddr], all: &[SocketAddr], backlog: u32) -> Result<Listeners, Error> {
    let takes_free_port = addresses.iter().any(|address| address.port() == 0);
    let mut attempts = 1;
    loop {
        match bind_once(addresses, all, backlog) {
            Err((_, error))
                if takes_free_port && error.kind() == ErrorKind::AddrInUse && attempts < PORT_ATTEMPTS =>
            {
                attempts += 1;
            }
            Err((address, cause)) => return Err(Error::Listen { address: address.to_string(), cause }),
            Ok(Listeners { bound, skipped }) if bound.is_empty() => {
                let cause = skipped.last().map_or(ErrorKind::NotFound, |(_, kind)| *kind).into();
                return Err(Error::Listen { address: name.to_owned(), cause });
            }
            Ok(listeners) => return Ok(listeners),
        }
    }
}

/// Listens on each address, or says which one stands in the way. With port 0 all get the port that the first
/// one got, so that whichever address a client tries first is right.
fn bind_once(
    addresses: &[SocketAddr],
    all: &[SocketAddr],
    backlog: u32,
) -> Result<Listeners, (SocketAddr, io::Error)> {
    let mut listeners = Listeners::default();
    for address in addresses {
        let mut address = *address;
        if let (0, Some((first, _))) = (address.port(), listeners.bound.first()) {
            address.set_port(first.port());
        }
        match listen(address, all, backlog) {
            Ok(listener) => listeners.bound.push(listener),
            Err(error) if is_missing(&error) => listeners.skipped.push((address, error.kind())),
            Err(error) => return Err((address, error)),
        }
    }
    Ok(listeners)
}

/// One listening socket, and the address it really has.
fn listen(address: SocketAddr, all: &[SocketAddr], backlog: u32) -> io::Result<(SocketAddr, TcpListener)> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        // `[::]` takes IPv4 clients too, unless an address of the list wants them for itself.
        let is_twin = |other: &SocketAddr| other.is_ipv4() && other.port() == address.port() && other.port() != 0;
        let has_ipv4_twin = all.iter().any(is_twin);
        socket.set_only_v6(!address.ip().is_unspecified() || has_ipv4_twin)?;
    }
    // On Windows this would let a second server take the port.
    #[cfg(unix)]
    socket.set_reuse_address(true)?;
    // Accepted sockets inherit these two, which saves two system calls for each connection.
    socket.set_tcp_nodelay(true)?;
    socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEPALIVE).with_interval(KEEPALIVE_INTERVAL))?;
    socket.bind(&address.into())?;
    socket.listen(i32::try_from(backlog).unwrap_or(i32::MAX))?;
    let listener = TcpListener::from(socket);
    Ok((listener.local_addr()?, listener))
}

/// Whether this machine does not have the address or its family.
fn is_missing(error: &io::Error) -> bool {
    // EAFNOSUPPORT has no kind of its own; its number is that of Linux and, 47, of the BSDs.
    const NO_SUCH_FAMILY: i32 = if cfg!(target_os = "linux") { 97 } else { 47 };
    error.kind() == ErrorKind::AddrNotAvailable || error.raw_os_error() == Some(NO_SUCH_FAMILY)
}

/// Ends a blocked `accept` on `listener`; nobody can connect after it.
pub(crate) fn wake(listener: &TcpListener, address: SocketAddr) {
    if cfg!(target_os = "linux") {
        // Linux ends the wait with an error. It cannot fail on a listening socket.
        let _ = SockRef::from(listener).shutdown(std::net::Shutdown::Both);
    } else {
        // Elsewhere a connection must come. If it is refused, nobody waits.
        let mut target = address;
        if target.ip().is_unspecified() {
            target.set_ip(if target.is_ipv4() { [127, 0, 0, 1].into() } else { [0, 0, 0, 0, 0, 0, 0, 1].into() });
        }
        let _ = std::net::TcpStream::connect_timeout(&target, Duration::from_secs(1));
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpStream;

    use super::*;

    #[test]
    fn accepted_sockets_inherit_no_delay_and_keepalive() {
        let listeners = bind(&["127.0.0.1:0".to_owned()], 16).expect("loopback exists");
        let (address, listener) = &listeners.bound[0];
        let _client = TcpStream::connect(address).expect("it listens");
        let (accepted, _) = listener.accept().expect("a client came");
        assert!(accepted.nodelay().expect("readable"));
        assert!(SockRef::from(&accepted).keepalive().expect("readable"));
    }

    #[test]
    fn the_addresses_of_one_name_share_a_free_port() {
        let both: Vec<SocketAddr> = vec![([127, 0, 0, 1], 0).into(), ([127, 0, 0, 2], 0).into()];
        let listeners = bind_name("both", &both, &both, 16).expect("loopback exists");
        let ports: Vec<u16> = listeners.bound.iter().map(|(address, _)| address.port()).collect();
        assert_eq!(ports.len(), 2);
        assert_eq!(ports[0], ports[1]);
        assert_ne!(ports[0], 0);
    }

    #[test]
    fn an_address_this_machine_lacks_is_passed_over_if_the_name_has_another() {
        // 2001:db8::/32 is for documentation (RFC 3849): nobody has it.
        let lacking: SocketAddr = "[2001:db8::1]:0".parse().expect("an address");
        let listeners = bind_name("name", &[lacking, ([127, 0, 0, 1], 0).into()], &[], 16).expect("one exists");
        assert_eq!(listeners.bound.len(), 1);
        assert_eq!(listeners.skipped.len(), 1);
        let alone = bind_name("name", &[lacking], &[], 16);
        assert!(alone.is_err_and(|error| error.to_string().starts_with("cannot listen on name: ")));
    }
}
