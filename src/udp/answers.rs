//! Which senders may be answered, and how much: what keeps a UDP server from looping and from being used against
//! others.

use std::net::{IpAddr, SocketAddr};

/// The lowest port that is answered. Below it are services, some of which answer whatever they get: echo
/// itself (7), chargen (19), DNS (53).
const LOWEST_PORT: u16 = 1024;

/// Higher ports of services that answer datagrams of strangers, some of them whatever they get, and that are used to
/// attack others: SQL Server Browser, SSDP, WS-Discovery, mDNS, CoAP, memcached. No system chooses them for a client,
/// but for the lowest two on some that begin at 1024.
const SERVICES: [u16; 6] = [1434, 1900, 3702, 5353, 5683, 11211];

/// Bytes of the header of UDP.
const UDP: usize = 8;

/// How datagrams travel over one version of IP, in bytes, where packets have at most 1,500.
#[derive(Debug)]
struct Wire {
    /// The header of a packet that is not a fragment.
    header: usize,
    /// The headers of each fragment.
    fragment_headers: usize,
    /// What a full fragment carries: a multiple of 8.
    fragment: usize,
    /// The largest payload of a datagram that is not fragmented.
    whole: usize,
    /// The largest payload of a datagram.
    largest: usize,
}

const V4: Wire = Wire { header: 20, fragment_headers: 20, fragment: 1480, whole: 1472, largest: 65_507 };
const V6: Wire = Wire { header: 40, fragment_headers: 48, fragment: 1448, whole: 1452, largest: 65_527 };

impl Wire {
    fn of(peer: SocketAddr) -> &'static Self {
        if peer.is_ipv4() { &V4 } else { &V6 }
    }

    /// Returns the bytes of the packets that carry an answer of `payload` bytes.
    fn length(&self, payload: usize) -> usize {
        let datagram = UDP + payload;
        if payload <= self.whole {
            return self.header + datagram;
        }
        datagram + self.fragment_headers * datagram.div_ceil(self.fragment)
    }

    /// Returns the longest payload whose packets have at most `length` bytes, which is enough for an empty one.
    fn longest(&self, length: usize) -> usize {
        let full = self.fragment_headers + self.fragment;
        let last = (length % full).saturating_sub(self.fragment_headers);
        let fragmented = (length / full).saturating_mul(self.fragment).saturating_add(last).saturating_sub(UDP);
        let whole = (length - self.header - UDP).min(self.whole);
        fragmented.max(whole).min(self.largest)
    }

    /// Returns how many bytes the answers to a question of `question` bytes may have on the wire. It counts as one packet,
    /// because its sender's network may carry larger ones.
    fn bound(&self, question: usize, amplification: usize) -> usize {
        amplification.saturating_mul(self.header + UDP + question)
    }
}

/// Returns whether a datagram from `peer`, in canonical form, may be answered by a server on `own` addresses.
///
/// The sender's address can be forged. Its port must not be a service's, nor one of the server's own: an answer there
/// would come back to the server itself, or reach another one like it. Its address must be a single host's. An echo
/// server on another high port cannot be recognised, because what it sends back looks like a client's question: the
/// rate limit bounds that. The broadcast address of a network is known to the system alone, which sends nothing there.
pub(super) fn may_answer(peer: SocketAddr, own: &[SocketAddr]) -> bool {
    peer.port() >= LOWEST_PORT
        && !SERVICES.contains(&peer.port())
        && !own.iter().any(|own| own.port() == peer.port())
        && is_host(peer.ip())
}

/// Returns whether a datagram can come from there: the address is not unspecified, of a group, or reserved.
fn is_host(address: IpAddr) -> bool {
    match address {
        // 0.0.0.0/8 means "this network" (RFC 1122, section 3.2.1.3), 224.0.0.0/4 are groups, and 240.0.0.0/4 is
        // reserved (RFC 1112, section 4); the last of it is the broadcast address.
        IpAddr::V4(address) => (1..224).contains(&address.octets()[0]),
        IpAddr::V6(address) => !address.is_unspecified() && !address.is_multicast(),
    }
}

