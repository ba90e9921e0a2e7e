//! Fitting linear functions: to choose one of a list, to come near a number, to tell two
//! classes apart. All with an L2 penalty on weights of features of spread 1.

use andon_task::answer::Linear;

use crate::minimise::{Patience, minimise};

const PATIENCE: Patience = Patience {
    steps: 200,
    tolerance: 1e-6,
};

/// How much sharper a softmax begins than the worth itself would make it.
const SHARPEN: f64 = 10.0;

/// A list to choose from: the features of each, and which are right.
pub(crate) struct List<'a> {
    pub(crate) rows: Vec<&'a [f64]>,
    pub(crate) right: Vec<bool>,
}

/// A row with what it should come to, and how much it counts.
pub(crate) struct Row<'a> {
    pub(crate) features: &'a [f64],
    pub(crate) target: f64,
    pub(crate) weight: f64,
}

/// Chooses from lists: the logarithm of the probability that a softmax over the list gives
/// to the right ones together is made as large as it can be (Cao et al., 2007).
pub(crate) fn choose(lists: &[List<'_>], prior: &Linear, penalty: f64) -> Linear {
    let features = prior.weights.len();
    let rows = lists.iter().flat_map(|list| list.rows.iter().copied());
    let scale = Scale::of(rows, features);
    let scaled: Vec<Vec<Vec<f32>>> = lists
        .iter()
        .map(|list| list.rows.iter().map(|row| scale.apply(row)).collect())
        .collect();
    let count = lists.len().max(1) as f64;
    let (start, _) = scale.start(prior);
    let weights = minimise(start.clone(), PATIENCE, |weights, slope| {
        let mut value = penalise(weights, &start, slope, penalty);
        for (list, rows) in lists.iter().zip(&scaled) {
            let scores: Vec<f64> = rows.iter().map(|row| dot(row, weights)).collect();
            let all = soft_sum(&scores, |_| true);
            let right = soft_sum(&scores, |at| list.right[at]);
            value += (all - right) / count;
            for (at, row) in rows.iter().enumerate() {
                let mut pull = (scores[at] - all).exp();
                if list.right[at] {
                    pull -= (scores[at] - right).exp();
                }
                add(slope, pull / count, row);
            }
        }
        value
    });
    scale.linear(&weights, 0.0)
}

/// One of these is picked: the features of each, and what picking it is worth.
pub(crate) struct Offer {
    pub(crate) rows: Vec<Vec<f64>>,
    pub(crate) worth: Vec<f64>,
}

/// Picks what is worth most: the expected worth of a softmax over each offer is made as large
/// as it can be, from `start` on.
pub(crate) fn prefer(offers: &[Offer], start: &Linear, penalty: f64, features: usize) -> Linear {
    let rows = offers
        .iter()
        .flat_map(|offer| offer.rows.iter().map(Vec::as_slice));
    let scale = Scale::of(rows, features);
    let scaled: Vec<Vec<Vec<f32>>> = offers
        .iter()
        .map(|offer| offer.rows.iter().map(|row| scale.apply(row)).collect())
        .collect();
    // What comes near the worth orders alike, but hardly tells apart.
    let begin = start.weights.iter().zip(&start.spreads).zip(&scale.spreads);
    let begin = begin.map(|((weight, spread), own)| (SHARPEN * weight / spread * own) as f32);
    let count = offers.len().max(1) as f64;
    let none = vec![0.0; features];
    let weights = minimise(begin.collect(), PATIENCE, |weights, slope| {
        let mut value = penalise(weights, &none, slope, penalty);
        for (offer, rows) in offers.iter().zip(&scaled) {
            let scores: Vec<f64> = rows.iter().map(|row| dot(row, weights)).collect();
            let all = soft_sum(&scores, |_| true);
            let shares: Vec<f64> = scores.iter().map(|score| (score - all).exp()).collect();
            let mean: f64 = shares
                .iter()
                .zip(&offer.worth)
                .map(|(p, worth)| p * worth)
                .sum();
            value -= mean / count;
            for ((row, share), worth) in rows.iter().zip(&shares).zip(&offer.worth) {
                add(slope, -share * (worth - mean) / count, row);
            }
        }
        value
    });
    scale.linear(&weights, 0.0)
}

/// Comes near the targets by least squares.
pub(crate) fn regress(rows: &[Row<'_>], penalty: f64, features: usize) -> Linear {
    fit(rows, &Linear::zero(features), penalty, |value, target| {
        let off = value - target;
        (0.5 * off * off, off)
    })
}

/// Tells rows of target 1 from rows of target 0, as the logarithm of the odds.
pub(crate) fn classify(rows: &[Row<'_>], prior: &Linear, penalty: f64) -> Linear {
    fit(rows, prior, penalty, |value, target| {
        let probability = 1.0 / (1.0 + (-value).exp());
        // ln(1 + e^v), written so that it cannot overflow.
        let soft = value.max(0.0) + (-value.abs()).exp().ln_1p();
        (soft - target * value, probability - target)
    })
}

fn fit(
    rows: &[Row<'_>],
    prior: &Linear,
    penalty: f64,
    loss: impl Fn(f64, f64) -> (f64, f64),
) -> Linear {
    let features = prior.weights.len();
    let scale = Scale::of(rows.iter().map(|row| row.features), features);
    let (start, bias) = scale.start(prior);
    let scaled: Vec<Vec<f32>> = rows.iter().map(|row| scale.apply(row.features)).collect();
    let total: f64 = rows.iter().map(|row| row.weight).sum::<f64>().max(1e-9);
    let begin = [start.as_slice(), &[bias as f32]].concat();
    let mut weights = minimise(begin, PATIENCE, |weights, slope| {
        let (weights, bias) = weights.split_at(features);
        let (slope, bias_slope) = slope.split_at_mut(features);
        let mut value = penalise(weights, &start, slope, penalty);
        bias_slope[0] = 0.0;
        for (row, scaled) in rows.iter().zip(&scaled) {
            let (loss, pull) = loss(dot(scaled, weights) + f64::from(bias[0]), row.target);
            let share = row.weight / total;
            value += share * loss;
            add(slope, share * pull, scaled);
            bias_slope[0] += (share * pull) as f32;
        }
        value
    });
    let bias = weights.pop().map_or(0.0, f64::from);
    scale.linear(&weights, bias)
}

/// Writes the slope of the penalty on what departs from `start`, and returns its value.
fn penalise(weights: &[f32], start: &[f32], slope: &mut [f32], penalty: f64) -> f64 {
    let mut value = 0.0;
    for ((slope, &weight), &start) in slope.iter_mut().zip(weights).zip(start) {
        let departs = f64::from(weight) - f64::from(start);
        *slope = (penalty * departs) as f32;
        value += 0.5 * penalty * departs * departs;
    }
    value
}

fn soft_sum(scores: &[f64], counts: impl Fn(usize) -> bool) -> f64 {
    let counted = || {
        (0..scores.len())
            .filter(|&at| counts(at))
            .map(|at| scores[at])
    };
    let most = counted().fold(f64::NEG_INFINITY, f64::max);
    most + counted()
        .map(|score| (score - most).exp())
        .sum::<f64>()
        .ln()
}

fn dot(row: &[f32], weights: &[f32]) -> f64 {
    let each = row.iter().zip(weights);
    each.map(|(&a, &b)| f64::from(a) * f64::from(b)).sum()
}

fn add(slope: &mut [f32], factor: f64, row: &[f32]) {
    for (slope, &value) in slope.iter_mut().zip(row) {
        *slope += (factor * f64::from(value)) as f32;
    }
}

/// What brings features to a mean of 0 and a spread of 1.
struct Scale {
    means: Vec<f64>,
    spreads: Vec<f64>,
}

impl Scale {
    fn of<'a>(rows: impl Iterator<Item = &'a [f64]> + Clone, features: usize) -> Self {
        let count = rows.clone().count().max(1) as f64;
        let mean = |at: usize| rows.clone().map(|row| row[at]).sum::<f64>() / count;
        let means: Vec<f64> = (0..features).map(mean).collect();
        let spread = |at: usize| {
            let square = |row: &[f64]| (row[at] - means[at]).powi(2);
            let spread = (rows.clone().map(square).sum::<f64>() / count).sqrt();
            // A feature that never changes has no say.
            if spread > 1e-9 { spread } else { 1.0 }
        };
        let spreads = (0..features).map(spread).collect();
        Self { means, spreads }
    }

    fn apply(&self, row: &[f64]) -> Vec<f32> {
        let each = row.iter().zip(&self.means).zip(&self.spreads);
        each.map(|((value, mean), spread)| ((value - mean) / spread) as f32)
            .collect()
    }

    /// The weights and the bias that a function has in this scale.
    fn start(&self, of: &Linear) -> (Vec<f32>, f64) {
        let each = of.weights.iter().zip(&of.spreads).zip(&self.spreads);
        let weights = each.map(|((weight, own), spread)| (weight / own * spread) as f32);
        (weights.collect(), of.value(&self.means))
    }

    fn linear(self, weights: &[f32], bias: f64) -> Linear {
        Linear {
            means: self.means,
            spreads: self.spreads,
            weights: weights.iter().map(|&weight| f64::from(weight)).collect(),
            bias,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_right_is_chosen() {
        let lists = [([0.0, 1.0], [1.0, 0.0]), ([0.5, 3.0], [2.0, 1.0])];
        let lists: Vec<List<'_>> = lists
            .iter()
            .map(|(wrong, right)| List {
                rows: vec![wrong, right],
                right: vec![false, true],
            })
            .collect();
        let linear = choose(&lists, &Linear::zero(2), 0.01);
        for list in &lists {
            assert!(linear.value(list.rows[1]) > linear.value(list.rows[0]));
        }
    }

    #[test]
    fn a_line_is_found() {
        let points: Vec<[f64; 1]> = (0..20).map(|x| [f64::from(x)]).collect();
        let rows: Vec<Row<'_>> = points
            .iter()
            .map(|point| Row {
                features: point,
                target: 2.0 * point[0] + 1.0,
                weight: 1.0,
            })
            .collect();
        let linear = regress(&rows, 1e-6, 1);
        assert!((linear.value(&[30.0]) - 61.0).abs() < 0.05);
        let rows: Vec<Row<'_>> = points
            .iter()
            .map(|point| Row {
                features: point,
                target: if point[0] > 9.5 { 1.0 } else { 0.0 },
                weight: 1.0,
            })
            .collect();
        let linear = classify(&rows, &Linear::zero(1), 1e-3);
        assert!(linear.value(&[15.0]) > 2.0 && linear.value(&[3.0]) < -2.0);
    }
}
