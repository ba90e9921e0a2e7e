//! A deterministic encoder without weights: a hashed bag of character trigrams.

use andon_task::digest::Digest;
use andon_task::engine::{Embed, EngineError, Identity, States};

const DIMENSIONS: usize = 256;
const CONTEXT: usize = 100;

pub(crate) struct Trigrams(Identity);

impl Trigrams {
    pub(crate) fn new() -> Self {
        Self(Identity {
            name: "trigrams".into(),
            digest: Digest::of(b"trigrams"),
            context_tokens: CONTEXT,
        })
    }
}

impl Embed for Trigrams {
    fn identity(&self) -> &Identity {
        &self.0
    }

    fn dimensions(&self) -> usize {
        DIMENSIONS
    }

    fn count_tokens(&self, text: &str) -> Result<usize, EngineError> {
        Ok(text.split_whitespace().count())
    }

    fn embed(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, EngineError> {
        texts.iter().map(|text| self.embed_one(text)).collect()
    }

    /// What a word means here is whether the sum of its letters is odd: no spelling says it.
    fn states(&self, text: &str) -> Result<Option<States>, EngineError> {
        let mut found = States {
            spans: Vec::new(),
            states: Vec::new(),
            width: DIMENSIONS,
        };
        for word in text.split_whitespace() {
            let start = word.as_ptr() as usize - text.as_ptr() as usize;
            found.spans.push((start, start + word.len()));
            let sum: usize = word.bytes().map(usize::from).sum();
            let state = (0..DIMENSIONS).map(|at| if at == sum % 2 { 1.0 } else { 0.0 });
            found.states.extend(state);
        }
        Ok(Some(found))
    }
}

impl Trigrams {
    fn embed_one(&self, text: &str) -> Result<Vec<f32>, EngineError> {
        let prompt_tokens = self.count_tokens(text)?;
        if prompt_tokens > CONTEXT {
            return Err(EngineError::DoesNotFit {
                model: self.0.name.clone(),
                prompt_tokens,
                answer_tokens: 0,
                context_tokens: CONTEXT,
            });
        }
        let mut vector = vec![1e-3; DIMENSIONS];
        for trigram in text.to_lowercase().as_bytes().windows(3) {
            let at = trigram.iter().fold(7usize, |hash, &byte| {
                hash.wrapping_mul(31).wrapping_add(byte.into())
            });
            vector[at % DIMENSIONS] += 1.0;
        }
        let length = vector.iter().map(|value| value * value).sum::<f32>().sqrt();
        Ok(vector.iter().map(|value| value / length).collect())
    }
}
