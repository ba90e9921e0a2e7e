//! A head: a linear classifier over a text's character n-grams, its words and its
//! sentence vector, small enough to be trained on the node in seconds.
//!
//! It knows what it was made for: the labels by name and digest, the encoder
//! and the glossary by digest. [`Head::fits`] refuses any other.

mod features;
mod format;

use serde::{Deserialize, Serialize};

use crate::calibration;
use crate::digest::Digest;
use crate::engine::Identity;
use crate::glossary::{Glossary, Reading};
use crate::label::LabelSet;

pub use features::{Unit, Vocabulary, Weighted, fold};

/// What a head is made of, as training gives it.
#[derive(Clone, Debug, PartialEq)]
pub struct Parts {
    /// The labels' names, in the label set's order.
    pub labels: Vec<String>,
    /// The digest of the label set.
    pub label_set: Digest,
    /// The digest of the encoder that made the sentence vectors.
    pub encoder: Digest,
    /// The digest of the glossary that the texts were read with.
    pub glossary: Digest,
    /// The length of the sentence vectors.
    pub dimensions: usize,
    /// The n-grams of characters.
    pub characters: Vocabulary,
    /// The words and pairs of words; none where they did not help.
    pub words: Vocabulary,
    /// One row a feature, one column a label: first the n-grams of characters by
    /// column, then those of words, then the dimensions of the vector, last the
    /// constant 1.
    pub weights: Vec<f32>,
    /// What the logits are divided by, fitted on held-out examples.
    pub temperature: f64,
    /// How the weights were trained.
    pub recipe: Recipe,
    /// From which probability on the second label is answered beside the first, fitted
    /// on held-out examples; `None` where none of them has two labels.
    pub also: Option<f64>,
}

/// How a head is trained: what cross-validation chooses.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Recipe {
    /// How large the words are beside the n-grams of characters, both of unit
    /// length; 0 where they are left out.
    pub words: f32,
    /// How large the sentence vector is beside the same.
    pub vector: f32,
    /// The inverse strength of the penalty on the logistic classifier's weights, as
    /// scikit-learn's `C`.
    pub looseness: f64,
}

impl Recipe {
    fn is_sound(&self) -> bool {
        let size = |size: f32| size.is_finite() && size >= 0.0;
        size(self.words) && size(self.vector) && self.looseness.is_finite() && self.looseness > 0.0
    }
}

/// A classifier for the labels of one task.
#[derive(Clone, Debug, PartialEq)]
pub struct Head {
    parts: Parts,
    bytes: Vec<u8>,
    digest: Digest,
}

/// Why a head cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HeadError {
    /// The bytes are no head.
    #[error("this is no head: give a file that 'andon learn' wrote")]
    NotAHead,
    /// The bytes are a head of a later version.
    #[error(
        "the head has format {found}, this version reads up to {known}: update Andon or learn again"
    )]
    NewerFormat {
        /// The format of the file.
        found: u32,
        /// The newest format that is read.
        known: u32,
    },
    /// The bytes are not as they were written.
    #[error("the head is damaged ({0}): learn again or restore the file")]
    Damaged(&'static str),
    /// The labels have changed since the head was trained.
    #[error("the head was trained for other labels ({trained}, now {serving}): learn again")]
    OtherLabels {
        /// The start of the digest that it was trained for.
        trained: String,
        /// The start of the digest of the labels that serve.
        serving: String,
    },
    /// The encoder is not the one that the head was trained with.
    #[error(
        "the head was trained with another encoder ({trained}, now '{name}' {serving}): load that one or learn again"
    )]
    OtherEncoder {
        /// The start of the digest that it was trained with.
        trained: String,
        /// The name of the encoder that serves.
        name: String,
        /// The start of its digest.
        serving: String,
    },
    /// The glossary has changed since the head was trained.
    #[error("the head was trained with another glossary ({trained}, now {serving}): learn again")]
    OtherGlossary {
        /// The start of the digest that it was trained with.
        trained: String,
        /// The start of the digest of the glossary that serves.
        serving: String,
    },
    /// The sentence vector has a length that the head does not know.
    #[error("the vector has {found} dimensions, the head expects {expected}: use its own encoder")]
    Dimensions {
        /// The length of the vector.
        found: usize,
        /// The length that the head was trained with.
        expected: usize,
    },
}

impl Head {
    /// A head from its parts; refused as damaged where they do not belong together.
    pub fn new(parts: Parts) -> Result<Self, HeadError> {
        check(&parts)?;
        let (bytes, digest) = format::write(&parts);
        Ok(Self {
            parts,
            bytes,
            digest,
        })
    }

