//! Intervals by resampling the examples (Efron, 1979), with a fixed seed. They
//! are moved by the resamples' bias: a calibration error, say, is larger on a
//! resample than on the examples, since resamples hold fewer different ones.

use crate::interval::Estimate;
use crate::random::Random;

const RESAMPLES: usize = 1_000;
const SEED: u64 = 0;

/// A figure from 0 to 1 of `count` examples, each of which counts as often as its
/// weight says; the interval runs between the 2.5 % and 97.5 % quantiles over the
/// resamples. `None` where the figure is not defined on the examples.
pub(crate) fn estimate(count: usize, figure: impl Fn(&[f64]) -> Option<f64>) -> Option<Estimate> {
    let [estimate] = estimates(count, |weights| [figure(weights)]);
    estimate
}

/// Several figures on the same resamples.
pub(crate) fn estimates<const FIGURES: usize>(
    count: usize,
    figures: impl Fn(&[f64]) -> [Option<f64>; FIGURES],
) -> [Option<Estimate>; FIGURES] {
    let resampled = Resampled::of(count, figures);
    resampled.map(|figure| {
        let Resampled { value, replicates } = figure?;
        let (low, high) = ends(value, &replicates);
        if low < high {
            return Some(Estimate {
                value,
                low: low.clamp(0.0, value),
                high: high.clamp(value, 1.0),
            });
        }
        // Examples that are all alike resample to themselves. What a share of
        // 1 - 0.025^(1/n) does can be missing among n of them.
        let unseen = 1.0 - 0.025f64.powf(1.0 / count as f64);
        Some(Estimate {
            value,
            low: (value - unseen).clamp(0.0, value),
            high: (value + unseen).clamp(value, 1.0),
        })
    })
}

/// The mean of values from 0 to 1. `None` without any.
pub(crate) fn mean(values: &[f64]) -> Option<Estimate> {
    estimate(values.len(), |weights| {
        let total: f64 = weights.iter().sum();
        let sum: f64 = values
            .iter()
            .zip(weights)
            .map(|(value, weight)| value * weight)
            .sum();
        (total > 0.0).then(|| sum / total)
    })
}

/// A difference of two figures of the same examples.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Difference {
    pub(crate) value: f64,
    pub(crate) low: f64,
    pub(crate) high: f64,
    /// Twice the share of resamples on the other side of nothing.
    pub(crate) p_value: f64,
}

/// Differences of pairs of figures, each pair on the same resamples.
pub(crate) fn differences<const FIGURES: usize>(
    count: usize,
    figures: impl Fn(&[f64]) -> [Option<f64>; FIGURES],
) -> [Option<Difference>; FIGURES] {
    Resampled::of(count, figures).map(|figure| {
        let Resampled { value, replicates } = figure?;
        let (low, high) = ends(value, &replicates);
        let tail = |is_beyond: &dyn Fn(f64) -> bool| {
            let beyond = replicates.iter().filter(|&&d| is_beyond(d)).count();
            (beyond + 1) as f64 / (replicates.len() + 1) as f64
        };
        let smaller = tail(&|d| d <= 0.0).min(tail(&|d| d >= 0.0));
        // No test can find between two what n examples that all point one way
        // cannot show: equals would do so once in 2^(n-1).
        let least = 2.0 * 0.5f64.powf(count as f64);
        Some(Difference {
            value,
            low: low.clamp(-1.0, value),
            high: high.clamp(value, 1.0),
            p_value: (2.0 * smaller).max(least).min(1.0),
        })
    })
}

struct Resampled {
    value: f64,
    /// By rising value.
    replicates: Vec<f64>,
}

impl Resampled {
    fn of<const FIGURES: usize>(
        count: usize,
        figures: impl Fn(&[f64]) -> [Option<f64>; FIGURES],
    ) -> [Option<Self>; FIGURES] {
        let mut resampled = figures(&vec![1.0; count]).map(|value| {
            value.map(|value| Self {
                value,
                replicates: Vec::with_capacity(RESAMPLES),
            })
        });
        if resampled.iter().all(Option::is_none) {
            return resampled;
        }
        let mut random = Random::seeded(SEED);
        let mut weights = vec![0.0; count];
        for _ in 0..RESAMPLES {
            weights.fill(0.0);
            for _ in 0..count {
                weights[random.below(count)] += 1.0;
            }
            for (of, figure) in resampled.iter_mut().zip(figures(&weights)) {
                if let (Some(of), Some(figure)) = (of, figure) {
                    of.replicates.push(figure);
                }
            }
        }
        for of in resampled.iter_mut().flatten() {
            of.replicates.sort_unstable_by(f64::total_cmp);
        }
        resampled
    }
}

/// The 2.5 % and 97.5 % quantiles of sorted replicates, less their bias.
fn ends(value: f64, replicates: &[f64]) -> (f64, f64) {
    let Some(last) = replicates.len().checked_sub(1) else {
        return (value, value);
    };
    let bias = replicates.iter().sum::<f64>() / replicates.len() as f64 - value;
    let quantile = |share: f64| replicates[(share * last as f64).round() as usize];
    let (low, high) = (quantile(0.025), quantile(0.975));
    if low == high {
        return (value, value);
    }
    (low - bias, high - bias)
}

#[cfg(test)]
mod tests;
