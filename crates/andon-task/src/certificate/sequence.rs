//! Sequences of thresholds, fixed before the labels are looked at.
//!
//! A threshold t is tested by the hypothesis 'among what is accepted from t on,
//! the share of wrong answers is above α'. Given how many of the examples are
//! accepted, the number of wrong ones is binomial, so the chance of so few under
//! α is a p-value. Thresholds are tested from high to low, each at δ, until one
//! is not rejected. The first hypothesis of the sequence that is true is rejected
//! with a chance of at most δ, so with 1 − δ all rejected ones are false at once.
//! That needs a sequence that does not depend on the examples' labels, and more:
//!
//! * [`planned`]: thresholds and start come from answers to other examples (those
//!   of training, while they were held out). Nothing is assumed.
//! * [`counted`]: the m-th most confident example gives a threshold, for fixed
//!   numbers m. That looks at the examples' confidences, though at no label, and is
//!   valid where the risk does not fall as the threshold falls. Let t be the
//!   highest threshold whose hypothesis is true, and n how many examples are
//!   accepted there: given n, the wrong ones among them are binomial. The first
//!   true hypothesis that is tested takes some more examples in, each of them wrong
//!   with a chance above α. So few wrong ones are no more likely than under α.
//!
//! Both begin where a number of wrong answers is first allowed (see [`rungs`]), and test
//! between such numbers as well (see [`steps`]): a sequence that only goes from one to the
//! next stops a whole rung above what can be shown, which of 1,500 examples is some 4 %.
//! A test between two rungs is lost only where the next rung would just have been passed.

use super::Judged;
use super::binomial::{at_most, most_wrong};

/// With fewer earlier answers of a kind a plan would be a guess.
const FEWEST_EARLIER: usize = 30;

/// A sequence of thresholds.
#[derive(Clone, Debug, PartialEq)]
pub enum Sequence {
    /// Falling thresholds.
    Planned(Vec<f64>),
    /// Rising numbers of accepted examples.
    Counted(Vec<usize>),
}

impl Sequence {
    /// The thresholds to test on these answers, in order.
    pub(super) fn on(&self, answers: &[Judged]) -> Vec<f64> {
        match self {
            Self::Planned(thresholds) => thresholds.clone(),
            Self::Counted(counts) => {
                let falling = falling(answers);
                let at = |&count: &usize| Some(falling.get(count.checked_sub(1)?)?.confidence);
                let mut thresholds: Vec<f64> = counts.iter().filter_map(at).collect();
                thresholds.dedup();
                thresholds
            }
        }
    }
}

/// By falling confidence.
fn falling(answers: &[Judged]) -> Vec<Judged> {
    let mut falling = answers.to_vec();
    falling.sort_by(|a, b| b.confidence.total_cmp(&a.confidence));
    falling
}

/// The numbers of accepted answers, up to `n`, from which on 0, 1, 2, … wrong ones
/// are allowed (later only every twentieth of them), and `n` itself.
pub fn rungs(n: usize, alpha: f64, delta: f64) -> Vec<usize> {
    let mut rungs = Vec::new();
    let (mut wrong, mut least) = (0, 1);
    loop {
        // The chance falls as the number grows.
        let shows = |count: usize| at_most(wrong, count, alpha) <= delta;
        let (mut fails, mut holds) = (least - 1, least);
        while !shows(holds) {
            if holds >= n {
                if rungs.last().is_some_and(|&last| last < n) {
                    rungs.push(n);
                }
                return rungs;
            }
            (fails, holds) = (holds, (holds + holds / 8 + 1).min(n));
        }
        while holds - fails > 1 {
            let middle = usize::midpoint(fails, holds);
            if shows(middle) {
                holds = middle;
            } else {
                fails = middle;
            }
        }
        if holds > n {
            return rungs;
        }
        rungs.push(holds);
        least = holds + 1;
        wrong += (wrong / 20).max(1);
    }
}

/// Of so many parts of the examples each is stepped over at once.
const PARTS: usize = 256;

/// The [`rungs`], with numbers between them where these are further apart than a small
/// part of all examples.
pub fn steps(n: usize, alpha: f64, delta: f64) -> Vec<usize> {
    let rungs = rungs(n, alpha, delta);
    let Some(&last) = rungs.last() else {
        return rungs;
    };
    let gap = n.div_ceil(PARTS);
    let between = rungs
        .windows(2)
        .flat_map(|pair| (pair[0]..pair[1]).step_by(gap));
    between.chain([last]).collect()
}

/// The sequence for testing `alpha` at `delta` on `n` answers, planned on earlier
/// answers of the same kind: it starts where those say that the test is most
/// likely to succeed. With too few of them it is [`counted`].
pub fn planned(earlier: &[Judged], n: usize, alpha: f64, delta: f64) -> Sequence {
    let steps = steps(n, alpha, delta);
    if earlier.len() < FEWEST_EARLIER || steps.is_empty() {
        return counted(n, alpha, delta);
    }
    let falling = falling(earlier);
    let total = falling.len();
    let mut wrong_until = vec![0usize];
    for answer in &falling {
        let last = wrong_until[wrong_until.len() - 1];
        wrong_until.push(last + usize::from(!answer.right));
    }
    // Where among the earlier answers so many of the new ones will be accepted; half
    // a standard error more, lest they just miss the step.
    let end = |&step: &usize| {
        let share = step as f64 / n as f64;
        let slack = 0.5 * (step as f64 * (1.0 - share)).sqrt();
        let share = ((step as f64 + slack) / n as f64).min(1.0);
        ((share * total as f64).ceil() as usize).clamp(1, total)
    };
    let ends: Vec<usize> = steps.iter().map(end).collect();
    let likely = |&end: &usize| {
        // Half a wrong answer is added, lest a few lucky ones look perfect.
        let rate = (wrong_until[end] as f64 + 0.5) / (end as f64 + 1.0);
        let accepted = n * end / total;
        most_wrong(accepted, alpha, delta).map_or(0.0, |most| at_most(most, accepted, rate))
    };
    let chances: Vec<f64> = ends.iter().map(likely).collect();
    let best = chances.iter().copied().fold(0.0, f64::max);
    // Of equally good starts the most confident.
    let start = chances.iter().position(|&chance| chance >= best - 1e-3);
    let mut thresholds: Vec<f64> = ends[start.unwrap_or(0)..]
        .iter()
        .map(|&end| falling[end - 1].confidence)
        .collect();
    thresholds.push(0.0);
    thresholds.dedup();
    Sequence::Planned(thresholds)
}

/// The sequence for testing `alpha` at `delta` on `n` answers without a plan. It
/// starts where a few wrong answers are allowed, if there are examples enough.
pub fn counted(n: usize, alpha: f64, delta: f64) -> Sequence {
    let rungs = rungs(n, alpha, delta);
    let affordable = rungs.iter().take(5).filter(|&&rung| 4 * rung <= n).count();
    let Some(&start) = rungs.get(affordable.saturating_sub(1)) else {
        return Sequence::Counted(Vec::new());
    };
    let steps = steps(n, alpha, delta).into_iter();
    Sequence::Counted(steps.filter(|&step| step >= start).collect())
}
