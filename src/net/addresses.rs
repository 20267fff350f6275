//! Names to listen on resolved to addresses, and sockets bound to all of them.
//!
//! The caller opens each socket, so this serves TCP and UDP.

use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs, UdpSocket};

use crate::error::Error;

/// How many free ports are tried for one that is free on every address of a name.
const PORT_ATTEMPTS: usize = 16;

/// Sockets with the addresses that they really have, and the addresses that this machine lacks.
#[derive(Debug)]
pub(crate) struct Sockets<S> {
    pub(crate) bound: Vec<(SocketAddr, S)>,
    pub(crate) skipped: Vec<(SocketAddr, ErrorKind)>,
}

impl<S> Sockets<S> {
    /// Returns the addresses of the sockets.
    pub(crate) fn addresses(&self) -> Vec<SocketAddr> {
        self.bound.iter().map(|(address, _)| *address).collect()
    }
}

/// Binds a socket to every address that every one of `names` (`HOST:PORT`) resolves to. `open` opens a socket bound to an
/// address, and returns the address that it really has; with `true` the socket leaves IPv4 to another one.
///
/// # Errors
///
/// A name that cannot be resolved, or an address that cannot be listened on or is not a single host's. An address that
/// this machine does not have (`::1` without IPv6) is skipped as long as its name has another.
pub(crate) fn bind<S>(
    names: &[String],
    open: &dyn Fn(SocketAddr, bool) -> io::Result<(SocketAddr, S)>,
) -> Result<Sockets<S>, Error> {
    let mut resolved = Vec::new();
    for name in names {
        resolved.push((name, resolve(name)?));
    }
    let all: Vec<SocketAddr> = resolved.iter().flat_map(|(_, addresses)| addresses).copied().collect();
    let mut sockets = Sockets { bound: Vec::new(), skipped: Vec::new() };
    let mut seen = Vec::new();
    for (name, mut addresses) in resolved {
        // `127.0.0.1:1234` and `localhost:1234` have an address in common. Port 0 is another port each time.
        addresses.retain(|address| address.port() == 0 || !seen.contains(address));
        seen.extend(&addresses);
        if addresses.is_empty() {
            continue;
        }
        let Sockets { bound, skipped } = bind_name(name, &addresses, &all, open)?;
        sockets.bound.extend(bound);
        sockets.skipped.extend(skipped);
    }
    Ok(sockets)
}

