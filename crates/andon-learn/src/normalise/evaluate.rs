//! How well texts are normalised: the error reduction rate of MultiLexNorm (van der Goot
//! and others, 2021), and shares of tokens and texts.

use serde::{Deserialize, Serialize};

use crate::bootstrap;
use crate::interval::{Estimate, wilson};

/// What a normaliser made of one text, token by token.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// The tokens as written, what was expected of each, and what was answered.
    pub tokens: Vec<[String; 3]>,
    /// The probability that was given for the whole text.
    pub probability: f64,
}

impl Outcome {
    /// Whether every token is right.
    pub fn is_exact(&self) -> bool {
        self.tokens
            .iter()
            .all(|[_, expected, answered]| expected == answered)
    }

    fn counts(&self) -> [f64; 4] {
        let mut counts = [0.0; 4];
        for [token, expected, answered] in &self.tokens {
            let at = match (token == expected, expected == answered) {
                (false, true) => 0,
                (true, false) => 1,
                (false, false) => 2,
                (true, true) => 3,
            };
            counts[at] += 1.0;
        }
        counts
    }
}

/// Figures of a `normalise` task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Figures {
    /// Texts.
    pub n: usize,
    /// Tokens that were rightly changed, less those wrongly changed where none was to be,
    /// among all that were to be changed; 1 is all, 0 is what leaving the text alone gets.
    /// Nothing where no token was to be changed.
    pub error_reduction: Option<Estimate>,
    /// The share of right tokens.
    pub token_accuracy: Estimate,
    /// The share of texts that are right to the last token.
    pub exact: Estimate,
    /// The mean distance between the probability of a text and how often such are right.
    pub ece: Option<f64>,
}

/// The figures of these outcomes; `None` where there are none.
pub fn evaluate(outcomes: &[Outcome]) -> Option<Figures> {
    let counts: Vec<[f64; 4]> = outcomes.iter().map(Outcome::counts).collect();
    let sum = |weights: &[f64]| {
        let mut sum = [0.0; 4];
        for (counts, weight) in counts.iter().zip(weights) {
            for (sum, count) in sum.iter_mut().zip(counts) {
                *sum += weight * count;
            }
        }
        sum
    };
    let error_reduction = bootstrap::estimate(outcomes.len(), |weights| {
        let [right, spoilt, missed, _] = sum(weights);
        (right + missed > 0.0).then(|| (right - spoilt) / (right + missed))
    });
    let token_accuracy = bootstrap::estimate(outcomes.len(), |weights| {
        let [right, spoilt, missed, kept] = sum(weights);
        let all = right + spoilt + missed + kept;
        (all > 0.0).then(|| (right + kept) / all)
    })?;
    let exact = outcomes.iter().filter(|outcome| outcome.is_exact()).count();
    let graded = outcomes.iter().map(|outcome| {
        let graded = andon_task::calibration::Graded {
            confidence: outcome.probability,
            right: outcome.is_exact(),
        };
        (graded, 1.0)
    });
    Some(Figures {
        n: outcomes.len(),
        error_reduction,
        token_accuracy,
        exact: wilson(exact, outcomes.len())?,
        ece: andon_task::calibration::expected_calibration_error(graded),
    })
}
