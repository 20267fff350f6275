//! Names of the form `HOST:PORT` resolved to addresses.
//!
//! Literal addresses and `localhost` are answered here. Every other name is looked up by the system, which may take as
//! long as its name servers do: a caller with a time limit runs this on a thread of its own.

use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6, ToSocketAddrs};

use crate::error::Error;

/// Returns the addresses of `name` (`HOST:PORT`), each once; at least one. Spaces around the name are ignored.
///
/// - An IPv6 address stands in brackets. It may name its zone, by the interface or by its number: `[fe80::1%eth0]:1234`,
///   `[fe80::1%2]:1234` (RFC 4007, section 11.2). One that holds an IPv4 address, `[::ffff:127.0.0.1]:1234`, means that
///   address.
/// - `localhost` is `127.0.0.1` and `::1`, whatever the system's tables say (RFC 6761, section 6.3). So is a name that
///   ends in `.localhost`, if the system does not know it.
/// - The addresses of any other name are in the resolver's order.
///
/// # Errors
///
/// [`Error::Resolve`] with [`ErrorKind::InvalidInput`] if `name` is malformed, and with another kind if it has no
/// address or cannot be looked up.
pub fn resolve(name: &str) -> Result<Vec<SocketAddr>, Error> {
    look_up(name.trim()).map_err(|cause| Error::Resolve { address: name.to_owned(), cause })
}

fn look_up(name: &str) -> io::Result<Vec<SocketAddr>> {
    match name.strip_prefix('[') {
        Some(rest) => bracketed(rest).map(|address| vec![address]),
        None => named(name),
    }
}

/// Resolves an IPv6 address, after its opening bracket.
fn bracketed(rest: &str) -> io::Result<SocketAddr> {
    let (literal, port) = rest.split_once("]:").ok_or_else(|| invalid("an address looks like [::1]:1234"))?;
    let (address, zone) = literal.split_once('%').map_or((literal, None), |(address, zone)| (address, Some(zone)));
    let address: Ipv6Addr =
        address.parse().map_err(|_| invalid("what stands in brackets is not an IPv6 address"))?;
    let port = parse_port(port)?;
    let scope = zone.map_or(Ok(0), scope)?;
    let mapped = address.to_ipv4_mapped().map(|address| (address, port).into());
    Ok(mapped.unwrap_or_else(|| SocketAddrV6::new(address, port, 0, scope).into()))
}

/// Resolves a name or an IPv4 address.
fn named(name: &str) -> io::Result<Vec<SocketAddr>> {
    let (host, port) = name.rsplit_once(':').ok_or_else(malformed)?;
    if host.contains(':') {
        return Err(invalid("an IPv6 address needs brackets, such as [::1]:1234"));
    }
    // The system would look for a host without a name.
    if host.is_empty() {
        return Err(malformed());
    }
    let port = parse_port(port)?;
    let loopback = vec![(Ipv4Addr::LOCALHOST, port).into(), (Ipv6Addr::LOCALHOST, port).into()];
    let domain = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    if domain == "localhost" {
        return Ok(loopback);
    }
    let resolved = match (host, port).to_socket_addrs() {
        Err(_) if domain.ends_with(".localhost") => return Ok(loopback),
        resolved => resolved?,
    };
    let mut addresses = Vec::new();
    for address in resolved {
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    if addresses.is_empty() {
        return Err(io::Error::new(ErrorKind::NotFound, "the name has no address"));
    }
    Ok(addresses)
}

fn parse_port(port: &str) -> io::Result<u16> {
    if port.is_empty() || !port.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(malformed());
    }
    port.parse().map_err(|_| invalid("a port is at most 65535"))
}

fn malformed() -> io::Error {
    invalid("an address looks like localhost:1234")
}

fn invalid(problem: &'static str) -> io::Error {
    io::Error::new(ErrorKind::InvalidInput, problem)
}

/// Returns the number of a zone. The system knows the interfaces' names, and says so when it resolves a link-local
/// address with such a zone.
fn scope(zone: &str) -> io::Result<u32> {
    if let Ok(number) = zone.parse() {
        return Ok(number);
    }
    let resolved = (format!("fe80::1%{zone}").as_str(), 0).to_socket_addrs();
    let scope = resolved.into_iter().flatten().find_map(|address| match address {
        SocketAddr::V6(address) => Some(address.scope_id()),
        SocketAddr::V4(_) => None,
    });
    scope
        .filter(|scope| *scope != 0)
        .ok_or_else(|| io::Error::new(ErrorKind::NotFound, "this machine has no interface of that name"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The addresses of a name as text.
    fn addresses(name: &str) -> Vec<String> {
        resolve(name).expect(name).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn literal_addresses_are_taken_as_they_are() {
        assert_eq!(addresses("127.0.0.1:80"), ["127.0.0.1:80"]);
        assert_eq!(addresses(" [::1]:0 "), ["[::1]:0"]);
        assert_eq!(addresses("[::ffff:127.0.0.1]:1"), ["127.0.0.1:1"]);
    }

    #[test]
    fn a_zone_is_a_number_or_an_interface() {
        assert_eq!(addresses("[fe80::1%7]:80"), ["[fe80::1%7]:80"]);
        // The loopback interface is the first of every network namespace.
        let loopback = if cfg!(target_os = "linux") { "lo" } else { "lo0" };
        assert_eq!(addresses(&format!("[fe80::1%{loopback}]:80")), ["[fe80::1%1]:80"]);
        assert_eq!(addresses(&format!("[::1%{loopback}]:80")), ["[::1%1]:80"]);
        for zone in ["", "nowhere0", "lo%lo"] {
            let error = resolve(&format!("[fe80::1%{zone}]:80")).expect_err(zone);
            assert!(error.to_string().ends_with(": this machine has no interface of that name"), "{error}");
        }
    }

    #[test]
    fn localhost_is_both_loopback_addresses_in_any_form() {
        for name in ["localhost:5", "LocalHost:5", "localhost.:5", "no-host-of-this-name.localhost:5"] {
            assert_eq!(addresses(name), ["127.0.0.1:5", "[::1]:5"], "{name}");
        }
    }

    #[test]
    fn a_malformed_name_is_invalid_input_and_says_what_would_be_right() {
        for (name, problem) in [
            ("", "an address looks like localhost:1234"),
            ("localhost", "an address looks like localhost:1234"),
            (":80", "an address looks like localhost:1234"),
            ("localhost:", "an address looks like localhost:1234"),
            ("localhost:http", "an address looks like localhost:1234"),
            ("localhost:+80", "an address looks like localhost:1234"),
            ("[::1]80", "an address looks like [::1]:1234"),
            ("[::1]", "an address looks like [::1]:1234"),
            ("[::1]:", "an address looks like localhost:1234"),
            ("::1:80", "an IPv6 address needs brackets, such as [::1]:1234"),
            ("fe80::1%lo:80", "an IPv6 address needs brackets, such as [::1]:1234"),
            ("[localhost]:80", "what stands in brackets is not an IPv6 address"),
            ("[]:80", "what stands in brackets is not an IPv6 address"),
            ("localhost:65536", "a port is at most 65535"),
        ] {
            match resolve(name).expect_err(name) {
                Error::Resolve { address, cause } => {
                    assert_eq!((address.as_str(), cause.kind()), (name, ErrorKind::InvalidInput));
                    assert_eq!(cause.to_string(), problem, "{name}");
                }
                other => panic!("{other:?}"),
            }
        }
    }
}
