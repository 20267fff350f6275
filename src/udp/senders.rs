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

/// Senders that are forgotten when the table is full: so many at once that looking for them costs each newcomer little.
const FORGOTTEN: usize = SENDERS / 16;

/// The buckets of the senders.
///
/// A sender whose bucket is full is the same as one that was never seen. When the table is full, those whose buckets
/// will be full first are forgotten, so that newcomers are answered however many senders are forged.
#[derive(Debug)]
pub(super) struct SenderRates {
    rate: Rate,
    buckets: HashMap<IpAddr, Bucket>,
}

impl SenderRates {
    /// `rate` answers a second for each sender, and as many at once.
    pub(super) fn new(rate: usize) -> Self {
        Self { rate: Rate::new(rate as u64, BURST), buckets: HashMap::new() }
    }

    /// Takes an answer out of the sender's bucket. Returns whether there was one.
    pub(super) fn take(&mut self, sender: IpAddr, now: Instant) -> bool {
        let sender = peer_of(sender);
        if self.buckets.len() >= SENDERS && !self.buckets.contains_key(&sender) {
            self.forget();
        }
        let bucket = self.buckets.entry(sender).or_insert_with(|| self.rate.full_bucket(now));
        self.rate.try_take(bucket, 1, now)
    }

    fn forget(&mut self) {
        let mut buckets: Vec<(Bucket, IpAddr)> =
            self.buckets.iter().map(|(sender, bucket)| (*bucket, *sender)).collect();
        buckets.select_nth_unstable(FORGOTTEN);
        for (_, sender) in &buckets[..FORGOTTEN] {
            self.buckets.remove(sender);
        }
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
    fn a_full_table_forgets_the_buckets_that_will_be_full_first_and_answers_newcomers() {
        let now = Instant::now();
        let mut limit = SenderRates::new(2);
        assert_eq!(burst(&mut limit, sender(0), now), 2);
        for number in 1..10 * SENDERS {
            assert!(limit.take(sender(number), now));
            assert!(limit.buckets.len() <= SENDERS);
        }
        // The one that has taken most is remembered longest.
        assert_eq!(burst(&mut limit, sender(0), now), 0);
    }
}
