//! Training the weights of a head: multinomial logistic regression with an L2
//! penalty, over the n-grams of characters and words, the sentence vector and a
//! constant.

use andon_task::glossary::Reading;
use andon_task::head::{Recipe, Unit, Vocabulary, Weighted};

use crate::minimise::{Patience, minimise};

/// The constant feature. It is penalised like the others, so a label without
/// examples keeps a small, finite probability.
const CONSTANT: f32 = 2.0;

/// For each so many texts an n-gram must occur in one more of them: the head would
/// grow by what cannot generalise.
const TEXTS_FOR_ONE: usize = 5_000;

/// From this many texts on every sixth of them is trained on first: a sixth of the
/// work goes most of the way.
const MANY_TEXTS: usize = 3_000;
const FIRST: usize = 6;

/// A walk from nothing, one of a part of the texts, and one that begins near its end.
const WHOLE_WAY: Patience = Patience {
    steps: 200,
    tolerance: 1e-3,
};
const MOST_OF_IT: Patience = Patience {
    steps: 40,
    tolerance: 1e-3,
};
const LAST_PART: Patience = Patience {
    steps: 30,
    tolerance: 1e-3,
};

/// The most weights of the n-grams of one kind: 48 MiB, a dozen times as much
/// while they are trained.
const MOST_WEIGHTS: usize = 12 << 20;

/// Examples whose products are taken together.
const BLOCK: usize = 8;

/// What is trained on.
#[derive(Clone, Copy)]
pub(crate) struct Text<'a> {
    pub(crate) reading: &'a Reading<'a>,
    pub(crate) vector: &'a [f32],
    pub(crate) label: usize,
    pub(crate) also: Option<usize>,
}

/// Texts as features, before a recipe gives these their sizes.
pub(crate) struct Sheet<'a> {
    characters: Vocabulary,
    words: Vocabulary,
    rows: Vec<Raw<'a>>,
    /// The mean of the vectors: without what all of them share the way to the
    /// bottom is shorter.
    mean: Vec<f32>,
    labels: usize,
}

struct Raw<'a> {
    characters: Vec<Weighted>,
    words: Vec<Weighted>,
    vector: &'a [f32],
    label: usize,
    also: Option<usize>,
}

