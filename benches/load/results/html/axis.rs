//! Axes of the report: where a value stands, and the values that are written at an axis.

/// The most tick labels of an axis, which must fit on a telephone.
const MOST_TICKS: f64 = 6.0;

/// One axis of a chart.
#[derive(Clone, Debug)]
pub(crate) struct Axis {
    from: f64,
    to: f64,
    is_logarithmic: bool,
    /// Values with their labels.
    pub(crate) ticks: Vec<(f64, String)>,
}

impl Axis {
    /// An axis from zero to `most`, or to a round value above it if it `is_rounded`.
    pub(crate) fn linear(most: f64, is_rounded: bool, label: fn(f64) -> String) -> Self {
        let most = if most > 0.0 { most } else { 1.0 };
        let step = step(most / (MOST_TICKS - 1.0));
        let to = if is_rounded { (most / step * 0.999).ceil() * step } else { most };
        let count = (to / step * 1.001).floor() as u32;
        let ticks = (0..=count).map(|number| f64::from(number) * step).map(|tick| (tick, label(tick)));
        Self { from: 0.0, to, is_logarithmic: false, ticks: ticks.collect() }
    }

    /// A logarithmic axis that has all `values` and at least a power of ten. Its ends are 1, 2 or 5 times a power of ten.
    pub(crate) fn logarithmic(values: impl Iterator<Item = f64> + Clone, label: fn(f64) -> String) -> Self {
        let values = values.filter(|value| *value > 0.0);
        let most = values.clone().fold(f64::NAN, f64::max);
        let least = values.fold(f64::NAN, f64::min);
        let (least, most) = if most.is_nan() { (1.0, 10.0) } else { (least, most) };
        let round =
            |exponent: i32| [1.0, 2.0, 5.0][exponent.rem_euclid(3) as usize] * 10f64.powi(exponent.div_euclid(3));
        let first = |fits: &dyn Fn(f64) -> bool| (-30..60).map(round).find(|value| fits(*value)).unwrap_or(1.0);
        let to = first(&|value| value >= most * 0.999);
        let last = (-30..60).rev().map(round).find(|value| *value <= least * 1.001).unwrap_or(1.0);
        let from = if to / last < 10.0 { to / 10.0 } else { last };
        let is_long = to / from > 500.0;
        let ticks = (-30..60).filter(|exponent| !is_long || exponent % 3 == 0).map(round);
        let ticks = ticks.filter(|tick| (from * 0.999..=to * 1.001).contains(tick)).map(|tick| (tick, label(tick)));
        Self { from, to, is_logarithmic: true, ticks: ticks.collect() }
    }

    /// A logarithmic axis from 1 to `most` with these ticks.
    pub(crate) fn with_ticks(most: f64, ticks: Vec<(f64, String)>) -> Self {
        Self { from: 1.0, to: most, is_logarithmic: true, ticks }
    }

    /// Returns where a value stands, of 0 to 1.
    pub(crate) fn share(&self, value: f64) -> f64 {
        let share = if self.is_logarithmic {
            (value.max(self.from) / self.from).ln() / (self.to / self.from).ln()
        } else {
            (value - self.from) / (self.to - self.from)
        };
        share.clamp(0.0, 1.0)
    }
}

/// Returns the least of 1, 2 or 5 times a power of ten that is not below `least`.
fn step(least: f64) -> f64 {
    let power = 10f64.powf(least.log10().floor());
    [1.0, 2.0, 5.0, 10.0]
        .map(|factor| factor * power)
        .into_iter()
        .find(|step| *step >= least * 0.999)
        .unwrap_or(least)
}
