//! Whether a candidate may take the place of the head that serves.
//!
//! A head that serves would shine on the examples that it was trained on, so
//! the two are compared by their cross-validated outcomes, which are kept with
//! each head: on every example that both were measured on, was the answer to it
//! right while it was held out?

use std::collections::BTreeMap;

use andon_task::digest::Digest;
use serde::{Deserialize, Serialize};

/// Whether one held-out example was answered rightly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// The digest of the example's text and right label.
    pub example: Digest,
    /// Whether the answer was right.
    pub right: bool,
}

/// What the comparison says.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "verdict", rename_all = "snake_case")]
pub enum Verdict {
    /// Nothing serves yet: the candidate is promoted.
    First,
    /// The candidate is promoted.
    NotWorse(Comparison),
    /// The candidate loses more examples than chance explains: it is not promoted.
    Worse(Comparison),
    /// The two were measured on different examples: not promoted by itself.
    NothingInCommon,
}

/// A paired comparison on the examples that both were measured on.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// Examples that both were measured on.
    pub common: usize,
    /// Right by the candidate alone.
    pub wins: usize,
    /// Right by the current head alone.
    pub losses: usize,
    /// The chance of at least so many losses between equals (sign test).
    pub p_value: f64,
}

/// A candidate is worse where equals would lose so many examples less often
/// than this.
const SIGNIFICANCE: f64 = 0.05;

impl Verdict {
    /// Whether the candidate may serve.
    pub fn promotes(&self) -> bool {
        matches!(self, Self::First | Self::NotWorse(_))
    }
}

/// Compares the outcomes of a candidate with those of the head that serves.
pub fn not_worse(candidate: &[Outcome], current: Option<&[Outcome]>) -> Verdict {
    let Some(current) = current else {
        return Verdict::First;
    };
    let current: BTreeMap<Digest, bool> = by_example(current);
    let (mut common, mut wins, mut losses) = (0, 0, 0);
    for (example, right) in by_example(candidate) {
        let Some(&was_right) = current.get(&example) else {
            continue;
        };
        common += 1;
        wins += usize::from(right && !was_right);
        losses += usize::from(was_right && !right);
    }
    if common == 0 {
        return Verdict::NothingInCommon;
    }
    let comparison = Comparison {
        common,
        wins,
        losses,
        p_value: at_least(losses, wins + losses),
    };
    if comparison.p_value < SIGNIFICANCE {
        Verdict::Worse(comparison)
    } else {
        Verdict::NotWorse(comparison)
    }
}

/// An example that stands twice in the file counts once.
fn by_example(outcomes: &[Outcome]) -> BTreeMap<Digest, bool> {
    let pairs = outcomes
        .iter()
        .map(|outcome| (outcome.example, outcome.right));
    pairs.collect()
}

/// The chance of at least `hits` heads in `tosses` of a fair coin.
fn at_least(hits: usize, tosses: usize) -> f64 {
    let mut log_chance = -(tosses as f64) * std::f64::consts::LN_2;
    let mut total = 0.0;
    for heads in 0..=tosses {
        if heads >= hits {
            total += log_chance.exp();
        }
        log_chance += ((tosses - heads) as f64 / (heads + 1) as f64).ln();
    }
    total.min(1.0)
}

#[cfg(test)]
mod tests;
