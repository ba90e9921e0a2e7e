//! Figures with their 95 % intervals.

use serde::{Deserialize, Serialize};

/// A figure and its 95 % interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// The figure on the examples themselves.
    pub value: f64,
    /// The lower end.
    pub low: f64,
    /// The upper end.
    pub high: f64,
}

/// The ends of a 95 % interval, of a figure that stands elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// The lower end.
    pub low: f64,
    /// The upper end.
    pub high: f64,
}

impl From<Estimate> for Interval {
    fn from(Estimate { low, high, .. }: Estimate) -> Self {
        Self { low, high }
    }
}

/// The normal quantile that leaves 2.5 % above it.
pub(crate) const QUANTILE: f64 = 1.959_963_984_540_054;

/// A proportion with the interval of Wilson (1927), which keeps its coverage
/// for few trials and near 0 and 1. `None` without trials.
pub fn wilson(hits: usize, trials: usize) -> Option<Estimate> {
    if trials == 0 {
        return None;
    }
    let trials = trials as f64;
    let value = hits as f64 / trials;
    let square = QUANTILE * QUANTILE / trials;
    let centre = value + square / 2.0;
    let spread = QUANTILE * (value * (1.0 - value) / trials + square / (4.0 * trials)).sqrt();
    let end = |end: f64| (end / (1.0 + square)).clamp(0.0, 1.0);
    Some(Estimate {
        value,
        // Rounding must not put the figure outside its own interval.
        low: end(centre - spread).min(value),
        high: end(centre + spread).max(value),
    })
}

#[cfg(test)]
mod tests;
