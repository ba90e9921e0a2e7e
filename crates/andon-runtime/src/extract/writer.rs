//! A language model that writes objects under a schema.

use std::ops::ControlFlow;
use std::sync::Arc;

use andon_task::adapter::TaskAdapter;
use andon_task::engine::{EngineError, Finish, Generate, GenerateRequest, Grammar, Prompt, Terms};
use andon_task::extract::{Opinion, Shown, Written};
use andon_task::prompt;
use andon_task::schema::Schema;
use andon_task::task::Task;
use serde_json::Value;

use crate::adapters::Loaded;

/// The most tokens of an object that is written without a reader.
const MOST_TOKENS: usize = 1024;

/// Writes the objects of tasks that extract, in learning as in serving.
pub struct Writer<'a> {
    model: &'a dyn Generate,
    adapter: Option<TaskAdapter>,
    /// What is demoted meanwhile stays loaded.
    _loaded: Option<Arc<Loaded>>,
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
    /// What writes with a model, and with an adapter that it holds.
    pub fn new(model: &'a dyn Generate, adapter: Option<&TaskAdapter>) -> Self {
        Self {
            model,
            adapter: adapter.cloned(),
            _loaded: None,
        }
    }

    /// The same with the adapter that serves a task.
    pub(crate) fn held(model: &'a dyn Generate, loaded: Option<Arc<Loaded>>) -> Self {
        Self {
            model,
            adapter: loaded.as_ref().map(|loaded| loaded.adapter.clone()),
            _loaded: loaded,
        }
    }

    /// What the model is asked for a text. What an adapter has learnt it is not shown.
    pub fn asked(&self, (task, schema): (&Task, &Schema), shown: &[Shown], text: &str) -> Prompt {
        match &self.adapter {
            Some(adapter) => adapter.asked(task, text),
            None => prompt::extract_like(task, schema, shown, text),
        }
    }

    /// All that shapes what it writes for a task, where it is shown these examples.
    pub fn opinion(&self, task: &Task, schema: &Schema, shown: &[Shown]) -> Opinion {
        Opinion {
            model: self.model.identity().digest,
            prompt: prompt::digest(&self.asked((task, schema), shown, "")),
            adapter: self.adapter.as_ref().map(TaskAdapter::digest),
        }
    }

    /// Writes an object that satisfies a schema, with so many tokens at most.
    ///
    /// # Errors
    /// If the object does not end, or the engine does not answer.
    pub fn write(
        &self,
        prompt: Prompt,
        (grammar, most_tokens, tokens): (Grammar, usize, Tokens),
        terms: &Terms,
        tell: &mut dyn FnMut(&str),
    ) -> Result<Written, WriteError> {
        let request = GenerateRequest {
            grammar: Some(grammar),
            max_tokens: Some(most_tokens),
            adapter: self.adapter.as_ref().map(TaskAdapter::named),
            // The tokens that were drawn, and nothing beside them.
            alternatives: (tokens == Tokens::Told).then_some(0),
            terms: terms.clone(),
            ..GenerateRequest::new(prompt)
        };
        let generation = self.model.generate(&request, &mut |piece| {
            tell(piece.text);
            ControlFlow::Continue(())
        })?;
        (generation.finish == Finish::Stop)
            .then(|| Written::of(&generation.text, &generation.drawn))
            .flatten()
            .ok_or(WriteError::Unfinished(generation.usage.completion_tokens))
    }

    /// Writes the whole object of a task for a text; `tell` hears it as it comes.
    ///
    /// # Errors
    /// As for [`Writer::write`].
    pub fn write_whole(
        &self,
        (task, schema): (&Task, &Schema),
        text: &str,
        terms: &Terms,
        tell: &mut dyn FnMut(&str),
    ) -> Result<Written, WriteError> {
        let held_to = (grammar(schema.value()), MOST_TOKENS, Tokens::Untold);
        self.write(self.asked((task, schema), &[], text), held_to, terms, tell)
    }
}

/// What an object of a schema is held to while it is written.
pub fn grammar(schema: &Value) -> Grammar {
    Grammar::Json(schema.clone())
}