impl<'a> Sheet<'a> {
    /// With the vocabulary of the texts themselves.
    pub(crate) fn of(texts: &[Text<'a>], labels: usize) -> Self {
        let least = 1 + (texts.len() / TEXTS_FOR_ONE) as u32;
        let vocabulary = |unit| {
            let readings = texts.iter().map(|text| text.reading);
            Vocabulary::of(unit, readings, least, MOST_WEIGHTS / labels)
        };
        let (characters, words) = (vocabulary(Unit::Characters), vocabulary(Unit::Words));
        let rows = texts
            .iter()
            .map(|text| Raw {
                characters: characters.weigh(text.reading),
                words: words.weigh(text.reading),
                vector: text.vector,
                label: text.label,
                also: text.also,
            })
            .collect();
        Self {
            characters,
            words,
            rows,
            mean: mean(texts),
            labels,
        }
    }

    /// What weights say of a text that is not on the sheet.
    pub(crate) fn logits(
        &self,
        weights: &[f32],
        reading: &Reading<'_>,
        vector: &[f32],
    ) -> Vec<f32> {
        let count = self.labels;
        let mut logits = vec![0.0; count];
        let mut rest = weights;
        for vocabulary in [&self.characters, &self.words] {
            let (of_grams, others) = rest.split_at(vocabulary.len() * count);
            rest = others;
            for (column, value) in vocabulary.weigh(reading) {
                add(
                    &mut logits,
                    value,
                    &of_grams[column as usize * count..][..count],
                );
            }
        }
        for (row, &value) in rest.chunks_exact(count).zip(vector.iter().chain([&1.0])) {
            add(&mut logits, value, row);
        }
        logits
    }

    /// The vocabularies of characters and words.
    pub(crate) fn into_vocabularies(self) -> (Vocabulary, Vocabulary) {
        (self.characters, self.words)
    }

    /// The texts at every `step`-th place.
    fn design(&self, recipe: Recipe, step: usize) -> Design {
        let words = self.characters.len() as u32;
        let rows = self.rows.iter().step_by(step).map(|raw| {
            let of_words = raw
                .words
                .iter()
                .filter(|_| recipe.words > 0.0)
                .map(|&(column, value)| (words + column, value * recipe.words));
            let centred = raw.vector.iter().zip(&self.mean);
            let of_vector = centred.map(|(value, mean)| (value - mean) * recipe.vector);
            Row {
                grams: raw.characters.iter().copied().chain(of_words).collect(),
                dense: of_vector.chain([CONSTANT]).collect(),
                label: raw.label,
                also: raw.also,
            }
        });
        let rows: Vec<Row> = rows.collect();
        Design {
            penalty: 1.0 / (recipe.looseness * rows.len() as f64),
            rows,
            grams: self.characters.len() + self.words.len(),
            labels: self.labels,
        }
    }

    /// Trains by a recipe, from `start` on where weights are known that cannot be
    /// far off. The weights are laid out as [`andon_task::head::Parts::weights`]
    /// says.
    pub(crate) fn train(&self, recipe: Recipe, start: Option<&[f32]>) -> Vec<f32> {
        let rows = self.characters.len() + self.words.len() + self.mean.len() + 1;
        let length = rows * self.labels;
        let mut weights = start.map_or_else(|| vec![0.0; length], <[f32]>::to_vec);
        self.move_mean(&mut weights, 1.0);
        self.scale(&mut weights, recipe, |weight, size| {
            *weight = if size > 0.0 { *weight / size } else { 0.0 };
        });
        let walk = |weights, step, patience| {
            let design = self.design(recipe, step);
            minimise(weights, patience, |weights, slope| {
                design.loss(weights, slope)
            })
        };
        let many = self.rows.len() >= MANY_TEXTS;
        let mut weights = match start {
            Some(_) => walk(weights, 1, LAST_PART),
            None if many => walk(walk(weights, FIRST, MOST_OF_IT), 1, LAST_PART),
            None => walk(weights, 1, WHOLE_WAY),
        };
        // The head sees all features in their own sizes.
        self.scale(&mut weights, recipe, |weight, size| *weight *= size);
        self.move_mean(&mut weights, -1.0);
        weights
    }

    /// Adds `factor` times what the weights of the vector make of the mean to the
    /// weights of the constant.
    fn move_mean(&self, weights: &mut [f32], factor: f32) {
        let dense = (self.characters.len() + self.words.len()) * self.labels;
        let (of_vector, constant) = weights[dense..].split_at_mut(self.mean.len() * self.labels);
        for (row, mean) in of_vector.chunks_exact(self.labels).zip(&self.mean) {
            add(constant, factor * mean, row);
        }
    }

    fn scale(&self, weights: &mut [f32], recipe: Recipe, change: impl Fn(&mut f32, f32)) {
        let (_, rest) = weights.split_at_mut(self.characters.len() * self.labels);
        let (words, dense) = rest.split_at_mut(self.words.len() * self.labels);
        let (vector, constant) = dense.split_at_mut(self.mean.len() * self.labels);
        for (part, size) in [
            (words, recipe.words),
            (vector, recipe.vector),
            (constant, CONSTANT),
        ] {
            part.iter_mut().for_each(|weight| change(weight, size));
        }
    }
}

fn mean(texts: &[Text<'_>]) -> Vec<f32> {
    let mut mean = vec![0.0; texts.first().map_or(0, |text| text.vector.len())];
    for text in texts {
        add(&mut mean, 1.0 / texts.len() as f32, text.vector);
    }
    mean
}

struct Row {
    grams: Vec<Weighted>,
    /// The scaled vector and the constant.
    dense: Vec<f32>,
    label: usize,
    also: Option<usize>,
}

struct Design {
    rows: Vec<Row>,
    grams: usize,
    labels: usize,
    /// Half of this times the sum of the squared weights is added to the loss.
    penalty: f64,
}

impl Design {
    /// The mean log loss with the penalty, and its slope.
    fn loss(&self, weights: &[f32], slope: &mut [f32]) -> f64 {
        let count = self.labels;
        let penalty = self.penalty;
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
                loss += share * to_residuals(logits, row.label, row.also, share);
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

/// Turns logits into the slope of the log loss, times `share`; returns the loss. Of two
/// labels each counts half.
fn to_residuals(logits: &mut [f32], label: usize, also: Option<usize>, share: f64) -> f64 {
    let top = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let below = |label: usize| f64::from(logits[label] - top);
    let of_label = match also {
        Some(also) => f64::midpoint(below(label), below(also)),
        None => below(label),
    };
    let mut total = 0.0;
    for logit in logits.iter_mut() {
        *logit = (*logit - top).exp();
        total += f64::from(*logit);
    }
    let scale = (share / total) as f32;
    for residual in logits.iter_mut() {
        *residual *= scale;
    }
    match also {
        Some(also) => {
            logits[label] -= (share / 2.0) as f32;
            logits[also] -= (share / 2.0) as f32;
        }
        None => logits[label] -= share as f32,
    }
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
