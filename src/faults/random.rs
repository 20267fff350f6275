//! Chance that is the same in every run: a generator of numbers, and decisions by it.

use std::ops::RangeInclusive;
use std::time::Duration;

/// What chance decides. Each has a sequence of numbers of its own, so that none changes when another is switched on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sequence {
    Delay = 1,
    Corrupt = 2,
    Drop = 3,
    Duplicate = 4,
    Reorder = 5,
}

/// A sequence of numbers that look random: splitmix64 (Steele, Lea and Flood, 2014).
///
/// It is not a crate's, because the numbers are a promise: a version that draws others would change every test that
/// repeats a seed.
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    /// The sequence of one client, or one socket for datagrams, and one kind of decision.
    pub(crate) fn new(seed: u64, client: u64, sequence: Sequence) -> Self {
        // Each step mixes, so that neighbours among seeds and clients have nothing in common.
        let mut start = Self(seed);
        for part in [client, sequence as u64] {
            start = Self(start.next() ^ part);
        }
        Self(start.next())
    }

    /// Returns the next number.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Returns a number below `bound`.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(bound)) >> 64) as u64
    }

    /// Returns a duration in `range`; one that ends before it begins is its start.
    pub(crate) fn duration(&mut self, range: &RangeInclusive<Duration>) -> Duration {
        let span = range.end().saturating_sub(*range.start()).as_nanos();
        let span = u64::try_from(span).unwrap_or(u64::MAX).saturating_add(1);
        *range.start() + Duration::from_nanos(self.below(span))
    }
}

/// The delays of answers, with the sequence that they are drawn from.
#[derive(Clone, Debug)]
pub(crate) struct Delays {
    range: RangeInclusive<Duration>,
    random: Random,
}

impl Delays {
    /// Returns `None` if no answer is delayed.
    pub(crate) fn new(range: Option<&RangeInclusive<Duration>>, seed: u64, stream: u64) -> Option<Self> {
        Some(Self { range: range?.clone(), random: Random::new(seed, stream, Sequence::Delay) })
    }

    /// Draws the delay of the next answer, or `None` if that is zero.
    pub(crate) fn draw(&mut self) -> Option<Duration> {
        Some(self.random.duration(&self.range)).filter(|delay| !delay.is_zero())
    }
}

/// A probability, with the sequence that decides by it.
#[derive(Clone, Debug)]
pub(crate) struct Chance {
    /// Of 2^53 numbers, so many mean yes.
    yes: u64,
    random: Random,
}

impl Chance {
    /// Returns `None` if it never happens.
    pub(crate) fn new(probability: f64, random: Random) -> Option<Self> {
        // A power of two, so the product is exact and the same on every machine.
        let yes = (probability * (1_u64 << 53) as f64) as u64;
        (yes > 0).then_some(Self { yes, random })
    }

    /// Decides.
    pub(crate) fn decide(&mut self) -> bool {
        (self.random.next() >> 11) < self.yes
    }

    /// Returns a number below `bound`, which says more about a decision.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.random.below(bound)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KINDS: [Sequence; 5] =
        [Sequence::Delay, Sequence::Corrupt, Sequence::Drop, Sequence::Duplicate, Sequence::Reorder];

    #[test]
    fn the_numbers_are_those_of_every_version() {
        // The reference sequence of seed 0.
        let mut random = Random(0);
        assert_eq!([random.next(), random.next()], [0xe220_a839_7b1d_cdaf, 0x6e78_9e6a_a1b9_65f4]);
        assert_eq!(Random::new(7, 1, Sequence::Corrupt).next(), 0x46da_c02a_08aa_ea2c);
    }

    #[test]
    fn seeds_clients_and_kinds_have_sequences_of_their_own() {
        let mut starts = Vec::new();
        for seed in 0..8 {
            for client in 0..8 {
                for sequence in KINDS {
                    starts.push(Random::new(seed, client, sequence).next());
                }
            }
        }
        let count = starts.len();
        starts.sort_unstable();
        starts.dedup();
        assert_eq!(starts.len(), count);
    }

    #[test]
    fn durations_fill_their_range_and_keep_to_it() {
        let mut random = Random::new(0, 1, Sequence::Delay);
        let (start, end) = (Duration::from_nanos(10), Duration::from_nanos(12));
        let mut seen: Vec<_> = (0..100).map(|_| random.duration(&(start..=end)).as_nanos()).collect();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen, [10, 11, 12]);
        assert_eq!(random.duration(&(start..=start)), start);
        assert!(random.duration(&(Duration::ZERO..=Duration::MAX)) > Duration::ZERO);
    }

    #[test]
    fn certain_and_impossible_are_exact() {
        let random = || Random::new(0, 1, Sequence::Drop);
        assert!(Chance::new(0.0, random()).is_none() && Chance::new(f64::NAN, random()).is_none());
        let mut always = Chance::new(1.0, random()).expect("it happens");
        assert!((0..10_000).all(|_| always.decide()));
    }
}