    /// Reads a head from the bytes of its file.
    pub fn parse(bytes: &[u8]) -> Result<Self, HeadError> {
        let (parts, digest) = format::read(bytes)?;
        check(&parts)?;
        Ok(Self {
            parts,
            bytes: bytes.to_vec(),
            digest,
        })
    }

    /// The bytes of its file.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The digest of all that the head is. The same examples, labels,
    /// encoder and glossary give the same digest.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// What the head is made of.
    pub fn parts(&self) -> &Parts {
        &self.parts
    }

    /// The digest of the encoder that it was trained on.
    pub fn encoder(&self) -> Digest {
        self.parts.encoder
    }

    /// Refuses labels, an encoder and a glossary that the head was not trained for.
    pub fn fits(
        &self,
        labels: &LabelSet,
        encoder: &Identity,
        glossary: &Glossary,
    ) -> Result<(), HeadError> {
        let parts = &self.parts;
        if parts.label_set != labels.digest() {
            return Err(HeadError::OtherLabels {
                trained: parts.label_set.short(),
                serving: labels.digest().short(),
            });
        }
        if parts.encoder != encoder.digest {
            return Err(HeadError::OtherEncoder {
                trained: parts.encoder.short(),
                name: encoder.name.clone(),
                serving: encoder.digest.short(),
            });
        }
        if parts.glossary != glossary.digest() {
            return Err(HeadError::OtherGlossary {
                trained: parts.glossary.short(),
                serving: glossary.digest().short(),
            });
        }
        Ok(())
    }

    /// One logit a label, in the label set's order, not yet calibrated.
    /// `vector` is what the encoder made of the reading's [`text`](Reading::text).
    pub fn logits(&self, reading: &Reading<'_>, vector: &[f32]) -> Result<Vec<f32>, HeadError> {
        let parts = &self.parts;
        if vector.len() != parts.dimensions {
            return Err(HeadError::Dimensions {
                found: vector.len(),
                expected: parts.dimensions,
            });
        }
        let count = parts.labels.len();
        let (of_characters, rest) = parts.weights.split_at(parts.characters.len() * count);
        let (of_words, dense) = rest.split_at(parts.words.len() * count);
        let (of_vector, constant) = dense.split_at(vector.len() * count);
        let mut logits = constant.to_vec();
        let mut add = |row: &[f32], value: f32| {
            for (logit, weight) in logits.iter_mut().zip(row) {
                *logit += weight * value;
            }
        };
        for (vocabulary, weights) in [(&parts.characters, of_characters), (&parts.words, of_words)]
        {
            for (column, value) in vocabulary.weigh(reading) {
                let start = column as usize * count;
                add(&weights[start..start + count], value);
            }
        }
        for (row, &value) in of_vector.chunks_exact(count).zip(vector) {
            add(row, value);
        }
        Ok(logits)
    }

    /// From which probability on the second label is answered beside the first.
    pub fn also(&self) -> Option<f64> {
        self.parts.also
    }

    /// The calibrated probability of each label, in the label set's order; they
    /// add up to one.
    pub fn decide(&self, reading: &Reading<'_>, vector: &[f32]) -> Result<Vec<f64>, HeadError> {
        let logits = self.logits(reading, vector)?;
        Ok(calibration::probabilities(&logits, self.parts.temperature))
    }
}

fn check(parts: &Parts) -> Result<(), HeadError> {
    let rows = (parts.characters.len())
        .checked_add(parts.words.len())
        .and_then(|rows| rows.checked_add(parts.dimensions))
        .and_then(|rows| rows.checked_add(1));
    let expected = rows.and_then(|rows| rows.checked_mul(parts.labels.len()));
    if parts.labels.len() < 2 {
        return Err(HeadError::Damaged("fewer than two labels"));
    }
    if expected != Some(parts.weights.len()) {
        return Err(HeadError::Damaged("the number of weights is wrong"));
    }
    if !parts.weights.iter().all(|weight| weight.is_finite()) {
        return Err(HeadError::Damaged("a weight is no number"));
    }
    if !(parts.temperature.is_finite() && parts.temperature > 0.0) {
        return Err(HeadError::Damaged("the temperature is not positive"));
    }
    if !parts.recipe.is_sound() {
        return Err(HeadError::Damaged("its recipe has no meaning"));
    }
    if parts
        .also
        .is_some_and(|least| !(0.0..=0.5).contains(&least))
    {
        return Err(HeadError::Damaged(
            "no second label can have such a probability",
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
