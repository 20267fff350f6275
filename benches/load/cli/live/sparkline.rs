//! Curves of one line of text.

const LEVELS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// A scale of values.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Scale {
    /// From zero to this value.
    Linear(f64),
    /// From the first value to the second one.
    Logarithmic(f64, f64),
}

impl Scale {
    /// Returns a logarithmic scale of these values, of at least a power of ten: on a shorter one chance looks like news.
    pub(crate) fn logarithmic(values: impl Iterator<Item = f64> + Clone) -> Self {
        let most = values.clone().fold(10.0, f64::max);
        Self::Logarithmic(values.fold(most / 10.0, f64::min).max(1e-3), most)
    }

    /// Returns the level of a value, of 0 to 1.
    fn share(self, value: f64) -> f64 {
        match self {
            Self::Linear(most) => value / most.max(1e-9),
            Self::Logarithmic(least, most) => (value.max(1e-3) / least).ln() / (most / least).ln().max(1e-9),
        }
    }
}

/// Draws the last `width` values. One that is missing leaves a gap.
pub(crate) fn draw(values: impl DoubleEndedIterator<Item = Option<f64>>, scale: Scale, width: usize) -> String {
    let level = |value: Option<f64>| match value {
        Some(value) => LEVELS[(scale.share(value).clamp(0.0, 1.0) * 7.0).round() as usize],
        None => ' ',
    };
    let mut last: Vec<char> = values.rev().take(width).map(level).collect();
    last.reverse();
    last.into_iter().collect()
}
