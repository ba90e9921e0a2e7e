//! Whether probabilities hold: confidence beside accuracy, bin by bin.

use andon_task::calibration::{Graded, expected_calibration_error};
use serde::{Deserialize, Serialize};

use super::Answer;
use crate::interval::{Estimate, wilson};
use crate::random::Random;

/// Bins of equal width.
const BINS: usize = 10;

/// The answers of like confidence.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bin {
    /// How many they are.
    pub n: usize,
    /// Their mean confidence.
    pub confidence: f64,
    /// The share of right ones.
    pub accuracy: Estimate,
}

/// How often answers are drawn whose probabilities hold.
const DRAWS: usize = 200;

/// The mean calibration error of answers that are right by chance, each as often as its
/// confidence says.
pub(super) fn ece_by_chance(answers: &[Answer]) -> f64 {
    let mut random = Random::seeded(0);
    let mut draw = || {
        let graded = answers.iter().map(|answer| Graded {
            confidence: answer.confidence,
            right: random.share() < answer.confidence,
        });
        expected_calibration_error(graded.map(|graded| (graded, 1.0))).unwrap_or(0.0)
    };
    (0..DRAWS).map(|_| draw()).sum::<f64>() / DRAWS as f64
}

/// The bins that hold answers, by rising confidence.
pub(super) fn bins(answers: &[Answer]) -> Vec<Bin> {
    let mut sums = [(0usize, 0usize, 0.0); BINS];
    for answer in answers {
        let bin = ((answer.confidence * BINS as f64) as usize).min(BINS - 1);
        let (n, rights, confidence) = &mut sums[bin];
        *n += 1;
        *rights += usize::from(answer.is_right());
        *confidence += answer.confidence;
    }
    sums.into_iter()
        .filter_map(|(n, rights, confidence)| {
            Some(Bin {
                n,
                accuracy: wilson(rights, n)?,
                confidence: confidence / n as f64,
            })
        })
        .collect()
}
