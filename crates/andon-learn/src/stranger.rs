//! The label that is answered where no other fits, without an example of it: its logit
//! is one number for all texts. A text that has little in common with what was taught
//! has no label with a higher one.

use andon_task::head::Parts;

/// The share of held-out texts with another label that may be called strangers.
const MISTAKEN: f64 = 0.05;

/// The logit under which the highest of the others stays for a twentieth of held-out
/// texts, all of which have one of the others; 0 where there are none.
pub(crate) fn level<'a>(held_out: impl Iterator<Item = &'a [f32]>, none: usize) -> f32 {
    let mut highest: Vec<f32> = held_out
        .map(|logits| {
            let others = logits
                .iter()
                .enumerate()
                .filter(|&(label, _)| label != none);
            others
                .map(|(_, &logit)| logit)
                .fold(f32::NEG_INFINITY, f32::max)
        })
        .collect();
    highest.sort_unstable_by(f32::total_cmp);
    let rank = (MISTAKEN * highest.len() as f64) as usize;
    highest.get(rank).copied().unwrap_or(0.0)
}

/// Gives the label `none` the logit `level` for every text.
pub(crate) fn set(parts: &mut Parts, none: usize, level: f32) {
    let count = parts.labels.len();
    for row in parts.weights.chunks_exact_mut(count) {
        row[none] = 0.0;
    }
    if let Some(constant) = parts.weights.chunks_exact_mut(count).next_back() {
        constant[none] = level;
    }
}

#[cfg(test)]
mod tests;
