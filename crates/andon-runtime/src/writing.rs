//! Objects of a schema that a language model writes for a text, by itself or with the adapter
//! of the task.

use std::ops::ControlFlow;

use andon_task::adapter::TaskAdapter;
use andon_task::engine::{EngineError, Finish, Generate, GenerateRequest, Grammar, Prompt, Terms};
use andon_task::prompt;
use andon_task::schema::Schema;
use andon_task::task::Task;
use serde_json::Value;

/// The most tokens of a written object.
const MOST_TOKENS: usize = 1024;

/// A language model that writes.
#[derive(Clone, Copy)]
pub struct Writer<'a> {
    /// The model.
    pub model: &'a dyn Generate,
    /// The adapter that was trained for the task, which the model holds; `None`: the model
    /// writes by itself.
    pub adapter: Option<&'a TaskAdapter>,
}

/// What was written.
#[derive(Clone, Debug, PartialEq)]
pub struct Written {
    /// The object, which satisfies the schema; `None` where it was not finished.
    pub object: Option<Value>,
    /// Tokens that were written.
    pub tokens: usize,
}

impl Writer<'_> {
    /// What the model is asked for a text.
    pub fn asked(&self, task: &Task, schema: &Schema, text: &str) -> Prompt {
        match self.adapter {
            Some(adapter) => adapter.asked(task, text),
            None => prompt::extract(task, schema, text),
        }
    }

    /// Has an object of the schema written; `tell` hears it as it comes.
    ///
    /// # Errors
    /// If the model does not take the text or fails.
    pub fn write(
        &self,
        (task, schema): (&Task, &Schema),
        text: &str,
        terms: &Terms,
        tell: &mut dyn FnMut(&str),
    ) -> Result<Written, EngineError> {
        let request = GenerateRequest {
            grammar: Some(grammar(schema)),
            max_tokens: Some(MOST_TOKENS),
            terms: terms.clone(),
            adapter: self.adapter.map(TaskAdapter::named),
            ..GenerateRequest::new(self.asked(task, schema, text))
        };
        let generation = self.model.generate(&request, &mut |piece| {
            tell(piece.text);
            ControlFlow::Continue(())
        })?;
        let is_whole = generation.finish == Finish::Stop;
        Ok(Written {
            object: is_whole
                .then(|| serde_json::from_str(&generation.text).ok())
                .flatten(),
            tokens: generation.usage.completion_tokens,
        })
    }
}

/// What an object of a schema is held to while it is written.
pub fn grammar(schema: &Schema) -> Grammar {
    Grammar::Json(schema.value().clone())
}
