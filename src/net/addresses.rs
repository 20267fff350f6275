//! Sockets bound to all the addresses of the names to listen on.
//!
//! The caller opens each socket, so this serves TCP and UDP.

use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use super::resolve::resolve;
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
/// An address that another one of the list includes gets no socket of its own: `0.0.0.0` includes every IPv4 address, and
/// `[::]` every other address of both families on the same port.
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
    let all = resolved.iter().flat_map(|(_, addresses)| addresses);
    // A free port is never the same.
    let is_wildcard = |address: &&SocketAddr| address.ip().is_unspecified() && address.port() != 0;
    // Without IPv6, `[::]` includes nothing.
    let wildcards: Vec<SocketAddr> =
        all.filter(is_wildcard).filter(|address| UdpSocket::bind((address.ip(), 0)).is_ok()).copied().collect();
    let mut sockets = Sockets { bound: Vec::new(), skipped: Vec::new() };
    let mut seen = Vec::new();
    for (name, addresses) in resolved {
        // `127.0.0.1:1234` and `localhost:1234` have an address in common.
        let is_new = |address: &&SocketAddr| {
            address.port() == 0 || !(seen.contains(*address) || is_included(**address, &wildcards))
        };
        let new: Vec<SocketAddr> = addresses.iter().filter(is_new).copied().collect();
        let Sockets { bound, skipped } = bind_name(&new, &wildcards, open)?;
        // What is not new has a socket.
        if let (true, Some((_, kind))) = (bound.is_empty() && new.len() == addresses.len(), skipped.last()) {
            return Err(Error::Listen { address: name.clone(), cause: (*kind).into() });
        }
        sockets.bound.extend(bound);
        sockets.skipped.extend(skipped);
        seen.extend(new);
    }
    Ok(sockets)
}

/// Returns whether one of `wildcards` receives what is sent to `address`.
fn is_included(address: SocketAddr, wildcards: &[SocketAddr]) -> bool {
    let includes = |wildcard: &SocketAddr| {
        wildcard.port() == address.port() && (wildcard.is_ipv6() || wildcard.is_ipv4() == address.is_ipv4())
    };
    !address.ip().is_unspecified() && wildcards.iter().any(includes)
}

/// Binds sockets to the addresses of one name.
fn bind_name<S>(
    addresses: &[SocketAddr],
    wildcards: &[SocketAddr],
    open: &dyn Fn(SocketAddr, bool) -> io::Result<(SocketAddr, S)>,
) -> Result<Sockets<S>, Error> {
    let failed = |address: &SocketAddr, cause| Error::Listen { address: address.to_string(), cause };
    for address in addresses {
        require_one_host(*address).map_err(|cause| failed(address, cause))?;
    }
    let takes_free_port = addresses.iter().any(|address| address.port() == 0);
    let mut attempts = 1;
    loop {
        match bind_once(addresses, wildcards, open) {
            Err((_, error))
                if takes_free_port && error.kind() == ErrorKind::AddrInUse && attempts < PORT_ATTEMPTS =>
            {
                attempts += 1;
            }
            Err((address, cause)) => return Err(failed(&address, cause)),
            Ok(sockets) => return Ok(sockets),
        }
    }
}

/// Binds a socket to each address, or fails with the one that is in the way. With port 0 all sockets get the port of
/// the first one, so that a client may try the addresses in any order.
fn bind_once<S>(
    addresses: &[SocketAddr],
    wildcards: &[SocketAddr],
    open: &dyn Fn(SocketAddr, bool) -> io::Result<(SocketAddr, S)>,
) -> Result<Sockets<S>, (SocketAddr, io::Error)> {
    let mut sockets = Sockets { bound: Vec::new(), skipped: Vec::new() };
    for address in addresses {
        let mut address = *address;
        if let (0, Some((first, _))) = (address.port(), sockets.bound.first()) {
            address.set_port(first.port());
        }
        // `[::]` takes IPv4 clients too, unless `0.0.0.0` does.
        let is_twin = |other: &SocketAddr| other.is_ipv4() && other.port() == address.port();
        let only_v6 = !address.ip().is_unspecified() || wildcards.iter().any(is_twin);
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
        let sockets = bind_name(&both, &[], &open).expect("loopback exists");
        let ports: Vec<u16> = sockets.bound.iter().map(|(address, _)| address.port()).collect();
        assert_eq!(ports.len(), 2);
        assert_eq!(ports[0], ports[1]);
        assert_ne!(ports[0], 0);
    }

    #[test]
    fn an_address_this_machine_lacks_is_skipped_if_the_name_has_another() {
        // 2001:db8::/32 is for documentation (RFC 3849): nobody has it.
        let lacking: SocketAddr = "[2001:db8::1]:0".parse().expect("an address");
        let sockets = bind_name(&[lacking, ([127, 0, 0, 1], 0).into()], &[], &open).expect("one exists");
        assert_eq!(sockets.bound.len(), 1);
        assert_eq!(sockets.skipped.len(), 1);
        let alone = bind(&["[2001:db8::1]:0".to_owned()], &open);
        assert!(alone.is_err_and(|error| error.to_string().starts_with("cannot listen on [2001:db8::1]:0: ")));
    }

    #[test]
    fn an_address_that_a_wildcard_includes_gets_no_socket() {
        // What is bound, and whether it leaves IPv4 to another socket.
        let bound = |names: &[&str]| {
            let names: Vec<String> = names.iter().map(|name| format!("{name}:7")).collect();
            let open = |address: SocketAddr, only_v6| Ok((address, only_v6 && address.is_ipv6()));
            let sockets = bind(&names, &open).expect("nothing is opened");
            sockets.bound.iter().map(|(address, only_v6)| (address.ip().to_string(), *only_v6)).collect::<Vec<_>>()
        };
        let both = [("::".to_owned(), false)];
        for names in [["[::]", "127.0.0.1"], ["127.0.0.1", "[::]"], ["[::]", "localhost"], ["[::1]", "[::]"]] {
            assert_eq!(bound(&names), both, "{names:?}");
        }
        assert_eq!(
            bound(&["[::]", "0.0.0.0", "127.0.0.1"]),
            [("::".to_owned(), true), ("0.0.0.0".to_owned(), false)]
        );
        assert_eq!(bound(&["localhost", "0.0.0.0"]), [("::1".to_owned(), true), ("0.0.0.0".to_owned(), false)]);
    }

    #[test]
    fn a_name_of_which_only_an_address_that_has_a_socket_exists_is_no_error() {
        let open = |address: SocketAddr, _| {
            if address.is_ipv6() { Err(ErrorKind::AddrNotAvailable.into()) } else { Ok((address, ())) }
        };
        let sockets = bind(&["127.0.0.1:7".to_owned(), "localhost:7".to_owned()], &open).expect("one exists");
        assert_eq!((sockets.bound.len(), sockets.skipped.len()), (1, 1));
    }
}
