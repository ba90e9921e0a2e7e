//! A language model that writes objects under a schema.

use std::ops::ControlFlow;

use andon_task::digest::Digest;
use andon_task::engine::{Adapter, EngineError, Finish, GenerateRequest, Grammar, Prompt, Terms};
use andon_task::extract::{Opinion, Shown, Written};
use andon_task::prompt;
use andon_task::schema::Schema;
use andon_task::task::Task;
use serde_json::Value;

use crate::model::LanguageModel;

/// Writes the objects of tasks that extract, in learning as in serving.
pub struct Writer<'a> {
    model: &'a dyn LanguageModel,
    adapter: Option<(Digest, Adapter)>,
}

/// Whether the probabilities of the written tokens are asked for. Not every server tells them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tokens {
    /// They are needed.
    Told,
    /// The object is enough.
    Untold,
}

/// Why no object was written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The object was not whole after as many tokens as it may have.
    #[error("the language model wrote {0} tokens and no whole object")]
    Unfinished(usize),
    /// The engine did not answer.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

impl<'a> Writer<'a> {
    /// What writes with a model, and with an adapter that it holds, known by its digest.
    pub fn new(model: &'a dyn LanguageModel, adapter: Option<(Digest, Adapter)>) -> Self {
        Self { model, adapter }
    }

    /// All that shapes what it writes for a task, where it is shown these examples.
    pub fn opinion(&self, task: &Task, schema: &Schema, shown: &[Shown]) -> Opinion {
        Opinion {
            model: self.model.model().digest,
            prompt: prompt::digest(&prompt::extract_like(task, schema, shown, "")),
            adapter: self.adapter.as_ref().map(|(digest, _)| *digest),
        }
    }

    /// Writes an object that satisfies a schema, with so many tokens at most.
    ///
    /// # Errors
    /// If the object does not end, or the engine does not answer.
    pub fn write(
        &self,
        prompt: Prompt,
        (schema, most_tokens, tokens): (&Value, usize, Tokens),
        terms: &Terms,
        tell: &mut dyn FnMut(&str) -> ControlFlow<()>,
    ) -> Result<Written, WriteError> {
        let request = GenerateRequest {
            grammar: Some(Grammar::Json(schema.clone())),
            max_tokens: Some(most_tokens),
            adapter: self.adapter.as_ref().map(|(_, adapter)| adapter.clone()),
            // The tokens that were drawn, and nothing beside them.
            alternatives: (tokens == Tokens::Told).then_some(0),
            terms: terms.clone(),
            ..GenerateRequest::new(prompt)
        };
        let generation = self
            .model
            .generate(&request, &mut |piece| tell(piece.text))?;
        (generation.finish == Finish::Stop)
            .then(|| Written::of(&generation.text, &generation.drawn))
            .flatten()
            .ok_or(WriteError::Unfinished(generation.usage.completion_tokens))
    }
}
