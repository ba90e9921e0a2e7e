//! Intervals by resampling the examples (Efron, 1979), with a fixed seed. They
//! are moved by the resamples' bias: a calibration error, say, is larger on a
//! resample than on the examples, since resamples hold fewer different ones.

use crate::interval::Estimate;
use crate::random::Random;

const RESAMPLES: usize = 1_000;
const SEED: u64 = 0;

/// A `figure` from 0 to 1 of `count` examples, each of which counts as often as its weight
/// says; the interval runs between the 2.5 % and 97.5 % quantiles over the
/// resamples. `None` where the figure is not defined on the examples.
pub(crate) fn estimate(count: usize, figure: impl Fn(&[f64]) -> Option<f64>) -> Option<Estimate> {
    let value = figure(&vec![1.0; count])?;
    let mut random = Random::seeded(SEED);
    let mut weights = vec![0.0; count];
    let mut figures: Vec<f64> = (0..RESAMPLES)
        .filter_map(|_| {
            weights.fill(0.0);
            for _ in 0..count {
                weights[random.below(count)] += 1.0;
            }
            figure(&weights)
        })
        .collect();
    if figures.is_empty() {
        return Some(Estimate {
            value,
            low: value,
            high: value,
        });
    }
    figures.sort_unstable_by(f64::total_cmp);
    let bias = figures.iter().sum::<f64>() / figures.len() as f64 - value;
    let quantile = |share: f64| figures[(share * (figures.len() - 1) as f64).round() as usize];
    Some(Estimate {
        value,
        low: (quantile(0.025) - bias).clamp(0.0, value),
        high: (quantile(0.975) - bias).clamp(value, 1.0),
    })
}

#[cfg(test)]
mod tests;
