//! Weights on what an encoder makes of words, while they are learnt.

use std::collections::BTreeMap;

use andon_task::digest::Digest;
use andon_task::engine::{Embed, States};
use andon_task::extract::{Meaning, Meanings, Page, ROLES};

use super::train::Lesson;
use crate::error::LearnError;

/// How far a weight moves at first.
const RATE: f32 = 0.02;

/// Texts with more words say by their layout what they mean, and an encoder takes long.
pub(super) const MOST_WORDS: usize = 80;

/// Whether nine of ten texts are so short that their words say more than their layout.
pub(super) fn is_short(texts: &[&str]) -> bool {
    let mut counts: Vec<usize> = texts
        .iter()
        .map(|text| text.split_whitespace().count())
        .collect();
    counts.sort_unstable();
    counts
        .get(counts.len() * 9 / 10)
        .is_some_and(|&most| most <= MOST_WORDS)
}

/// What an encoder makes of an example's words.
pub(super) fn states_of(
    encoder: &dyn Embed,
    example: usize,
    text: &str,
) -> Result<Option<States>, LearnError> {
    encoder.states(text).map_err(|source| LearnError::Encoder {
        text: format!("example {}", example + 1),
        source,
    })
}

/// What an encoder makes of each text's words.
pub(super) struct Corpus {
    encoder: Digest,
    width: usize,
    texts: Vec<States>,
}

impl Corpus {
    /// The states of all texts, if they are short and the encoder says them.
    pub(super) fn of(texts: &[&str], encoder: &dyn Embed) -> Result<Option<Self>, LearnError> {
        if !is_short(texts) {
            return Ok(None);
        }
        let states = texts.iter().enumerate();
        let states = states.map(|(index, text)| states_of(encoder, index, text));
        let states = states.collect::<Result<Option<Vec<_>>, _>>()?;
        Ok(states.map(|texts| Self {
            encoder: encoder.identity().digest,
            width: encoder.dimensions(),
            texts,
        }))
    }

    pub(super) fn states(&self, text: usize) -> &States {
        &self.texts[text]
    }
}

/// Weights while they are learnt (AdaGrad).
pub(super) struct Learning<'a> {
    corpus: &'a Corpus,
    /// What the words of each lesson mean.
    meanings: Vec<Meanings>,
    weights: Vec<f32>,
    squares: Vec<f32>,
}

/// The words that are seen of an option, each with its role.
pub(super) type Roles = Vec<(u32, u8)>;

impl<'a> Learning<'a> {
    pub(super) fn new(corpus: &'a Corpus, lessons: &[Lesson<'_>], fields: usize) -> Self {
        let count = fields * ROLES * corpus.width;
        let meanings = lessons
            .iter()
            .map(|lesson| Meanings::new(&Page::new(lesson.text), corpus.states(lesson.number)));
        Self {
            corpus,
            meanings: meanings.collect(),
            weights: vec![0.0; count],
            squares: vec![0.0; count],
        }
    }

    fn of_field(&self, field: usize) -> std::ops::Range<usize> {
        let size = ROLES * self.corpus.width;
        field * size..(field + 1) * size
    }

    /// What each word of a lesson weighs in each role for a field.
    pub(super) fn table(&self, lesson: usize, field: usize) -> Vec<f32> {
        self.meanings[lesson].weigh(&self.weights[self.of_field(field)])
    }

    /// Moves the weights of fields by how far each word of a lesson should weigh more.
    pub(super) fn move_by(&mut self, lesson: usize, slopes: &BTreeMap<(usize, u32, u8), f64>) {
        let width = self.corpus.width;
        let mut steps: BTreeMap<(usize, u8), Vec<f32>> = BTreeMap::new();
        for (&(field, word, role), &slope) in slopes {
            let step = steps
                .entry((field, role))
                .or_insert_with(|| vec![0.0; width]);
            let state = self.meanings[lesson].state(word as usize);
            step.iter_mut()
                .zip(state)
                .for_each(|(step, x)| *step += slope as f32 * x);
        }
        for ((field, role), step) in steps {
            let from = self.of_field(field).start + usize::from(role) * width;
            let weights = self.weights[from..from + width].iter_mut();
            let squares = self.squares[from..from + width].iter_mut();
            for ((weight, square), step) in weights.zip(squares).zip(step) {
                *square += step * step;
                *weight += RATE * step / (square.sqrt() + 1e-3);
            }
        }
    }

    /// The weights, as a part of one of `parts` trainings.
    pub(super) fn add_to(self, mean: &mut Option<Meaning>, parts: usize) {
        let mean = mean.get_or_insert_with(|| Meaning {
            encoder: self.corpus.encoder,
            width: self.corpus.width,
            weights: vec![0.0; self.weights.len()],
        });
        let weights = mean.weights.iter_mut().zip(&self.weights);
        weights.for_each(|(sum, weight)| *sum += weight / parts as f32);
    }
}
