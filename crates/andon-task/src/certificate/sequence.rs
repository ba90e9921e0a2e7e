//! Sequences of thresholds, fixed before the labels are looked at.
//!
//! A threshold t is tested by the hypothesis 'among what is accepted from t on,
//! the share of wrong answers is above α'. Given how many of the examples are
//! accepted, the number of wrong ones is binomial, so the chance of so few under
//! α is a p-value. Thresholds are tested from high to low, each at δ, until one
//! is not rejected. The first hypothesis of the sequence that is true is rejected
//! with a chance of at most δ, so with 1 − δ all rejected ones are false at once,
//! whatever the shape of the risk. That needs the sequence, and where it starts,
//! to be fixed without the examples.
//!
//! * [`planned`]: thresholds and start come from answers to other examples (those
//!   of training, while they were held out). No assumption.
//! * [`counted`]: a fixed grid that starts where enough examples are accepted.
//!   The start looks at the examples' confidences, though at no label. It is
//!   valid where the risk does not fall as the threshold falls: let t be the
//!   highest threshold whose hypothesis is true. If too few are accepted at t, the
//!   test starts below it, on the answers accepted at t and some more; each of
//!   these is then wrong with a chance above α, so as few wrong ones as the test
//!   asks for are no more likely than under α.

use super::Judged;
use super::binomial::{at_most, fewest, most_wrong, needed};

/// How many thresholds a planned sequence has at most.
const STEPS: usize = 200;

/// With fewer earlier answers of a kind a plan would be a guess.
const FEWEST_EARLIER: usize = 30;

/// A sequence of thresholds.
#[derive(Clone, Debug, PartialEq)]
pub enum Sequence {
    /// Falling thresholds; the first is where the test starts.
    Planned(Vec<f64>),
    /// Falling thresholds; the test starts at the first from which on so many
    /// answers are accepted.
    Counted(Vec<f64>, usize),
}

impl Sequence {
    /// The thresholds to test on these answers, in order.
    pub(super) fn on(&self, answers: &[Judged]) -> &[f64] {
        match self {
            Self::Planned(thresholds) => thresholds,
            Self::Counted(thresholds, fewest) => {
                let accepted =
                    |from: f64| answers.iter().filter(|a| a.confidence >= from).count();
                let start = thresholds
                    .iter()
                    .position(|&threshold| accepted(threshold) >= *fewest);
                &thresholds[start.unwrap_or(thresholds.len())..]
            }
        }
    }
}

/// The sequence for testing `alpha` at `delta` on `n` answers, planned on earlier
/// answers of the same kind: it starts where those say that the test is most
/// likely to succeed. With too few of them it is [`counted`].
pub fn planned(earlier: &[Judged], n: usize, alpha: f64, delta: f64) -> Sequence {
    if earlier.len() < FEWEST_EARLIER {
        return counted(alpha, delta);
    }
    let mut falling = earlier.to_vec();
    falling.sort_by(|a, b| b.confidence.total_cmp(&a.confidence));
    let total = falling.len();
    let steps = total.min(STEPS);
    // Where each step ends among the earlier answers, and what was wrong until there.
    let mut wrong_until = vec![0usize];
    for answer in &falling {
        let last = wrong_until[wrong_until.len() - 1];
        wrong_until.push(last + usize::from(!answer.right));
    }
    let ends: Vec<usize> = (1..=steps).map(|step| step * total / steps).collect();
    let likely = |&end: &usize| {
        // One wrong answer of two is added, lest a few lucky ones look perfect.
        let rate = (wrong_until[end] as f64 + 0.5) / (end as f64 + 1.0);
        let accepted = n * end / total;
        most_wrong(accepted, alpha, delta).map_or(0.0, |most| at_most(most, accepted, rate))
    };
    let chances: Vec<f64> = ends.iter().map(likely).collect();
    let best = chances.iter().copied().fold(0.0, f64::max);
    let start = if best > 0.0 {
        // Of equally good starts the most confident.
        chances.iter().position(|&chance| chance >= best - 1e-3)
    } else {
        // None can succeed: where the fewest more examples would do.
        let rate = |end: usize| (wrong_until[end] as f64 + 0.5) / (end as f64 + 1.0);
        let cost = |end: usize| {
            let needed = needed(rate(end), alpha, delta)?;
            Some(needed * total / end)
        };
        (0..steps)
            .step_by(steps.div_ceil(20))
            .filter_map(|step| Some((cost(ends[step])?, step)))
            .min()
            .map(|(_, step)| step)
    };
    let start = start.unwrap_or(0);
    let mut thresholds: Vec<f64> = ends[start..]
        .iter()
        .map(|&end| falling[end - 1].confidence)
        .collect();
    thresholds.push(0.0);
    thresholds.dedup();
    Sequence::Planned(thresholds)
}

/// A fixed grid for testing `alpha` at `delta`: even steps of the log odds.
pub fn counted(alpha: f64, delta: f64) -> Sequence {
    let grid = (0..=320).map(|step| 12.0 - 0.05 * f64::from(step));
    let mut thresholds: Vec<f64> = grid.map(|odds| 1.0 / (1.0 + (-odds).exp())).collect();
    thresholds.push(0.0);
    Sequence::Counted(thresholds, 2 * fewest(alpha, delta))
}
