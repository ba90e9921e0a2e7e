//! What words mean, beside how they are written: weights on an encoder's states of the words
//! at a candidate's ends and of those beside it.

use serde::{Deserialize, Serialize};

use super::candidate::Candidate;
use super::page::Page;
use crate::digest::Digest;
use crate::engine::States;

/// The words that are seen: the one before a candidate, its first, its last, the one behind.
pub const ROLES: usize = 4;

/// How far a state's numbers are from zero, in the mean of squares.
const SPREAD: f32 = 0.3;

/// Weights on words' states.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Meaning {
    /// The encoder that the states come from.
    pub encoder: Digest,
    /// Numbers of a state.
    pub width: usize,
    /// `[field][role][width]`
    pub weights: Vec<f32>,
}

impl Meaning {
    /// Of weights on states of unit length, `[field][role][width]`.
    pub fn of_unit_states(encoder: Digest, mut weights: Vec<f32>, fields: usize) -> Self {
        let width = weights.len() / (fields * ROLES).max(1);
        let length = SPREAD * (width as f32).sqrt();
        weights.iter_mut().for_each(|weight| *weight /= length);
        Self {
            encoder,
            width,
            weights,
        }
    }

    /// The same, so many times as heavy.
    pub fn times(&self, share: f32) -> Self {
        Self {
            weights: self.weights.iter().map(|weight| weight * share).collect(),
            ..self.clone()
        }
    }
}

/// The states of a page's words.
#[derive(Clone, Debug)]
pub struct Meanings {
    width: usize,
    /// `[word][width]`
    states: Vec<f32>,
}

impl Meanings {
    /// The mean state of the tokens of each word of a page, all of the same spread.
    pub fn new(page: &Page<'_>, tokens: &States) -> Self {
        let width = tokens.width;
        let mut states = vec![0.0; page.tokens.len() * width];
        for (word, state) in page.tokens.iter().zip(states.chunks_exact_mut(width)) {
            let within = |&&(start, end): &&(usize, usize)| start < word.end && end > word.start;
            let own = tokens.spans.iter().zip(tokens.states.chunks_exact(width));
            for (_, token) in own.filter(|(span, _)| within(span)) {
                state.iter_mut().zip(token).for_each(|(sum, x)| *sum += x);
            }
            let length = state.iter().map(|x| x * x).sum::<f32>().sqrt();
            if length > 0.0 {
                let scale = SPREAD * (width as f32).sqrt() / length;
                state.iter_mut().for_each(|x| *x *= scale);
            }
        }
        Self { width, states }
    }

    /// How many words there are.
    pub fn words(&self) -> usize {
        self.states.len() / self.width.max(1)
    }

    /// The state of a word.
    pub fn state(&self, word: usize) -> &[f32] {
        &self.states[word * self.width..][..self.width]
    }

    /// What each word weighs in each role, `[word][role]`, by the weights of a field.
    pub fn weigh(&self, weights: &[f32]) -> Vec<f32> {
        let mut table = Vec::with_capacity(self.words() * ROLES);
        for state in self.states.chunks_exact(self.width) {
            for role in weights.chunks_exact(self.width) {
                table.push(state.iter().zip(role).map(|(x, w)| x * w).sum());
            }
        }
        table
    }
}

/// The words that are seen of a candidate, each with its role.
pub fn roles(page: &Page<'_>, candidate: &Candidate) -> impl Iterator<Item = (usize, usize)> {
    let on = |word: usize, line: usize| {
        page.tokens
            .get(word)
            .filter(|token| token.line == line)
            .map(|_| word)
    };
    let seen = candidate.has_place().then(|| {
        let (first, last) = candidate.lines(page);
        let before = candidate.first.checked_sub(1);
        [
            before.and_then(|word| on(word, first)),
            Some(candidate.first),
            Some(candidate.last),
            on(candidate.last + 1, last),
        ]
    });
    let words = seen.into_iter().flatten().enumerate();
    words.filter_map(|(role, word)| Some((word?, role)))
}