/// Returns the longest answer to a question of `question` bytes from `peer`, in canonical form, in bytes: its packets
/// have at most `amplification` times the bytes of the question's packet together, and it fits a datagram. One that is no
/// longer than the question is always allowed.
pub(super) fn longest_answer(question: usize, peer: SocketAddr, amplification: usize) -> usize {
    let wire = Wire::of(peer);
    wire.longest(wire.bound(question, amplification)).max(question.min(wire.largest))
}

/// Returns whether an answer of `answer` bytes may be sent twice: the packets of both have at most `amplification` times
/// the bytes of the question's packet together, or each is no longer than the question.
pub(super) fn may_copy(question: usize, answer: usize, peer: SocketAddr, amplification: usize) -> bool {
    let wire = Wire::of(peer);
    2 * wire.length(answer) <= wire.bound(question, amplification) || answer <= question && amplification >= 2
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
            ("192.0.2.1:11211", false),
            ("[2001:db8::1]:5353", false),
            ("0.0.0.0:5000", false),
            ("0.1.2.3:5000", false),
            ("240.0.0.1:5000", false),
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

    #[test]
    fn an_answer_is_bounded_by_its_packet_and_by_the_largest_datagram() {
        for (question, peer, amplification, longest) in [
            (0, "192.0.2.1:5000", 10, 252),
            (1, "192.0.2.1:5000", 10, 262),
            (1, "[2001:db8::1]:5000", 10, 442),
            (100, "192.0.2.1:5000", 1, 100),
            (65_507, "192.0.2.1:5000", 1, 65_507),
            (65_527, "[2001:db8::1]:5000", 2, 65_527),
            (1, "192.0.2.1:5000", usize::MAX, 65_507),
            (1, "[2001:db8::1]:5000", usize::MAX, 65_527),
            // Headers of fragments count.
            (122, "192.0.2.1:5000", 10, 1472),
            (123, "192.0.2.1:5000", 10, 1472),
            (124, "192.0.2.1:5000", 10, 1480 + 20 - 28),
            (126, "192.0.2.1:5000", 10, 1492),
            (1000, "192.0.2.1:5000", 10, 10_280 - 28 - 6 * 20),
            (102, "[2001:db8::1]:5000", 10, 1452),
            (112, "[2001:db8::1]:5000", 10, 1496),
            (1000, "[2001:db8::1]:5000", 10, 7 * 1448 - 8),
            (9000, "[2001:db8::1]:5000", 1, 9000),
        ] {
            let peer: SocketAddr = peer.parse().expect("an address");
            assert_eq!(longest_answer(question, peer, amplification), longest, "{question} {peer} {amplification}");
        }
    }

    #[test]
    fn the_longest_payload_is_the_last_that_fits() {
        for wire in [V4, V6] {
            for length in wire.header + UDP..70_000 {
                let longest = wire.longest(length);
                assert!(wire.length(longest) <= length, "{length} {wire:?}");
                assert!(longest == wire.largest || wire.length(longest + 1) > length, "{length} {wire:?}");
            }
        }
    }

    #[test]
    fn an_answer_and_its_copy_keep_to_the_bound_together() {
        for (question, answer, peer, amplification, expected) in [
            (100, 100, "192.0.2.1:5000", 1, false),
            (100, 100, "192.0.2.1:5000", 2, true),
            (100, 101, "192.0.2.1:5000", 2, false),
            (0, 112, "192.0.2.1:5000", 10, true),
            (0, 113, "192.0.2.1:5000", 10, false),
            (0, 192, "[2001:db8::1]:5000", 10, true),
            (0, 65_507, "192.0.2.1:5000", usize::MAX, true),
            (9000, 9000, "192.0.2.1:5000", 1, false),
            (9000, 9000, "192.0.2.1:5000", 2, true),
            (9000, 9001, "192.0.2.1:5000", 2, false),
            (1000, 5112, "192.0.2.1:5000", 10, false),
        ] {
            let peer: SocketAddr = peer.parse().expect("an address");
            assert_eq!(may_copy(question, answer, peer, amplification), expected, "{question} {answer} {peer}");
        }
    }
}
