//! Which senders may be answered: what keeps an echo server from looping and from being used against others.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// The lowest port that is answered. Below it are services, some of which answer whatever they get: echo
/// itself (7), chargen (19), DNS (53).
const LOWEST_PORT: u16 = 1024;

/// Returns whether a datagram from `peer`, in canonical form, may be answered by a server on `own` addresses.
///
/// The sender's address can be forged. Its port must not be a service's, nor one of the server's own: an answer there
/// would come back to the server itself, or reach another one like it. Its address must be a single host's. An echo
/// server on another high port cannot be recognised, because what it sends back looks like a client's question: the
/// rate limit bounds that.
pub(super) fn may_answer(peer: SocketAddr, own: &[SocketAddr]) -> bool {
    let is_broadcast = peer.ip() == IpAddr::from(Ipv4Addr::BROADCAST);
    peer.port() >= LOWEST_PORT
        && !own.iter().any(|own| own.port() == peer.port())
        && !(peer.ip().is_unspecified() || peer.ip().is_multicast() || is_broadcast)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_the_server_itself_and_groups_are_not_answered() {
        for (peer, expected) in [
            ("192.0.2.1:1024", true),
            ("[2001:db8::1]:65535", true),
            ("127.0.0.1:5000", true),
            ("192.0.2.1:1023", false),
            ("192.0.2.1:7", false),
            ("192.0.2.1:0", false),
            ("[2001:db8::1]:19", false),
            ("127.0.0.1:1234", false),
            ("192.0.2.1:1234", false),
            ("[::1]:4321", false),
            ("0.0.0.0:5000", false),
            ("[::]:5000", false),
            ("255.255.255.255:5000", false),
            ("224.0.0.1:5000", false),
            ("[ff02::1]:5000", false),
        ] {
            let peer: SocketAddr = peer.parse().expect("an address");
            let own = [1234, 4321].map(|port| ([127, 0, 0, 1], port).into());
            assert_eq!(may_answer(peer, &own), expected, "{peer}");
        }
    }
}
