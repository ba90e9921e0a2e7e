//! Training the weights of a head: two linear classifiers with an L2 penalty, over the
//! n-grams of characters and words, the sentence vector and a constant, whose logits are
//! added. Multinomial logistic regression knows best how sure an answer is; one label
//! against the rest by squared hinges (Fan et al., LIBLINEAR, 2008) is right more often
//! where labels are many or doubtful. Their sum has most of both.

use andon_task::glossary::Reading;
use andon_task::head::{Recipe, Unit, Vocabulary, Weighted};

use crate::minimise::{Patience, minimise};

/// The constant feature. It is penalised like the others, so a label without
/// examples keeps a small, finite probability.
const CONSTANT: f32 = 2.0;

/// The hinges' penalty is so many times as strong.
const TIGHTER: f64 = 16.0;

/// A margin of 1 counts as much as so much of a logit.
const MARGIN: f32 = 5.0;

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
    fn design(&self, loss: Loss, recipe: Recipe, step: usize) -> Design {
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
        let tighter = match loss {
            Loss::Logistic => 1.0,
            Loss::Hinges => TIGHTER,
        };
        Design::of(Design {
            loss,
            penalty: tighter / (recipe.looseness * rows.len() as f64),
            rows,
            grams: self.characters.len() + self.words.len(),
            labels: self.labels,
            units: Vec::new(),
        })
    }

    /// Trains both classifiers by a recipe. The weights are laid out as
    /// [`andon_task::head::Parts::weights`] says.
    pub(crate) fn train(&self, recipe: Recipe) -> Vec<f32> {
        let mut weights = self.train_one(Loss::Logistic, recipe, None);
        let near: Vec<f32> = weights.iter().map(|weight| weight / MARGIN).collect();
        let margins = self.train_one(Loss::Hinges, recipe, Some(&near));
        add(&mut weights, MARGIN, &margins);
        weights
    }

    /// Trains one classifier by a recipe, from `start` on where weights are known that
    /// cannot be far off.
    pub(crate) fn train_one(&self, loss: Loss, recipe: Recipe, start: Option<&[f32]>) -> Vec<f32> {
        let rows = self.characters.len() + self.words.len() + self.mean.len() + 1;
        let length = rows * self.labels;
        let mut weights = start.map_or_else(|| vec![0.0; length], <[f32]>::to_vec);
        self.move_mean(&mut weights, 1.0);
        self.scale(&mut weights, recipe, |weight, size| {
            *weight = if size > 0.0 { *weight / size } else { 0.0 };
        });
        let walk = |mut weights: Vec<f32>, step, patience| {
            let design = self.design(loss, recipe, step);
            design.in_units(&mut weights, |weight, unit| weight / unit);
            let mut weights = minimise(weights, patience, |weights, slope| {
                design.loss(weights, slope)
            });
            design.in_units(&mut weights, |weight, unit| weight * unit);
            weights
        };
        let many = self.rows.len() >= MANY_TEXTS;
        let mut weights = match start {
            Some(_) if loss == Loss::Logistic => walk(weights, 1, LAST_PART),
            Some(_) => walk(weights, 1, WHOLE_WAY),
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

/// What is least at a classifier's weights, but for the penalty.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Loss {
    /// The logarithm of what the right label has.
    Logistic,
    /// Half the squares of what labels lack to a margin of 1, on the right side.
    Hinges,
}

impl Loss {
    /// How curved it is along a logit, about.
    fn curvature(self, labels: usize) -> f64 {
        match self {
            Self::Logistic => 1.0 / labels as f64,
            Self::Hinges => 0.3,
        }
    }
}

struct Design {
    loss: Loss,
    rows: Vec<Row>,
    grams: usize,
    labels: usize,
    /// Half of this times the sum of the squared weights is added to the loss.
    penalty: f64,
    /// The unit of each feature, in which values are divided and weights multiplied by
    /// what makes the loss about as curved along each of them: the way to the bottom
    /// takes half as many steps (diagonal preconditioning).
    units: Vec<f32>,
}

impl Design {
    /// With values in units of its own.
    fn of(mut design: Self) -> Self {
        let dense = design.rows.first().map_or(0, |row| row.dense.len());
        let mut squares = vec![0f64; design.grams + dense];
        for row in &design.rows {
            for &(column, value) in &row.grams {
                squares[column as usize] += f64::from(value * value);
            }
            for (square, value) in squares[design.grams..].iter_mut().zip(&row.dense) {
                *square += f64::from(value * value);
            }
        }
        let curved = design.loss.curvature(design.labels) / design.rows.len() as f64;
        let unit = |square: f64| (design.penalty + curved * square).sqrt().recip() as f32;
        design.units = squares.into_iter().map(unit).collect();
        let (of_grams, of_dense) = design.units.split_at(design.grams);
        for row in &mut design.rows {
            for (column, value) in &mut row.grams {
                *value *= of_grams[*column as usize];
            }
            for (value, unit) in row.dense.iter_mut().zip(of_dense) {
                *value *= unit;
            }
        }
        design
    }

    /// Changes the weights of each feature by its unit.
    fn in_units(&self, weights: &mut [f32], change: impl Fn(f32, f32) -> f32) {
        for (weights, &unit) in weights.chunks_exact_mut(self.labels).zip(&self.units) {
            for weight in weights {
                *weight = change(*weight, unit);
            }
        }
    }

    /// The mean loss with the penalty, and its slope.
    fn loss(&self, weights: &[f32], slope: &mut [f32]) -> f64 {
        let count = self.labels;
        let mut penalty = 0.0;
        let features = slope.chunks_exact_mut(count);
        for ((slope, weights), &unit) in features.zip(weights.chunks_exact(count)).zip(&self.units)
        {
            let of_feature = self.penalty as f32 * unit * unit;
            for (slope, &weight) in slope.iter_mut().zip(weights) {
                *slope = of_feature * weight;
                penalty += f64::from(*slope * weight);
            }
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
                loss += share
                    * match self.loss {
                        Loss::Logistic => to_residuals(logits, row.label, row.also, share),
                        Loss::Hinges => to_lacks(logits, row.label, row.also, share),
                    };
                for &(column, value) in &row.grams {
                    let start = column as usize * count;
                    add(&mut gram_slope[start..start + count], value, logits);
                }
            }
            accumulate(block, &logits, dense_slope, count);
        }
        loss + 0.5 * penalty
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

/// Turns margins into the slope of the squared hinges, times `share`; returns half their
/// squares. Of two labels both are right.
fn to_lacks(margins: &mut [f32], label: usize, also: Option<usize>, share: f64) -> f64 {
    let mut squares = 0.0;
    for (position, margin) in margins.iter_mut().enumerate() {
        let right = position == label || also == Some(position);
        let side = if right { 1.0 } else { -1.0 };
        let lack = (1.0 - side * *margin).max(0.0);
        squares += f64::from(lack * lack);
        *margin = -side * lack * share as f32;
    }
    0.5 * squares
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
