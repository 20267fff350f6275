//! Networks of IP addresses, as access lists name them.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// A network in CIDR notation, `192.0.2.0/24` or `2001:db8::/32`. A bare address is a network of one.
///
/// ```
/// use hebra::Network;
///
/// let network: Network = "10.0.0.0/8".parse()?;
/// assert!(network.contains([10, 1, 2, 3].into()));
/// assert!(!network.contains([192, 0, 2, 1].into()));
/// assert_eq!("::1".parse::<Network>()?.to_string(), "::1/128");
/// # Ok::<(), hebra::NetworkError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Network {
    /// The first address.
    address: IpAddr,
    prefix: u8,
}

impl Network {
    /// Returns whether `address` belongs to it. An IPv6 address that holds an IPv4 address counts as that one.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        first(address.to_canonical(), self.prefix) == Some(self.address)
    }
}

/// Returns whether the clients at `address` are let in: those of `allow`, or all if it is empty, without those of `deny`.
pub(crate) fn lets_in(allow: &[Network], deny: &[Network], address: IpAddr) -> bool {
    !is_in_any(deny, address) && (allow.is_empty() || is_in_any(allow, address))
}

/// Returns whether `address` belongs to any of `networks`.
pub(crate) fn is_in_any(networks: &[Network], address: IpAddr) -> bool {
    networks.iter().any(|network| network.contains(address))
}

/// Turns a network of IPv6 addresses that hold IPv4 addresses into the network of those: `::ffff:10.0.0.0/104` is
/// `10.0.0.0/8`.
fn canonical(address: IpAddr, prefix: u8) -> (IpAddr, u8) {
    match (address.to_canonical(), prefix.checked_sub(96)) {
        (four @ IpAddr::V4(_), Some(prefix)) if address.is_ipv6() => (four, prefix),
        _ => (address, prefix),
    }
}

/// Returns the first address of the network of `address` with a prefix of so many bits; `None` if it has fewer.
fn first(address: IpAddr, prefix: u8) -> Option<IpAddr> {
    match address {
        IpAddr::V4(address) => {
            let host = Ipv4Addr::BITS.checked_sub(prefix.into())?;
            Some(Ipv4Addr::from_bits(address.to_bits() & u32::MAX.checked_shl(host).unwrap_or(0)).into())
        }
        IpAddr::V6(address) => {
            let host = Ipv6Addr::BITS.checked_sub(prefix.into())?;
            Some(Ipv6Addr::from_bits(address.to_bits() & u128::MAX.checked_shl(host).unwrap_or(0)).into())
        }
    }
}

impl From<IpAddr> for Network {
    fn from(address: IpAddr) -> Self {
        let address = address.to_canonical();
        Self { address, prefix: if address.is_ipv4() { 32 } else { 128 } }
    }
}

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let (address, prefix) =
            text.split_once('/').map_or((text, None), |(address, prefix)| (address, Some(prefix)));
        let address: IpAddr = address.parse().map_err(|_| NetworkError)?;
        let Some(prefix) = prefix else { return Ok(address.into()) };
        let is_number = (1..=3).contains(&prefix.len()) && prefix.bytes().all(|byte| byte.is_ascii_digit());
        let prefix = if is_number { prefix.parse().map_err(|_| NetworkError)? } else { return Err(NetworkError) };
        let (address, prefix) = canonical(address, prefix);
        first(address, prefix).map(|address| Self { address, prefix }).ok_or(NetworkError)
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

/// A text is not a network in CIDR notation. [`Display`](fmt::Display) says what one looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NetworkError;

impl fmt::Display for NetworkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a network looks like 192.0.2.0/24, 2001:db8::/32 or 192.0.2.1")
    }
}

impl std::error::Error for NetworkError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_belong_to_their_network_alone() {
        for (network, inside, outside) in [
            ("192.0.2.0/24", "192.0.2.255", "192.0.3.0"),
            ("192.0.2.77/24", "192.0.2.1", "192.0.1.255"),
            ("192.0.2.1", "192.0.2.1", "192.0.2.0"),
            ("192.0.2.128/25", "::ffff:192.0.2.200", "192.0.2.127"),
            ("2001:db8::/33", "2001:db8:7fff::1", "2001:db8:8000::"),
            ("::1", "::1", "::2"),
            ("::ffff:10.0.0.0/104", "10.255.0.1", "11.0.0.1"),
            ("::ffff:0:0/96", "192.0.2.1", "::1"),
            ("0.0.0.0/0", "255.255.255.255", "::1"),
            ("::/0", "2001:db8::1", "192.0.2.1"),
        ] {
            let parsed: Network = network.parse().expect("a network");
            assert!(parsed.contains(inside.parse().expect("an address")), "{network} {inside}");
            assert!(!parsed.contains(outside.parse().expect("an address")), "{network} {outside}");
        }
        let mapped: Network = "::ffff:192.0.2.1".parse().expect("an address");
        assert_eq!(mapped.to_string(), "192.0.2.1/32");
    }

    #[test]
    fn anything_else_is_no_network() {
        for text in [
            "",
            "/",
            "10.0.0.0/",
            "10.0.0.0/33",
            "::/129",
            "::ffff:10.0.0.0/129",
            "10.0.0/8",
            "10.0.0.0/+8",
            "10.0.0.0/08x",
            "host",
            "::1%lo",
        ] {
            assert_eq!(text.parse::<Network>(), Err(NetworkError), "{text:?}");
        }
    }
}
