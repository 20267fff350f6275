//! [`DatagramFaults`]: faults in the answers to datagrams, and what chance decides about each answer.
//!
//! Nothing is sent or delayed here: that is the work of the UDP server.

use std::fmt;
use std::ops::RangeInclusive;
use std::time::Duration;

use super::noise::Noise;
use super::random::{Chance, Delays, Random, Sequence};
use super::{check_delay, check_probabilities, shown_chance, shown_delay, varies};
use crate::config::setters;
use crate::error::Error;

/// Faults to make on purpose in the answers to datagrams, for tests of clients. By default there are none.
/// [`UdpServer::with_faults`](crate::UdpServer::with_faults) takes them.
///
/// ```
/// use std::time::Duration;
///
/// use hebra::{DatagramFaults, UdpConfig, UdpServer};
///
/// let faults = DatagramFaults::default()
///     .delay(Duration::from_millis(50)..=Duration::from_millis(80))
///     .drop(0.01)
///     .seed(7);
/// assert_eq!(faults.to_string(), "delay=50ms..80ms drop=0.01 seed=7");
///
/// let config = UdpConfig::default().listen(["127.0.0.1:0"]).echo(true);
/// let server = UdpServer::bind(config)?.with_faults(faults).start()?;
/// # drop(server);
/// # Ok::<(), hebra::Error>(())
/// ```
///
/// # What is the same in every run
///
/// Chance starts from the seed, the number of the socket and the kind of the fault. Sockets are numbered from 1, in the
/// order of [`UdpServer::addresses`](crate::UdpServer::addresses). So the answer with the same number at the same socket
/// has the same faults in every run, and one kind does not change when another is switched on. Which bytes are corrupted
/// depends on their positions among all answers of the socket, lost ones included.
///
/// # What is counted
///
/// [`UdpStats::faults_by_kind`](crate::UdpStats::faults_by_kind) counts the faults. The rules for answers come first:
/// datagrams that are withheld or beyond the rate of their sender have no answer, and take no part in chance.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct DatagramFaults {
    /// How long each answer waits, drawn anew from this range for each. Answers wait side by side, so one with a short
    /// delay overtakes one with a long delay. One for which zero is drawn does not wait. Default: `None`.
    pub delay: Option<RangeInclusive<Duration>>,
    /// The probability with which an answer is lost. Default: 0.
    pub drop: f64,
    /// The probability with which each byte of an answer is changed to another one. Default: 0.
    pub corrupt: f64,
    /// The probability with which an answer is sent twice, one right behind the other. The copy counts against
    /// [`rate`](crate::UdpConfig::rate), and both together against [`amplification`](crate::UdpConfig::amplification):
    /// where one of them does not allow it, there is no copy. Default: 0.
    pub duplicate: f64,
    /// The probability with which an answer, when it is due, is held back until another answer of its socket has been
    /// sent that is not held back itself, and for 100 ms at most. Default: 0.
    pub reorder: f64,
    /// Where chance begins: see above. Default: 0.
    pub seed: u64,
}

setters!(DatagramFaults {
    delay: impl Into<Option<RangeInclusive<Duration>>>,
    drop: f64,
    corrupt: f64,
    duplicate: f64,
    reorder: f64,
    seed: u64,
});

impl DatagramFaults {
    /// Returns whether there are any faults.
    #[must_use]
    pub fn are_any(&self) -> bool {
        self.delay.is_some() || self.has_chance()
    }

    /// Returns whether any of them depend on chance, and so on the seed.
    #[must_use]
    pub fn are_random(&self) -> bool {
        varies(self.delay.as_ref()) || self.has_chance()
    }

    fn has_chance(&self) -> bool {
        self.probabilities().iter().any(|(_, probability)| *probability > 0.0)
    }

    fn probabilities(&self) -> [(&'static str, f64); 4] {
        [("corrupt", self.corrupt), ("drop", self.drop), ("duplicate", self.duplicate), ("reorder", self.reorder)]
    }

    /// Checks every field. [`UdpServer::start`](crate::UdpServer::start) does so too.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] with the first field that cannot work.
    pub fn validate(&self) -> Result<(), Error> {
        check_delay(self.delay.as_ref())?;
        check_probabilities(self.probabilities())
    }
}

/// The fields that are set: `delay=50ms..80ms drop=0.01 seed=7`.
impl fmt::Display for DatagramFaults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let chances = self.probabilities().map(|(name, probability)| shown_chance(name, probability));
        let seed = self.are_random().then(|| format!("seed={}", self.seed));
        let fields = shown_delay(self.delay.as_ref()).into_iter().chain(chances.into_iter().flatten()).chain(seed);
        f.write_str(&fields.collect::<Vec<_>>().join(" "))
    }
}

/// What chance decides about the answers of one socket.
#[derive(Clone, Debug)]
pub(crate) struct AnswerChance {
    delay: Option<Delays>,
    noise: Option<Noise>,
    drop: Option<Chance>,
    duplicate: Option<Chance>,
    reorder: Option<Chance>,
}

/// What happens to one answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fate {
    pub(crate) is_lost: bool,
    pub(crate) is_duplicated: bool,
    pub(crate) is_reordered: bool,
    /// Not zero.
    pub(crate) delay: Option<Duration>,
}

