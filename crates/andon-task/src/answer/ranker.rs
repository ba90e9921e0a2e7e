//! What ranks sections, picks sentences and says how sure it is: three linear functions and
//! the questions that were answered before. Learned from a plant's examples; where there are
//! none, the one that the binary brings.

use serde::{Deserialize, Serialize};

use super::index::{Index, TermId};
use super::relevance::SENTENCE_FEATURES;
use super::vector::Vector;
use crate::digest::Digest;

/// What describes a section for a question.
pub const FEATURES: usize = 20;
/// What describes a run of sentences.
pub const SPAN_FEATURES: usize = 36;
/// What describes an answer as a whole.
pub const SUPPORT_FEATURES: usize = 32;

/// What a file of a ranker begins with.
const MAGIC: &[u8] = b"andon ranker 2\n";

/// A linear function of features, each first brought to a mean of 0 and a spread of 1.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Linear {
    /// The means of the features.
    pub means: Vec<f64>,
    /// Their spreads.
    pub spreads: Vec<f64>,
    /// Their weights.
    pub weights: Vec<f64>,
    /// What is added.
    pub bias: f64,
}

impl Linear {
    /// A function that is 0 whatever the features.
    pub fn zero(features: usize) -> Self {
        Self {
            means: vec![0.0; features],
            spreads: vec![1.0; features],
            weights: vec![0.0; features],
            bias: 0.0,
        }
    }

    /// The value for some features.
    pub fn value(&self, features: &[f64]) -> f64 {
        let each = features
            .iter()
            .zip(&self.means)
            .zip(&self.spreads)
            .zip(&self.weights);
        let weigh = |(((feature, mean), spread), weight): (((&f64, &f64), &f64), &f64)| {
            weight * (feature - mean) / spread
        };
        self.bias + each.map(weigh).sum::<f64>()
    }

    fn is_sound(&self, features: usize) -> bool {
        let parts = [&self.means, &self.spreads, &self.weights];
        parts
            .iter()
            .all(|part| part.len() == features && part.iter().all(|v| v.is_finite()))
            && self.spreads.iter().all(|&spread| spread > 0.0)
            && self.bias.is_finite()
    }
}

/// A question that was answered before, by the sections that hold its answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Remembered {
    /// Its words, as they are compared.
    pub keys: Vec<String>,
    /// Its vector.
    pub vector: Vector,
    /// The ids of the sections.
    pub sections: Vec<String>,
    /// The sentences that answered it best, where an answer was expected.
    pub quoted: Option<Quoted>,
}

/// Sentences of a section that answered a question.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quoted {
    /// The id of the section.
    pub section: String,
    /// How many sentences it had: of a section that was changed since nothing is known.
    pub of: usize,
    /// The sentences, by their positions.
    pub sentences: std::ops::Range<usize>,
}

/// What was learned, as it is kept in a file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Learned {
    /// The encoder that made the vectors; none where nothing was learned from vectors.
    pub encoder: Option<Digest>,
    /// Ranks sections.
    pub sections: Linear,
    /// Says how probable it is of a sentence to belong to the answer: the logarithm of the
    /// odds.
    pub sentences: Linear,
    /// Ranks runs of sentences.
    pub spans: Linear,
    /// Says how probable it is that the answer is there and right: the logarithm of the odds.
    pub support: Linear,
    /// From which probability on an answer is given.
    pub threshold: f64,
    /// Questions that were answered before.
    pub memory: Vec<Remembered>,
}

/// What is wrong with a file of a ranker.
#[derive(Debug, thiserror::Error)]
pub enum RankerError {
    /// Not a ranker, or damaged, or of another version.
    #[error("it is no ranker of this version: learn again")]
    Format,
    /// Made with another encoder.
    #[error("it was made with the encoder {made_with} and {serves} serves: learn again")]
    Encoder {
        /// The encoder that it was made with.
        made_with: String,
        /// The one that serves.
        serves: String,
    },
}

/// A question that was answered before, found in an index.
pub(crate) struct Memory {
    /// Its words that the index has, ascending.
    pub(crate) terms: Vec<TermId>,
    /// How telling all its words are together.
    pub(crate) weight: f64,
    pub(crate) vector: Vector,
    pub(crate) sections: Vec<usize>,
    pub(crate) quoted: Option<(usize, std::ops::Range<usize>)>,
}

/// A ranker for one index.
pub struct Ranker {
    learned: Learned,
    memories: Vec<Memory>,
}

impl Learned {
    /// What says nothing.
    pub fn blank() -> Self {
        Self {
            encoder: None,
            sections: Linear::zero(FEATURES),
            sentences: Linear::zero(SENTENCE_FEATURES),
            spans: Linear::zero(SPAN_FEATURES),
            support: Linear::zero(SUPPORT_FEATURES),
            threshold: 1.0,
            memory: Vec::new(),
        }
    }

    /// Reads a file of a ranker.
    pub fn parse(bytes: &[u8]) -> Result<Self, RankerError> {
        let body = bytes.strip_prefix(MAGIC).ok_or(RankerError::Format)?;
        let learned: Self = postcard::from_bytes(body).map_err(|_| RankerError::Format)?;
        let sound = learned.sections.is_sound(FEATURES)
            && learned.sentences.is_sound(SENTENCE_FEATURES)
            && learned.spans.is_sound(SPAN_FEATURES)
            && learned.support.is_sound(SUPPORT_FEATURES)
            && (0.0..=1.0).contains(&learned.threshold);
        sound.then_some(learned).ok_or(RankerError::Format)
    }

    /// The bytes of its file; its digest is theirs.
    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend(postcard::to_stdvec(self).expect("plain numbers and texts"));
        bytes
    }

    /// What it is known by.
    pub fn digest(&self) -> Digest {
        Digest::of(&self.bytes())
    }

    /// Whether it was made with the encoder that serves.
    pub fn fits(&self, encoder: Digest) -> Result<(), RankerError> {
        match self.encoder {
            Some(made_with) if made_with != encoder => Err(RankerError::Encoder {
                made_with: made_with.short(),
                serves: encoder.short(),
            }),
            _ => Ok(()),
        }
    }
}

impl Default for Learned {
    fn default() -> Self {
        super::usual::learned()
    }
}

impl Ranker {
    /// A ranker for an index. What it remembers of sections that are gone is left out.
    pub fn new(learned: Learned, index: &Index) -> Self {
        let by_id: std::collections::HashMap<&str, usize> = (0..index.len())
            .map(|number| (index.section(number).1.id.as_str(), number))
            .collect();
        let memories = learned
            .memory
            .iter()
            .map(|one| {
                let find = |id: &String| by_id.get(id.as_str()).copied();
                let sections: Vec<usize> = one.sections.iter().filter_map(find).collect();
                let known = one.keys.iter().map(|key| index.term(key));
                let weight = known.clone().map(|term| index.rarity(term)).sum();
                let mut terms: Vec<TermId> = known.flatten().collect();
                terms.sort_unstable();
                Memory {
                    terms,
                    weight,
                    vector: one.vector.clone(),
                    sections,
                    quoted: one.quoted.as_ref().and_then(|quoted| {
                        let section = find(&quoted.section)?;
                        let is_same = index.section(section).1.sentences.len() == quoted.of;
                        is_same.then(|| (section, quoted.sentences.clone()))
                    }),
                }
            })
            .collect();
        Self { learned, memories }
    }

    /// What was learned.
    pub fn learned(&self) -> &Learned {
        &self.learned
    }

    pub(crate) fn memories(&self) -> &[Memory] {
        &self.memories
    }
}
