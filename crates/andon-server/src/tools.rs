//! Tools that an answer may call, whichever wire format offers them: what the
//! answer is held to, and how calls are read from it.

mod answer;

use andon_task::engine::{CallForm, Calls, Grammar, Tool};
use serde_json::{Value, json};

pub(crate) use answer::{Delta, Reader, Said};

use crate::error::ApiError;
use crate::openai::format::check_name;

/// The most tools of one request, as OpenAI has it.
const MAX_TOOLS: usize = 128;

/// The most calls of one answer.
const MAX_CALLS: usize = 16;

/// Whether the answer calls a tool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Choice {
    /// No tool is called.
    None,
    /// The model decides.
    Auto,
    /// Some tool is called.
    Required,
    /// This tool is called.
    Named(String),
}

/// Tools on offer, with what the request says of calling them.
#[derive(Debug)]
pub(crate) struct Offer {
    pub(crate) tools: Vec<Tool>,
    pub(crate) choice: Choice,
    /// Whether there may be several calls.
    pub(crate) parallel: bool,
}

/// What the model is told of tools, and what its answer is held to and read by.
pub(crate) struct Rules {
    pub(crate) tools: Vec<Tool>,
    pub(crate) grammar: Option<Grammar>,
    pub(crate) form: Option<CallForm>,
}

impl Offer {
    /// Checks the tools and the choice among them; `param` names where they stand.
    fn check(&self) -> Result<(), ApiError> {
        if self.tools.len() > MAX_TOOLS {
            let message = format!(
                "there are {} tools: give {MAX_TOOLS} at most",
                self.tools.len()
            );
            return Err(ApiError::invalid("tools", message));
        }
        for (index, tool) in self.tools.iter().enumerate() {
            check_name(&tool.name, &format!("tools[{index}].name"))?;
            if self.tools[..index].iter().any(|t| t.name == tool.name) {
                let message = format!("the name '{}' stands twice: names must differ", tool.name);
                return Err(ApiError::invalid(format!("tools[{index}].name"), message));
            }
            if !is_object_schema(&tool.parameters) {
                let message = "parameters must be a JSON Schema of an object";
                return Err(ApiError::invalid(
                    format!("tools[{index}].parameters"),
                    message,
                ));
            }
        }
        match &self.choice {
            Choice::Required if self.tools.is_empty() => {
                let message = "a call is required, but there are no tools: give some";
                Err(ApiError::invalid("tool_choice", message))
            }
            Choice::Named(name) if !self.tools.iter().any(|tool| tool.name == *name) => {
                let message = format!("there is no tool '{name}' in tools");
                Err(ApiError::invalid("tool_choice", message))
            }
            _ => Ok(()),
        }
    }

    /// What holds for a model that writes calls in this form. An answer cannot be
    /// held to a `format` and be free to call tools.
    pub(crate) fn rules(self, form: CallForm, format: Option<Grammar>) -> Result<Rules, ApiError> {
        self.check()?;
        if self.tools.is_empty() || self.choice == Choice::None {
            return Ok(Rules {
                tools: Vec::new(),
                grammar: format,
                form: None,
            });
        }
        if format.is_some() {
            let message = "an answer that may call tools cannot be held to a format as well: leave the format or the tools out";
            return Err(ApiError::invalid("tools", message));
        }
        let mut callable = self.tools.clone();
        if let Choice::Named(name) = &self.choice {
            callable.retain(|tool| tool.name == *name);
        }
        Ok(Rules {
            grammar: Some(Grammar::Calls(Calls {
                tools: callable,
                form,
                words: self.choice == Choice::Auto,
                most: if self.parallel { MAX_CALLS } else { 1 },
            })),
            form: Some(form),
            tools: self.tools,
        })
    }
}

/// The parameters of a tool that says nothing of them.
pub(crate) fn no_parameters() -> Value {
    json!({"type": "object", "properties": {}, "additionalProperties": false})
}

fn is_object_schema(schema: &Value) -> bool {
    schema.is_object() && schema.get("type").is_none_or(|kind| kind == "object")
}

#[cfg(test)]
mod tests;
