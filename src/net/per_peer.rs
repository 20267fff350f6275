//! How many connections each peer has: the limit on one peer's share of the server.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Counts connections by peer, queued and served ones together.
#[derive(Debug)]
pub(crate) struct PeerLimit {
    limit: usize,
    counts: Mutex<HashMap<IpAddr, usize>>,
}

impl PeerLimit {
    /// `limit` connections for each peer.
    pub(crate) fn new(limit: usize) -> Self {
        Self { limit, counts: Mutex::default() }
    }

    /// Takes a place for one more connection of `address`, if its peer may have one.
    pub(crate) fn enter(self: &Arc<Self>, address: IpAddr) -> Option<PeerPlace> {
        let peer = peer_of(address);
        let mut counts = self.lock();
        let count = counts.entry(peer).or_default();
        if *count == self.limit {
            return None;
        }
        *count += 1;
        Some(PeerPlace { peers: Arc::clone(self), peer })
    }

    /// The lock is never held while anything can panic, so a poisoned one is as good as any.
    fn lock(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns the peer that an address belongs to: an IPv4 address is one peer, and so is an IPv6 /64, because a single
/// host can use every address of it (RFC 4291, section 2.5.1).
pub(crate) fn peer_of(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        // Neighbours on one link share fe80::/64 (RFC 4291, section 2.5.6).
        IpAddr::V6(link_local) if link_local.is_unicast_link_local() => address,
        IpAddr::V6(address) => {
            const HOST_BITS: u32 = 64;
            Ipv6Addr::from_bits(address.to_bits() >> HOST_BITS << HOST_BITS).into()
        }
    }
}

/// One connection's place, given back on drop.
#[derive(Debug)]
pub(crate) struct PeerPlace {
    peers: Arc<PeerLimit>,
    peer: IpAddr,
}

impl Drop for PeerPlace {
    fn drop(&mut self) {
        let mut counts = self.peers.lock();
        // A peer without connections is forgotten, or the map would grow with every address ever seen.
        if let Some(count) = counts.get_mut(&self.peer) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.peer);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn each_peer_has_its_own_limit_and_gets_its_places_back() {
        let peers = Arc::new(PeerLimit::new(2));
        let first = peers.enter(ip("192.0.2.1")).expect("a place");
        let second = peers.enter(ip("192.0.2.1")).expect("a place");
        assert!(peers.enter(ip("192.0.2.1")).is_none());
        let other = peers.enter(ip("192.0.2.2")).expect("a place");
        drop(first);
        let third = peers.enter(ip("192.0.2.1")).expect("a place");
        drop((second, third, other));
        assert!(peers.lock().is_empty());
    }

    #[test]
    fn an_ipv6_network_of_64_bits_is_one_peer() {
        let peers = Arc::new(PeerLimit::new(1));
        let _one = peers.enter(ip("2001:db8:0:1::1")).expect("a place");
        assert!(peers.enter(ip("2001:db8:0:1:ffff::2")).is_none());
        assert!(peers.enter(ip("2001:db8:0:2::1")).is_some());
        // Neighbours on a link are hosts of their own.
        let _neighbour = peers.enter(ip("fe80::a")).expect("a place");
        assert!(peers.enter(ip("fe80::b")).is_some());
        assert!(peers.enter(ip("fe80::a")).is_none());
    }
}
