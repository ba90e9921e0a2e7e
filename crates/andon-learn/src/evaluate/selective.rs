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

/// Answers by falling confidence.
pub(crate) struct Ranked<'a> {
    answers: &'a [Answer],
    order: Vec<usize>,
}

impl<'a> Ranked<'a> {
    pub(crate) fn of(answers: &'a [Answer]) -> Self {
        let mut order: Vec<usize> = (0..answers.len()).collect();
        order.sort_by(|&a, &b| answers[b].confidence.total_cmp(&answers[a].confidence));
        Self { answers, order }
    }

    /// Calls `see` with threshold, accepted and wrong for each confidence that
    /// occurs, the highest first; each answer counts as often as its weight says.
    fn walk(&self, weights: &[f64], mut see: impl FnMut(f64, f64, f64)) {
        let (mut accepted, mut wrong) = (0.0, 0.0);
        let mut order = self.order.iter().peekable();
        while let Some(&&first) = order.peek() {
            let confidence = self.answers[first].confidence;
            while let Some(&index) =
                order.next_if(|&&index| self.answers[index].confidence == confidence)
            {
                accepted += weights[index];
                if !self.answers[index].is_right() {
                    wrong += weights[index];
                }
            }
            see(confidence, accepted, wrong);
        }
    }

    /// The largest coverage at which at most `error` of the accepted are wrong,
    /// and its threshold.
    fn most(&self, weights: &[f64], error: f64) -> (f64, Option<f64>) {
        let (mut coverage, mut best) = (0.0, None);
        let total: f64 = weights.iter().sum();
        self.walk(weights, |threshold, accepted, wrong| {
            if accepted > 0.0 && wrong <= error * accepted + 1e-9 {
                (coverage, best) = (accepted / total, Some(threshold));
            }
        });
        (coverage, best)
    }

    /// The largest coverage at which at most `error` of the accepted are wrong.
    pub(crate) fn coverage_at(&self, weights: &[f64], error: f64) -> f64 {
        self.most(weights, error).0
    }

    /// The chance that a right answer has a higher confidence than a wrong one,
    /// equal ones counting half. `None` where all are right or all wrong.
    pub(crate) fn auroc(&self, weights: &[f64]) -> Option<f64> {
        let (mut lost, mut rights_before, mut wrong_before) = (0.0, 0.0, 0.0);
        self.walk(weights, |_, accepted, wrong| {
            let right = (accepted - wrong) - rights_before;
            // Counted from above: the wrong ones that a right one does not beat.
            lost += right * f64::midpoint(wrong_before, wrong);
            (rights_before, wrong_before) = (accepted - wrong, wrong);
        });
        let all = rights_before * wrong_before;
        (all > 0.0).then(|| 1.0 - lost / all)
    }
}

/// The curve with a point for each confidence that occurs.
pub(crate) fn curve(answers: &[Answer]) -> Vec<Point> {
    let mut points = Vec::new();
    let total = answers.len() as f64;
    let even = vec![1.0; answers.len()];
    Ranked::of(answers).walk(&even, |threshold, accepted, wrong| {
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

/// The coverage at each of [`ERRORS`].
pub(super) fn at_errors(answers: &[Answer]) -> Vec<AtError> {
    let ranked = Ranked::of(answers);
    let estimates = bootstrap::estimates(answers.len(), |weights| {
        ERRORS.map(|error| Some(ranked.coverage_at(weights, error)))
    });
    let even = vec![1.0; answers.len()];
    ERRORS
        .into_iter()
        .zip(estimates)
        .filter_map(|(error, coverage)| {
            Some(AtError {
                error,
                coverage: coverage?,
                threshold: ranked.most(&even, error).1,
            })
        })
        .collect()
}

/// How well confidence tells right from wrong.
pub(super) fn auroc(answers: &[Answer]) -> Option<Estimate> {
    let ranked = Ranked::of(answers);
    bootstrap::estimate(answers.len(), |weights| ranked.auroc(weights))
}
