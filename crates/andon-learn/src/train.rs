//! Training the weights of a head: multinomial logistic regression with an L2
//! penalty, over the n-grams, the sentence vector and a constant.

use andon_task::glossary::Reading;
use andon_task::head::{Vocabulary, Weighted};

use crate::minimise::minimise;

/// The inverse strength of the penalty, as scikit-learn's `C`.
const LOOSENESS: f64 = 10.0;

/// How large the sentence vector is beside the n-grams, both of unit length.
const VECTOR_SCALE: f32 = 0.85;

/// The constant feature. It is penalised like the others, so a label without
/// examples keeps a small, finite probability.
const CONSTANT: f32 = 2.0;

/// From this many texts on an n-gram must occur in two of them: the head would
/// grow by what cannot generalise.
const MANY_TEXTS: usize = 5_000;

/// Examples whose products are taken together.
const BLOCK: usize = 8;

/// What is trained on.
#[derive(Clone, Copy)]
pub(crate) struct Text<'a> {
    pub(crate) reading: &'a Reading<'a>,
    pub(crate) vector: &'a [f32],
    pub(crate) label: usize,
}

/// The vocabulary of the texts, and the weights of n-grams, vector and constant
/// for `labels` labels, laid out as [`andon_task::head::Parts::weights`] says.
pub(crate) fn train(texts: &[Text<'_>], labels: usize) -> (Vocabulary, Vec<f32>) {
    let least = if texts.len() < MANY_TEXTS { 1 } else { 2 };
    let vocabulary = Vocabulary::of(texts.iter().map(|text| text.reading), least);
    let dimensions = texts.first().map_or(0, |text| text.vector.len());
    let design = Design {
        rows: texts
            .iter()
            .map(|text| Row {
                grams: vocabulary.weigh(text.reading),
                dense: text
                    .vector
                    .iter()
                    .map(|value| value * VECTOR_SCALE)
                    .chain([CONSTANT])
                    .collect(),
                label: text.label,
            })
            .collect(),
        grams: vocabulary.len(),
        labels,
    };
    let length = (vocabulary.len() + dimensions + 1) * labels;
    let mut weights = minimise(length, |weights, slope| design.loss(weights, slope));
    let (_, dense) = weights.split_at_mut(vocabulary.len() * labels);
    let (of_vector, constant) = dense.split_at_mut(dimensions * labels);
    // The head sees the vector and the constant 1 unscaled.
    of_vector
        .iter_mut()
        .for_each(|weight| *weight *= VECTOR_SCALE);
    constant.iter_mut().for_each(|weight| *weight *= CONSTANT);
    (vocabulary, weights)
}

struct Row {
    grams: Vec<Weighted>,
    /// The scaled vector and the constant.
    dense: Vec<f32>,
    label: usize,
}

struct Design {
    rows: Vec<Row>,
    grams: usize,
    labels: usize,
}

impl Design {
    /// The mean log loss with the penalty, and its slope.
    fn loss(&self, weights: &[f32], slope: &mut [f32]) -> f64 {
        let count = self.labels;
        let penalty = 1.0 / (LOOSENESS * self.rows.len() as f64);
        let mut squares = 0.0;
        for (slope, &weight) in slope.iter_mut().zip(weights) {
            *slope = penalty as f32 * weight;
            squares += f64::from(weight) * f64::from(weight);
        }
        let (of_grams, of_dense) = weights.split_at(self.grams * count);
        let (gram_slope, dense_slope) = slope.split_at_mut(self.grams * count);
        let share = 1.0 / self.rows.len() as f64;
        let mut loss = 0.0;
        let mut logits = vec![0f32; BLOCK * count];
        for block in self.rows.chunks(BLOCK) {
            logits.fill(0.0);
            for (row, logits) in block.iter().zip(logits.chunks_exact_mut(count)) {
                for &(column, value) in &row.grams {
                    let start = column as usize * count;
                    add(logits, value, &of_grams[start..start + count]);
                }
            }
            multiply(block, of_dense, &mut logits, count);
            for (row, logits) in block.iter().zip(logits.chunks_exact_mut(count)) {
                loss += share * to_residuals(logits, row.label, share);
                for &(column, value) in &row.grams {
                    let start = column as usize * count;
                    add(&mut gram_slope[start..start + count], value, logits);
                }
            }
            accumulate(block, &logits, dense_slope, count);
        }
        loss + 0.5 * penalty * squares
    }
}

/// Turns logits into the slope of the log loss, times `share`; returns the loss.
fn to_residuals(logits: &mut [f32], label: usize, share: f64) -> f64 {
    let top = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let of_label = f64::from(logits[label] - top);
    let mut total = 0.0;
    for logit in logits.iter_mut() {
        *logit = (*logit - top).exp();
        total += f64::from(*logit);
    }
    let scale = (share / total) as f32;
    for residual in logits.iter_mut() {
        *residual *= scale;
    }
    logits[label] -= share as f32;
    total.ln() - of_label
}

/// Adds the dense features times their weights, eight features at a time so
/// that a block of weights stays in the nearest cache for all rows.
fn multiply(block: &[Row], weights: &[f32], logits: &mut [f32], count: usize) {
    for (part, weights) in weights.chunks(8 * count).enumerate() {
        for (row, logits) in block.iter().zip(logits.chunks_exact_mut(count)) {
            let values = &row.dense[part * 8..(part * 8 + weights.len() / count)];
            add_rows(logits, values, weights, count);
        }
    }
}

/// Adds what each row's residuals say about the weights of the dense features.
fn accumulate(block: &[Row], residuals: &[f32], slope: &mut [f32], count: usize) {
    let mut values = [0f32; BLOCK];
    for (feature, slope) in slope.chunks_exact_mut(count).enumerate() {
        for (value, row) in values.iter_mut().zip(block) {
            *value = row.dense[feature];
        }
        add_rows(slope, &values[..block.len()], residuals, count);
    }
}

/// `to += Σ values[i] · rows[i]`, four rows at a time.
fn add_rows(to: &mut [f32], values: &[f32], rows: &[f32], count: usize) {
    let mut quads = values.chunks_exact(4).zip(rows.chunks(4 * count));
    for (values, rows) in &mut quads {
        let (a, rest) = rows.split_at(count);
        let (b, rest) = rest.split_at(count);
        let (c, d) = rest.split_at(count);
        for ((((to, a), b), c), d) in to.iter_mut().zip(a).zip(b).zip(c).zip(d) {
            *to += (values[0] * a + values[1] * b) + (values[2] * c + values[3] * d);
        }
    }
    let done = values.len() / 4 * 4;
    for (&value, row) in values[done..]
        .iter()
        .zip(rows[done * count..].chunks_exact(count))
    {
        add(to, value, row);
    }
}

fn add(to: &mut [f32], value: f32, row: &[f32]) {
    for (to, row) in to.iter_mut().zip(row) {
        *to += value * row;
    }
}

#[cfg(test)]
mod tests;
