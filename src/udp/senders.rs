//! How many answers each sender gets: a token bucket for each, in a table of fixed size.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use crate::net::per_peer::peer_of;
use crate::rate::{Bucket, Rate};

/// Senders that are remembered at a time.
const SENDERS: usize = 4096;

/// A full bucket holds the answers of this time.
const BURST: Duration = Duration::from_secs(1);

/// The buckets of the senders.
///
/// A sender whose bucket is full is the same as one that was never seen, so no sender gains by being forgotten, and
/// forged senders cannot push out the bucket of another. While no sender can be forgotten, newcomers get no answer.
#[derive(Debug)]
pub(super) struct SenderRates {
    rate: Rate,
    buckets: HashMap<IpAddr, Bucket>,
    /// The bucket that will be full first: before that, looking for a sender to forget is in vain.
    first_full: Option<Bucket>,
}

impl SenderRates {
    /// `rate` answers a second for each sender, and as many at once.
    pub(super) fn new(rate: usize) -> Self {
        Self { rate: Rate::new(rate as u64, BURST), buckets: HashMap::new(), first_full: None }
    }

    /// Takes an answer out of the sender's bucket. Returns whether there was one.
    pub(super) fn take(&mut self, sender: IpAddr, now: Instant) -> bool {
        let sender = peer_of(sender);
        if !self.has_place(sender, now) {
            return false;
        }
        let bucket = self.buckets.entry(sender).or_insert_with(|| self.rate.full_bucket(now));
        self.rate.try_take(bucket, 1, now)
    }

    /// Returns whether the sender is in the table or can be.
    fn has_place(&mut self, sender: IpAddr, now: Instant) -> bool {
        if self.buckets.len() < SENDERS || self.buckets.contains_key(&sender) {
            return true;
        }
        if self.first_full.is_none_or(|bucket| bucket.is_full(now)) {
            self.buckets.retain(|_, bucket| !bucket.is_full(now));
            self.first_full = self.buckets.values().min().copied();
        }
        self.buckets.len() < SENDERS
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
    fn burst(limit: &mut SenderRates, sender: IpAddr, now: Instant) -> usize {
        (0..100).filter(|_| limit.take(sender, now)).count()
    }

    #[test]
    fn each_sender_gets_its_rate_and_no_more() {
        let now = Instant::now();
        let mut limit = SenderRates::new(10);
        assert_eq!(burst(&mut limit, sender(1), now), 10);
        assert_eq!(burst(&mut limit, sender(2), now), 10);
        assert_eq!(burst(&mut limit, sender(1), now + BURST / 2), 5);
        assert_eq!(burst(&mut limit, sender(1), now + 10 * BURST), 10);
        // A rate by which a second cannot be divided.
        assert_eq!(burst(&mut SenderRates::new(7), sender(1), now), 7);
    }

    #[test]
    fn an_ipv6_network_of_64_bits_is_one_sender() {
        let now = Instant::now();
        let mut limit = SenderRates::new(1);
        let address = |network, host| IpAddr::from(Ipv6Addr::new(0x2001, 0xdb8, 0, network, 0, 0, 0, host));
        assert!(limit.take(address(1, 1), now));
        assert!(!limit.take(address(1, 2), now));
        assert!(limit.take(address(2, 1), now));
    }

    #[test]
    fn the_table_is_bounded_and_forgets_only_full_buckets() {
        let now = Instant::now();
        let mut limit = SenderRates::new(2);
        assert_eq!(burst(&mut limit, sender(0), now), 2);
        for number in 1..2 * SENDERS {
            assert_eq!(limit.take(sender(number), now), number < SENDERS);
        }
        assert_eq!(limit.buckets.len(), SENDERS);
        // All but the first have earned back what they took.
        let later = now + BURST * 3 / 4;
        assert!(limit.take(sender(SENDERS), later));
        assert_eq!(limit.buckets.len(), 2);
        assert_eq!(burst(&mut limit, sender(0), later), 1);
    }
}
