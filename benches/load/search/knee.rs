//! The search for the highest rate that holds, with runs whose results vary.
//!
//! The rate climbs until a run fails, then the range between the last rate that held and the first that failed is halved.
//! A failure counts only if it is repeated, because another program on the machine fails a run now and then. In the end
//! both rates are run several times, in turn. If they do not hold and fail as was thought, the search goes on from there,
//! for a range that is a little wider: where runs vary much, no narrow range exists.

/// How much higher each rate of the climb is than the one before.
const CLIMB: f64 = 4.0;

/// The range is narrow enough if its upper end is higher than the lower one by this factor or less.
const NARROW: f64 = 1.03;

/// How much wider the range may be each time that the last runs have contradicted it.
const WIDEN: f64 = 1.15;

/// How often each of the two rates is run in the end.
const RUNS: u32 = 7;

/// In how many of these runs the objective holds at a rate that holds. More than half of them would not do: near the limit
/// of many servers there is a wide range of rates at which half of the runs hold.
const HELD: u32 = 5;

/// A search that needs more runs than this does not settle.
const MOST_RUNS: u32 = 200;

/// The range of rates, and where in it the search begins.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Range {
    pub(crate) least: f64,
    pub(crate) first: f64,
    pub(crate) most: f64,
}

/// A rate, and how its last runs went.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Tried {
    pub(crate) rate: f64,
    pub(crate) held: u32,
    pub(crate) runs: u32,
}

/// The two rates beside the knee.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Found {
    /// The highest rate that holds. `None` if the lowest rate of the range does not.
    pub(crate) below: Option<Tried>,
    /// The lowest rate that does not hold. `None` if the highest rate of the range holds.
    pub(crate) above: Option<Tried>,
    /// Whether the last runs agreed that the first rate holds, and that the second does not.
    pub(crate) is_settled: bool,
}

/// Searches with `run`, which returns whether the objective held in one run at a rate.
///
/// # Errors
///
/// Those of `run`.
pub(crate) fn search<E>(range: Range, run: impl FnMut(f64) -> Result<bool, E>) -> Result<Found, E> {
    // Every rate that is run is rounded. The ends of the range are too, or a rate could never reach them.
    let range = Range { least: round(range.least), first: round(range.first), most: round(range.most) };
    Search { range, run, low: None, high: None, step: CLIMB, narrow: NARROW, runs: 0 }.settle()
}

struct Search<R> {
    range: Range,
    run: R,
    /// The highest rate that held.
    low: Option<f64>,
    /// The lowest rate that failed.
    high: Option<f64>,
    /// The factor of the next step beyond a rate.
    step: f64,
    narrow: f64,
    runs: u32,
}

impl<E, R: FnMut(f64) -> Result<bool, E>> Search<R> {
    fn settle(mut self) -> Result<Found, E> {
        loop {
            self.climb()?;
            self.halve()?;
            let (below, above) = self.confirm()?;
            let is_below_right = below.is_none_or(|below| below.holds());
            let is_settled = is_below_right && above.is_none_or(|above| !above.holds());
            if is_settled || self.runs >= MOST_RUNS {
                return Ok(Found { below, above, is_settled });
            }
            (self.low, self.high) = if is_below_right { (self.high, None) } else { (None, self.low) };
            self.narrow = 1.0 + WIDEN * (self.narrow - 1.0);
            self.step = self.narrow;
        }
    }

    /// Looks for a rate that holds and a higher one that fails, until both are known or the range ends.
    fn climb(&mut self) -> Result<(), E> {
        loop {
            let Range { least, first, most } = self.range;
            let rate = match (self.low, self.high) {
                (Some(_), Some(_)) => return Ok(()),
                (None, None) => first,
                (Some(low), None) if low < most => (low * self.step).min(most),
                (None, Some(high)) if high > least => (high / self.step).max(least),
                _ => return Ok(()),
            };
            let rate = round(rate).clamp(least, most);
            if self.holds(rate, 1)? {
                self.low = Some(rate);
            } else {
                self.high = Some(rate);
            }
            // Twice as far, in case that the rate is far away.
            self.step = (self.step * self.step).min(CLIMB);
        }
    }

    /// Halves the range until it is narrow.
    fn halve(&mut self) -> Result<(), E> {
        while let (Some(low), Some(high)) = (self.low, self.high)
            && high / low > self.narrow
        {
            let middle = round((low * high).sqrt());
            if self.holds(middle, 3)? {
                self.low = Some(middle);
            } else {
                self.high = Some(middle);
            }
        }
        Ok(())
    }

    /// Returns `true` if a rate holds in `enough` runs before it fails in two.
    fn holds(&mut self, rate: f64, enough: u32) -> Result<bool, E> {
        let (mut held, mut failed) = (0, 0);
        while held < enough && failed < 2 {
            self.runs += 1;
            if (self.run)(rate)? { held += 1 } else { failed += 1 }
        }
        Ok(held >= enough)
    }

    /// Runs the two rates in turn, so that what disturbs one disturbs the other too.
    fn confirm(&mut self) -> Result<(Option<Tried>, Option<Tried>), E> {
        let mut tried = [self.low, self.high].map(|rate| rate.map(|rate| Tried { rate, held: 0, runs: 0 }));
        for _ in 0..RUNS {
            for tried in tried.iter_mut().flatten() {
                self.runs += 1;
                tried.runs += 1;
                tried.held += u32::from((self.run)(tried.rate)?);
            }
        }
        Ok(tried.into())
    }
}

impl Tried {
    /// Returns `true` if most of the runs held.
    fn holds(&self) -> bool {
        self.held >= HELD
    }
}

/// Rounds a rate to three digits, so that it can be said and typed.
fn round(rate: f64) -> f64 {
    format!("{rate:.2e}").parse().unwrap_or(rate)
}
