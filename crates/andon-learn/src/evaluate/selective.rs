//! What is gained by accepting only confident answers (El-Yaniv and Wiener, 2010).

use serde::{Deserialize, Serialize};

use super::Answer;
use crate::bootstrap;
use crate::interval::Estimate;

/// The shares of wrong answers that a coverage is told for.
pub const ERRORS: [f64; 4] = [0.01, 0.02, 0.05, 0.1];

/// Steps of coverage at which the curve is told.
const STEPS: usize = 20;

/// How much could be accepted with so few wrong answers, by hindsight: the
/// threshold was chosen on these very examples, so it promises nothing of others.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct AtError {
    /// The share of wrong ones among the accepted, at most.
    pub error: f64,
    /// The share of accepted answers.
    pub coverage: Estimate,
    /// The confidence from which on they are accepted; `None` where none can be.
    pub threshold: Option<f64>,
}

/// A point of the risk–coverage curve.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// The share of answers with at least this confidence.
    pub coverage: f64,
    /// The share of wrong ones among them.
    pub error: f64,
    /// The confidence.
    pub threshold: f64,
}

/// Calls `see` with threshold, accepted and wrong for each confidence that
/// occurs, the highest first. `answers` by falling confidence, `weights` in the
/// same order.
fn walk(answers: &[&Answer], weights: &[f64], mut see: impl FnMut(f64, f64, f64)) {
    let (mut accepted, mut wrong) = (0.0, 0.0);
    let mut weighted = answers.iter().zip(weights).peekable();
    while let Some((first, _)) = weighted.peek() {
        let confidence = first.confidence;
        while let Some((answer, weight)) =
            weighted.next_if(|(answer, _)| answer.confidence == confidence)
        {
            accepted += weight;
            if !answer.is_right() {
                wrong += weight;
            }
        }
        see(confidence, accepted, wrong);
    }
}

fn by_falling_confidence(answers: &[Answer]) -> Vec<&Answer> {
    let mut sorted: Vec<&Answer> = answers.iter().collect();
    sorted.sort_by(|a, b| b.confidence.total_cmp(&a.confidence));
    sorted
}

/// The curve with a point for each confidence that occurs.
pub(crate) fn curve(answers: &[Answer]) -> Vec<Point> {
    let sorted = by_falling_confidence(answers);
    let mut points = Vec::new();
    let total = answers.len() as f64;
    walk(&sorted, &vec![1.0; sorted.len()], |threshold, accepted, wrong| {
        points.push(Point {
            coverage: accepted / total,
            error: wrong / accepted,
            threshold,
        });
    });
    points
}

/// The curve at every twentieth of coverage.
pub(super) fn thinned(answers: &[Answer]) -> Vec<Point> {
    let points = curve(answers);
    let mut kept: Vec<Point> = (1..=STEPS)
        .filter_map(|step| {
            let target = step as f64 / STEPS as f64 - 1e-9;
            points.iter().find(|point| point.coverage >= target)
        })
        .copied()
        .collect();
    kept.dedup();
    kept
}

/// The largest coverage at which at most `error` of the accepted are wrong.
fn most(answers: &[&Answer], weights: &[f64], error: f64) -> (f64, Option<f64>) {
    let (mut coverage, mut best) = (0.0, None);
    let total: f64 = weights.iter().sum();
    walk(answers, weights, |threshold, accepted, wrong| {
        if accepted > 0.0 && wrong <= error * accepted + 1e-9 {
            (coverage, best) = (accepted / total, Some(threshold));
        }
    });
    (coverage, best)
}

/// The coverage at `error` where each answer counts as often as its weight says.
pub(crate) fn coverage_at(answers: &[Answer], weights: &[f64], error: f64) -> f64 {
    let mut order: Vec<usize> = (0..answers.len()).collect();
    order.sort_by(|&a, &b| answers[b].confidence.total_cmp(&answers[a].confidence));
    let sorted: Vec<&Answer> = order.iter().map(|&index| &answers[index]).collect();
    let weights: Vec<f64> = order.iter().map(|&index| weights[index]).collect();
    most(&sorted, &weights, error).0
}

/// The coverage at each of [`ERRORS`].
pub(super) fn at_errors(answers: &[Answer]) -> Vec<AtError> {
    let sorted = by_falling_confidence(answers);
    let estimates = bootstrap::estimates(sorted.len(), |weights| {
        ERRORS.map(|error| Some(most(&sorted, weights, error).0))
    });
    let even = vec![1.0; sorted.len()];
    ERRORS
        .into_iter()
        .zip(estimates)
        .filter_map(|(error, coverage)| {
            Some(AtError {
                error,
                coverage: coverage?,
                threshold: most(&sorted, &even, error).1,
            })
        })
        .collect()
}

/// The chance that a right answer has a higher confidence than a wrong one,
/// equal ones counting half. `None` where all are right or all wrong.
pub(crate) fn auroc(answers: &[&Answer], weights: &[f64]) -> Option<f64> {
    let (mut pairs, mut wrong_above, mut rights) = (0.0, 0.0, 0.0);
    let (mut accepted_before, mut wrong_before) = (0.0, 0.0);
    walk(answers, weights, |_, accepted, wrong| {
        let right = (accepted - wrong) - (accepted_before - wrong_before);
        let wrong_here = wrong - wrong_before;
        // Counted from above: the wrong ones that a right one does not beat.
        pairs += right * (wrong_above + wrong_here / 2.0);
        wrong_above += wrong_here;
        rights += right;
        (accepted_before, wrong_before) = (accepted, wrong);
    });
    let all = rights * wrong_above;
    (all > 0.0).then(|| 1.0 - pairs / all)
}

/// [`auroc`] with weights in the order of the answers.
pub(crate) fn auroc_of(answers: &[Answer], weights: &[f64]) -> Option<f64> {
    let mut order: Vec<usize> = (0..answers.len()).collect();
    order.sort_by(|&a, &b| answers[b].confidence.total_cmp(&answers[a].confidence));
    let sorted: Vec<&Answer> = order.iter().map(|&index| &answers[index]).collect();
    let weights: Vec<f64> = order.iter().map(|&index| weights[index]).collect();
    auroc(&sorted, &weights)
}

/// The interval of [`auroc`].
pub(super) fn auroc_estimate(answers: &[Answer]) -> Option<Estimate> {
    let sorted = by_falling_confidence(answers);
    bootstrap::estimate(sorted.len(), |weights| auroc(&sorted, weights))
}
