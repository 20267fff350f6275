//! Bytes that are changed or left out.

use super::random::{Chance, Random, Sequence};

/// Corrupts and drops the bytes of one stream of answers. Each byte takes the next decision, whatever the calls are.
#[derive(Clone, Debug)]
pub(crate) struct Noise {
    corrupt: Option<Chance>,
    drop: Option<Chance>,
}

/// How many bytes of a call were changed and left out. A byte can be both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Damage {
    pub(crate) corrupted: u64,
    pub(crate) dropped: u64,
}

impl Noise {
    /// Returns `None` if nothing is to be done.
    pub(crate) fn new(corrupt: f64, drop: f64, seed: u64, client: u64) -> Option<Self> {
        let chance = |probability, sequence| Chance::new(probability, Random::new(seed, client, sequence));
        let (corrupt, drop) = (chance(corrupt, Sequence::Corrupt), chance(drop, Sequence::Drop));
        (corrupt.is_some() || drop.is_some()).then_some(Self { corrupt, drop })
    }

    /// Appends what is left of `bytes` to `out`.
    pub(crate) fn pass(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Damage {
        let mut damage = Damage::default();
        out.reserve(bytes.len());
        for byte in bytes {
            let mut byte = *byte;
            if let Some(corrupt) = &mut self.corrupt
                && corrupt.decide()
            {
                // Never zero, so that a corrupted byte always differs.
                byte ^= 1 + corrupt.below(255) as u8;
                damage.corrupted += 1;
            }
            if self.drop.as_mut().is_some_and(Chance::decide) {
                damage.dropped += 1;
            } else {
                out.push(byte);
            }
        }
        damage
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LENGTH: usize = 1_000_000;

    /// Passes bytes that are all zero, cut into calls of these lengths over and over.
    fn pass(corrupt: f64, drop: f64, client: u64, cuts: &[usize]) -> (Vec<u8>, Damage) {
        let mut noise = Noise::new(corrupt, drop, 7, client).expect("there is something to do");
        let (mut out, mut total) = (Vec::new(), Damage::default());
        let (mut left, mut cuts) = (LENGTH, cuts.iter().cycle());
        while left > 0 {
            let count = left.min(*cuts.next().expect("they repeat"));
            let damage = noise.pass(&vec![0; count], &mut out);
            total.corrupted += damage.corrupted;
            total.dropped += damage.dropped;
            left -= count;
        }
        (out, total)
    }

    #[test]
    fn the_damage_does_not_depend_on_cuts_and_is_another_for_each_client() {
        let whole = pass(0.01, 0.01, 1, &[LENGTH]);
        assert_eq!(whole, pass(0.01, 0.01, 1, &[1, 7, 1500, 2]));
        assert_ne!(whole, pass(0.01, 0.01, 2, &[LENGTH]));
    }

    #[test]
    fn one_kind_does_not_move_another() {
        let (corrupted, _) = pass(0.01, 0.0, 1, &[LENGTH]);
        let (_, alone) = pass(0.0, 0.01, 1, &[LENGTH]);
        let (both, damage) = pass(0.01, 0.01, 1, &[LENGTH]);
        assert_eq!(damage.dropped, alone.dropped);
        // What is left of the one is a subsequence of the other.
        let mut all = corrupted.iter();
        assert!(both.iter().all(|byte| all.any(|other| other == byte)));
    }

    #[test]
    fn the_rates_are_those_that_were_asked_for_and_every_corrupted_byte_differs() {
        for probability in [0.001, 0.1, 1.0] {
            let (out, damage) = pass(probability, 0.0, 1, &[LENGTH]);
            let changed = out.iter().filter(|byte| **byte != 0).count() as f64;
            assert_eq!((out.len(), changed), (LENGTH, damage.corrupted as f64));
            let share = changed / LENGTH as f64;
            assert!((0.9..1.1).contains(&(share / probability)), "{share} of {probability}");
            let (out, damage) = pass(0.0, probability, 1, &[LENGTH]);
            assert_eq!(out.len() as u64 + damage.dropped, LENGTH as u64);
            assert!((0.9..1.1).contains(&(damage.dropped as f64 / LENGTH as f64 / probability)));
        }
    }
}