impl AnswerChance {
    /// Returns `None` if there are no faults.
    pub(crate) fn new(faults: &DatagramFaults, socket: u64) -> Option<Self> {
        let chance = |probability, sequence| Chance::new(probability, Random::new(faults.seed, socket, sequence));
        faults.are_any().then(|| Self {
            delay: Delays::new(faults.delay.as_ref(), faults.seed, socket),
            noise: Noise::new(faults.corrupt, 0.0, faults.seed, socket),
            drop: chance(faults.drop, Sequence::Drop),
            duplicate: chance(faults.duplicate, Sequence::Duplicate),
            reorder: chance(faults.reorder, Sequence::Reorder),
        })
    }

    /// Returns whether answers can wait.
    pub(crate) fn can_wait(&self) -> bool {
        self.delay.is_some() || self.reorder.is_some()
    }

    /// Decides about the next answer. Every kind takes its decision, so that none depends on another.
    pub(crate) fn decide(&mut self) -> Fate {
        let decide = |chance: &mut Option<Chance>| chance.as_mut().is_some_and(Chance::decide);
        Fate {
            is_lost: decide(&mut self.drop),
            is_duplicated: decide(&mut self.duplicate),
            is_reordered: decide(&mut self.reorder),
            delay: self.delay.as_mut().and_then(Delays::draw),
        }
    }

    /// Writes the answer to `changed` with some bytes corrupted. Returns how many, or `None` if that cannot happen;
    /// `changed` is then untouched.
    pub(crate) fn corrupt(&mut self, answer: &[u8], changed: &mut Vec<u8>) -> Option<u64> {
        let noise = self.noise.as_mut()?;
        changed.clear();
        Some(noise.pass(answer, changed).corrupted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TICK: Duration = Duration::from_millis(1);

    #[test]
    fn a_field_that_cannot_work_is_named_and_those_that_are_set_are_shown() {
        for (faults, wrong) in [
            (DatagramFaults::default().delay(2 * TICK..=TICK), "delay"),
            (DatagramFaults::default().delay(TICK..=Duration::MAX), "delay"),
            (DatagramFaults::default().delay(Duration::ZERO..=Duration::ZERO), "delay"),
            (DatagramFaults::default().drop(1.1), "drop"),
            (DatagramFaults::default().corrupt(f64::NAN), "corrupt"),
            (DatagramFaults::default().duplicate(-0.1), "duplicate"),
            (DatagramFaults::default().reorder(f64::INFINITY), "reorder"),
            (DatagramFaults::default().duplicate(1e-300), "duplicate"),
        ] {
            let error = faults.validate().expect_err(wrong);
            assert!(matches!(error, Error::Config { field, .. } if field == wrong), "{error}");
        }
        assert!(!DatagramFaults::default().are_any() && DatagramFaults::default().to_string().is_empty());
        let faults = DatagramFaults::default().delay(TICK..=TICK).seed(7);
        assert_eq!(faults.to_string(), "delay=1ms");
        let faults = faults.drop(0.5).corrupt(0.25).duplicate(1.0).reorder(0.125);
        assert_eq!(faults.to_string(), "delay=1ms corrupt=0.25 drop=0.5 duplicate=1 reorder=0.125 seed=7");
        assert!(faults.validate().is_ok());
    }

    #[test]
    fn an_answer_for_which_no_delay_is_drawn_does_not_wait() {
        let faults = DatagramFaults::default().delay(Duration::ZERO..=Duration::from_nanos(1));
        let mut chance = AnswerChance::new(&faults, 1).expect("there are faults");
        let delays: Vec<_> = (0..100).map(|_| chance.decide().delay).collect();
        assert!(delays.iter().all(|delay| delay.is_none_or(|delay| delay == Duration::from_nanos(1))));
        assert!(delays.contains(&None) && delays.iter().any(Option::is_some));
    }

    #[test]
    fn one_kind_does_not_move_another_and_sockets_differ() {
        let fates = |faults: DatagramFaults, socket| {
            let mut chance = AnswerChance::new(&faults, socket).expect("there are faults");
            (0..1000).map(|_| chance.decide()).collect::<Vec<_>>()
        };
        let all = DatagramFaults::default().delay(TICK..=2 * TICK).drop(0.5).duplicate(0.5).reorder(0.5);
        let both = fates(all.clone(), 1);
        for (alone, field) in [
            (
                all.clone().duplicate(0.0).reorder(0.0).delay(None),
                (|fate| u128::from(fate.is_lost)) as fn(&Fate) -> _,
            ),
            (all.clone().drop(0.0).reorder(0.0).delay(None), |fate| u128::from(fate.is_duplicated)),
            (all.clone().drop(0.0).duplicate(0.0).delay(None), |fate| u128::from(fate.is_reordered)),
            (all.clone().drop(0.0).duplicate(0.0).reorder(0.0), |fate| {
                fate.delay.map_or(0, |delay| delay.as_nanos())
            }),
        ] {
            assert!(fates(alone, 1).iter().map(field).eq(both.iter().map(field)));
            assert!(!fates(all.clone(), 2).iter().map(field).eq(both.iter().map(field)));
        }
    }
}