/// Returns the addresses of `name` (`HOST:PORT`), each once, in the resolver's order; at least one. Spaces around the
/// name are ignored.
///
/// # Errors
///
/// [`Error::Resolve`] with [`ErrorKind::InvalidInput`] if `name` is malformed, and with another kind if it has no
/// address or cannot be looked up.
pub fn resolve(name: &str) -> Result<Vec<SocketAddr>, Error> {
    let failed = |cause| Error::Resolve { address: name.to_owned(), cause };
    let resolved = match name.trim() {
        // The system would look for a host without a name.
        name if name.starts_with(':') => Err(ErrorKind::InvalidInput.into()),
        name => name.to_socket_addrs(),
    };
    let resolved = resolved.map_err(|cause| match cause.kind() {
        kind @ ErrorKind::InvalidInput => io::Error::new(kind, "an address looks like localhost:1234"),
        _ => cause,
    });
    let mut addresses = Vec::new();
    for address in resolved.map_err(failed)? {
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    if addresses.is_empty() {
        return Err(failed(io::Error::new(ErrorKind::NotFound, "the name has no address")));
    }
    Ok(addresses)
}

/// Binds sockets to the addresses of one name.
fn bind_name<S>(
    name: &str,
    addresses: &[SocketAddr],
    all: &[SocketAddr],
    open: &dyn Fn(SocketAddr, bool) -> io::Result<(SocketAddr, S)>,
) -> Result<Sockets<S>, Error> {
    let failed = |address: &SocketAddr, cause| Error::Listen { address: address.to_string(), cause };
    for address in addresses {
        require_one_host(*address).map_err(|cause| failed(address, cause))?;
    }
    let takes_free_port = addresses.iter().any(|address| address.port() == 0);
    let mut attempts = 1;
    loop {
        match bind_once(addresses, all, open) {
            Err((_, error))
                if takes_free_port && error.kind() == ErrorKind::AddrInUse && attempts < PORT_ATTEMPTS =>
            {
                attempts += 1;
            }
            Err((address, cause)) => return Err(failed(&address, cause)),
            Ok(Sockets { bound, skipped }) if bound.is_empty() => {
                let cause = skipped.last().map_or(ErrorKind::NotFound, |(_, kind)| *kind).into();
                return Err(Error::Listen { address: name.to_owned(), cause });
            }
            Ok(sockets) => return Ok(sockets),
        }
    }
}

/// Binds a socket to each address, or fails with the one that is in the way. With port 0 all sockets get the port of
/// the first one, so that a client may try the addresses in any order.
fn bind_once<S>(
    addresses: &[SocketAddr],
    all: &[SocketAddr],
    open: &dyn Fn(SocketAddr, bool) -> io::Result<(SocketAddr, S)>,
) -> Result<Sockets<S>, (SocketAddr, io::Error)> {
    let mut sockets = Sockets { bound: Vec::new(), skipped: Vec::new() };
    for address in addresses {
        let mut address = *address;
        if let (0, Some((first, _))) = (address.port(), sockets.bound.first()) {
            address.set_port(first.port());
        }
        // `[::]` takes IPv4 clients too, unless an address of the list wants them for itself.
        let is_twin = |other: &SocketAddr| other.is_ipv4() && other.port() == address.port() && other.port() != 0;
        let only_v6 = !address.ip().is_unspecified() || all.iter().any(is_twin);
        match open(address, only_v6) {
            Ok(socket) => sockets.bound.push(socket),
            Err(error) if is_missing(&error) => sockets.skipped.push((address, error.kind())),
            Err(error) => return Err((address, error)),
        }
    }
    Ok(sockets)
}

/// Refuses addresses that the system lets a socket be bound to, though they are not one host's. No client can connect
/// to a broadcast or multicast address, no answer may come from one (RFC 1122, 3.2.1.3), and what wakes a receiver at
/// a stop would go to every host of a network. Little is lost: `0.0.0.0` receives broadcasts too, and groups are not
/// joined here.
fn require_one_host(address: SocketAddr) -> io::Result<()> {
    let address = SocketAddr::new(address.ip().to_canonical(), address.port());
    let problem = if address.ip().is_multicast() {
        "a multicast address, not a host's"
    } else if is_broadcast(address) {
        "a broadcast address, not a host's"
    } else {
        return Ok(());
    };
    Err(io::Error::new(ErrorKind::InvalidInput, problem))
}

/// Returns whether `address` is a broadcast address of a network. The system knows the networks: it lets a socket
/// connect to such an address only if broadcasting was asked for. A connect sends nothing.
fn is_broadcast(address: SocketAddr) -> bool {
    let is_refused_without_broadcast = || {
        let sender = sender_to(address)?;
        if sender.connect(address).is_ok() {
            return Ok(false);
        }
        sender.set_broadcast(true)?;
        io::Result::Ok(sender.connect(address).is_ok())
    };
    // Without a network the system has no route to 255.255.255.255, so it is not asked.
    address.ip() == Ipv4Addr::BROADCAST || (address.is_ipv4() && is_refused_without_broadcast().unwrap_or(false))
}

/// Returns a socket of the family of `target` that can send there.
pub(crate) fn sender_to(target: SocketAddr) -> io::Result<UdpSocket> {
    let any: SocketAddr = match target {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    UdpSocket::bind(any)
}

/// Returns whether this machine lacks the address or its family.
fn is_missing(error: &io::Error) -> bool {
    // EAFNOSUPPORT has no kind of its own; its number is that of Linux and, 47, of the BSDs.
    const NO_SUCH_FAMILY: i32 = if cfg!(target_os = "linux") { 97 } else { 47 };
    error.kind() == ErrorKind::AddrNotAvailable || error.raw_os_error() == Some(NO_SUCH_FAMILY)
}

/// Returns where a socket bound to `address` can be reached from this machine.
pub(crate) fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(if address.is_ipv4() { Ipv4Addr::LOCALHOST.into() } else { Ipv6Addr::LOCALHOST.into() });
    }
    address
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(address: SocketAddr, _only_v6: bool) -> io::Result<(SocketAddr, UdpSocket)> {
        let socket = UdpSocket::bind(address)?;
        Ok((socket.local_addr()?, socket))
    }

    #[test]
    fn the_addresses_of_one_name_share_a_free_port() {
        let both: Vec<SocketAddr> = vec![([127, 0, 0, 1], 0).into(), ([127, 0, 0, 2], 0).into()];
        let sockets = bind_name("both", &both, &both, &open).expect("loopback exists");
        let ports: Vec<u16> = sockets.bound.iter().map(|(address, _)| address.port()).collect();
        assert_eq!(ports.len(), 2);
        assert_eq!(ports[0], ports[1]);
        assert_ne!(ports[0], 0);
    }

    #[test]
    fn an_address_this_machine_lacks_is_skipped_if_the_name_has_another() {
        // 2001:db8::/32 is for documentation (RFC 3849): nobody has it.
        let lacking: SocketAddr = "[2001:db8::1]:0".parse().expect("an address");
        let sockets = bind_name("name", &[lacking, ([127, 0, 0, 1], 0).into()], &[], &open).expect("one exists");
        assert_eq!(sockets.bound.len(), 1);
        assert_eq!(sockets.skipped.len(), 1);
        let alone = bind_name("name", &[lacking], &[], &open);
        assert!(alone.is_err_and(|error| error.to_string().starts_with("cannot listen on name: ")));
    }
}
