//! Tests of two that answered the same examples.

use andon_task::certificate::binomial;

use crate::interval::QUANTILE;

/// The normal quantile that leaves 20 % above it, for a power of 80 %.
const POWER: f64 = 0.841_621_233_572_914_3;

/// The exact test of McNemar (1947): how often equals would differ at least so
/// unevenly on the examples that only one of the two answered rightly.
pub fn mcnemar(first_alone: usize, second_alone: usize) -> f64 {
    let tosses = first_alone + second_alone;
    let hits = first_alone.max(second_alone);
    let tail = binomial::at_most(tosses - hits, tosses, 0.5);
    (2.0 * tail).min(1.0)
}

/// The 95 % interval of the difference of two shares of the same examples, after
/// Agresti and Min (2005).
pub(crate) fn difference(n: usize, first_alone: usize, second_alone: usize) -> (f64, f64, f64) {
    let (first, second) = (first_alone as f64, second_alone as f64);
    let value = if n == 0 {
        0.0
    } else {
        (first - second) / n as f64
    };
    let n = n as f64 + 2.0;
    let centre = (first - second) / n;
    let variance = (first + second + 1.0) - (first - second).powi(2) / n;
    let spread = QUANTILE * variance.sqrt() / n;
    (
        value,
        (centre - spread).max(-1.0).min(value),
        (centre + spread).min(1.0).max(value),
    )
}

/// Holm's correction (1979): the values as they are to be judged where as many
/// tests were made. In the order given.
pub fn holm(p_values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p_values.len()).collect();
    order.sort_by(|&a, &b| p_values[a].total_cmp(&p_values[b]));
    let mut adjusted = vec![0.0; p_values.len()];
    let mut largest = 0.0f64;
    for (rank, &index) in order.iter().enumerate() {
        let tests = (p_values.len() - rank) as f64;
        largest = largest.max((p_values[index] * tests).min(1.0));
        adjusted[index] = largest;
    }
    adjusted
}

/// Roughly how many examples would show a difference like the one observed, with
/// a power of 80 % at the level of 5 % (Connor, 1987). `None` where there is no
/// difference.
pub(crate) fn examples_needed(n: usize, first_alone: usize, second_alone: usize) -> Option<usize> {
    if first_alone == second_alone || n == 0 {
        return None;
    }
    let n = n as f64;
    let apart = (first_alone + second_alone) as f64 / n;
    let difference = (first_alone as f64 - second_alone as f64) / n;
    let root = QUANTILE * apart.sqrt() + POWER * (apart - difference * difference).max(0.0).sqrt();
    Some((root * root / (difference * difference)).ceil() as usize)
}

#[cfg(test)]
mod tests;
