//! What a tuned encoder adds to a head: the classifier that was tuned with it.
//!
//! A head over the tuned vectors alone would be trained on vectors of texts whose labels the
//! encoder has seen, and trust them too much. So the head is that of the plant's own encoder,
//! and the classifier's logits are added to its own, times a share that held-out answers ask
//! for. As both are linear, what serves is one head over both vectors.

use andon_task::calibration::{Scored, log_loss, temperature};
use andon_task::head::Parts;

use crate::embed::View;

/// The shares that are tried.
const SHARES: [f32; 9] = [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.7, 1.0, 1.5];

/// More answers than these are not asked for the share.
const MOST_ANSWERS: usize = 3_000;

/// An encoder that was tuned, with the one that it came from before it.
pub(crate) struct TunedView {
    /// The vectors of both.
    pub(crate) view: View,
    /// As [`Tuned::classifier`](crate::tune::Tuned::classifier).
    pub(crate) classifier: Vec<f32>,
    /// What has to be kept of it.
    pub(crate) bytes: Vec<u8>,
}

impl TunedView {
    /// The classifier's logits for an example.
    pub(crate) fn logits(&self, example: usize, labels: usize) -> Vec<f32> {
        let (of_vector, constant) = self
            .classifier
            .split_at(self.classifier.len().saturating_sub(labels));
        let own = of_vector.len() / labels;
        let vector = &self.view.vectors[example];
        let mut logits = constant.to_vec();
        let vector = &vector[vector.len().saturating_sub(own)..];
        for (row, value) in of_vector.chunks_exact(labels).zip(vector) {
            logits
                .iter_mut()
                .zip(row)
                .for_each(|(logit, weight)| *logit += weight * value);
        }
        logits
    }

    /// Makes of the plain encoder's head one over both vectors.
    pub(crate) fn join(&self, parts: &mut Parts, share: f32) {
        let labels = parts.labels.len();
        let constant = parts.weights.split_off(parts.weights.len() - labels);
        let (of_vector, own_constant) = self.classifier.split_at(self.classifier.len() - labels);
        let scaled = |weights: &[f32]| weights.iter().map(|weight| share * weight).collect();
        let added: Vec<f32> = scaled(own_constant);
        parts.weights.extend::<Vec<f32>>(scaled(of_vector));
        let both = constant.iter().zip(&added).map(|(one, other)| one + other);
        parts.weights.extend(both);
        parts.dimensions = self.view.dimensions;
        parts.encoder = self.view.encoder;
    }
}

/// A head's logits and the classifier's together.
pub(crate) fn blend(logits: &[f32], tuned: Option<&[f32]>, share: f32) -> Vec<f32> {
    match tuned {
        None => logits.to_vec(),
        Some(tuned) => {
            let both = logits.iter().zip(tuned);
            both.map(|(logit, tuned)| logit + share * tuned).collect()
        }
    }
}

/// The share with the least log loss on held-out answers, each at its best temperature;
/// none where no classifier answered.
pub(crate) fn share<'a>(answers: impl Iterator<Item = (&'a Scored, Option<&'a [f32]>)>) -> f32 {
    let answers: Vec<_> = answers.collect();
    if answers.iter().all(|(_, tuned)| tuned.is_none()) {
        return 0.0;
    }
    let step = answers.len().div_ceil(MOST_ANSWERS).max(1);
    let loss = |share: f32| {
        let blended: Vec<Scored> = answers
            .iter()
            .step_by(step)
            .map(|(scored, tuned)| Scored {
                logits: blend(&scored.logits, *tuned, share),
                label: scored.label,
            })
            .collect();
        log_loss(&blended, temperature(&blended))
    };
    let losses = SHARES.map(|share| (share, loss(share)));
    losses
        .into_iter()
        .min_by(|one, other| one.1.total_cmp(&other.1))
        .map_or(0.0, |(share, _)| share)
}

#[cfg(test)]
mod tests;
