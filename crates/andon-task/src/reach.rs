//! What small models are bad at: several steps of reasoning, current or broad knowledge,
//! a long context, free creative writing. A head says so of a request before a small model
//! answers it badly.

use crate::engine::Identity;
use crate::glossary::Glossary;
use crate::head::{Head, HeadError};
use crate::label::{LabelError, LabelSet};

/// The label of requests that are within a small model's reach.
pub const LOCAL: &str = "local";

/// Longer requests are judged by their beginning: it says what is asked.
const READ_CHARACTERS: usize = 800;

/// Recognises requests beyond a small model's reach.
#[derive(Clone, Debug)]
pub struct Reach {
    head: Head,
    local: usize,
    labels: LabelSet,
    glossary: Glossary,
    threshold: f64,
}

/// What a request asks for that a small model is bad at.
#[derive(Clone, Debug, PartialEq)]
pub struct Beyond {
    /// The label: `reasoning`, `knowledge`, `long_context` or `creative`.
    pub what: String,
    /// The same in words.
    pub words: String,
    /// The probability that the request is beyond reach.
    pub probability: f64,
}

/// Why a head cannot judge requests.
#[derive(Debug, thiserror::Error)]
pub enum ReachError {
    /// The labels cannot be read.
    #[error(transparent)]
    Labels(#[from] LabelError),
    /// The head cannot be used.
    #[error(transparent)]
    Head(#[from] HeadError),
    /// No label stands for what is within reach.
    #[error("the labels have no '{LOCAL}': add it")]
    NoLocal,
}

impl Reach {
    /// The judge of these parts, for an encoder. A request is within reach where the
    /// probability of that is `threshold` at least.
    pub fn new(
        head: &[u8],
        labels_csv: &str,
        threshold: f64,
        encoder: &Identity,
    ) -> Result<Self, ReachError> {
        let (head, labels) = (Head::parse(head)?, LabelSet::parse(labels_csv)?);
        let glossary = Glossary::default();
        head.fits(&labels, encoder, &glossary)?;
        let local = labels.position(LOCAL).ok_or(ReachError::NoLocal)?;
        Ok(Self {
            head,
            local,
            labels,
            glossary,
            threshold,
        })
    }

    /// The part of a request that is judged, for the encoder.
    pub fn read(text: &str) -> &str {
        let end = text.char_indices().nth(READ_CHARACTERS);
        end.map_or(text, |(end, _)| &text[..end])
    }

    /// What a request asks for that a small model is bad at; nothing where it is within
    /// reach. `vector` is the encoder's of [`Reach::read`].
    pub fn judge(&self, text: &str, vector: &[f32]) -> Result<Option<Beyond>, HeadError> {
        let reading = self.glossary.read(Self::read(text));
        let shares = self.head.decide(&reading, vector)?;
        if shares[self.local] >= self.threshold {
            return Ok(None);
        }
        let others = (0..shares.len()).filter(|&label| label != self.local);
        let worst = others.max_by(|&a, &b| shares[a].total_cmp(&shares[b]));
        Ok(worst.map(|label| {
            let label = &self.labels.labels()[label];
            Beyond {
                what: label.label.clone(),
                words: label
                    .description
                    .clone()
                    .unwrap_or_else(|| label.label.clone()),
                probability: 1.0 - shares[self.local],
            }
        }))
    }
}
