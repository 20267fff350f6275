//! How many answers each sender gets: a token bucket for each, in a table of fixed size. No clock of its own.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use crate::net::per_peer::peer_of;

/// Senders that are remembered at a time.
const SENDERS: usize = 4096;

/// What a bucket holds: the answers of so long a time.
const BURST: Duration = Duration::from_secs(1);

/// The buckets.
///
/// A sender whose bucket is full is the same as one that was never seen, so nobody gains by being forgotten,
/// and forged senders cannot push out the count of another. While no sender can be forgotten, newcomers get
/// no answer.
#[derive(Debug)]
pub(super) struct RateLimit {
    /// How long it takes to earn one answer.
    interval: Duration,
    /// When each sender's bucket will be full again.
    full_at: HashMap<IpAddr, Instant>,
    /// When the next sender can be forgotten: before that, looking for one is in vain.
    full_until: Option<Instant>,
}

impl RateLimit {
    /// `rate` answers a second for each sender, and as many at once. `rate` is not zero.
    pub(super) fn new(rate: usize) -> Self {
        // Rounded down, so that all of the rate fits a burst.
        let interval = Duration::from_nanos(BURST.as_nanos() as u64 / rate as u64);
        Self { interval, full_at: HashMap::new(), full_until: None }
    }

    /// Takes an answer out of the sender's bucket, if there is one.
    pub(super) fn takes(&mut self, sender: IpAddr, now: Instant) -> bool {
        let sender = peer_of(sender);
        let full_at = self.full_at.get(&sender).map_or(now, |full_at| now.max(*full_at)) + self.interval;
        if full_at > now + BURST || !self.has_place(sender, now) {
            return false;
        }
        self.full_at.insert(sender, full_at);
        true
    }

    /// Whether the sender is in the table or can be.
    fn has_place(&mut self, sender: IpAddr, now: Instant) -> bool {
        if self.full_at.len() < SENDERS || self.full_at.contains_key(&sender) {
            return true;
        }
        if self.full_until.is_none_or(|until| until <= now) {
            self.full_at.retain(|_, full_at| *full_at > now);
            self.full_until = self.full_at.values().min().copied();
        }
        self.full_at.len() < SENDERS
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use super::*;

    fn sender(number: usize) -> IpAddr {
        Ipv4Addr::from_bits(0x0a00_0000 + number as u32).into()
    }

    /// How many answers a sender gets at once.
    fn burst(limit: &mut RateLimit, sender: IpAddr, now: Instant) -> usize {
        (0..100).filter(|_| limit.takes(sender, now)).count()
    }

    #[test]
    fn each_sender_gets_its_rate_and_no_more() {
        let now = Instant::now();
        let mut limit = RateLimit::new(10);
        assert_eq!(burst(&mut limit, sender(1), now), 10);
        assert_eq!(burst(&mut limit, sender(2), now), 10);
        assert_eq!(burst(&mut limit, sender(1), now + BURST / 2), 5);
        assert_eq!(burst(&mut limit, sender(1), now + 10 * BURST), 10);
        // A rate by which a second cannot be divided.
        assert_eq!(burst(&mut RateLimit::new(7), sender(1), now), 7);
    }

    #[test]
    fn an_ipv6_network_of_64_bits_is_one_sender() {
        let now = Instant::now();
        let mut limit = RateLimit::new(1);
        let address = |network, host| IpAddr::from(Ipv6Addr::new(0x2001, 0xdb8, 0, network, 0, 0, 0, host));
        assert!(limit.takes(address(1, 1), now));
        assert!(!limit.takes(address(1, 2), now));
        assert!(limit.takes(address(2, 1), now));
    }

    #[test]
    fn the_table_is_bounded_and_forgets_only_full_buckets() {
        let now = Instant::now();
        let mut limit = RateLimit::new(2);
        assert_eq!(burst(&mut limit, sender(0), now), 2);
        for number in 1..2 * SENDERS {
            assert_eq!(limit.takes(sender(number), now), number < SENDERS);
        }
        assert_eq!(limit.full_at.len(), SENDERS);
        // All but the first have earned back what they took.
        let later = now + BURST * 3 / 4;
        assert!(limit.takes(sender(SENDERS), later));
        assert_eq!(limit.full_at.len(), 2);
        assert_eq!(burst(&mut limit, sender(0), later), 1);
    }
}
