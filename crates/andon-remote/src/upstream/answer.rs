//! What an upstream says, piece by piece, and whether it is what was asked for.

use andon_task::engine::{Finish, GenerateRequest, Grammar, Tool, ToolCall, Usage};
use andon_task::upstream::{Reply, UpstreamError};
use jsonschema::PatternOptions;
use serde::Deserialize;
use serde_json::Value;

use super::wire::hold;
use super::{finish_of, words};
use crate::grammar::Hold;
use crate::wire::UsageView;

/// The most bytes of an answer.
const MOST_BYTES: usize = 8 << 20;
/// The most calls of one answer.
const MOST_CALLS: usize = 128;

/// An answer as far as it has come.
pub(super) struct Collected<'a> {
    request: &'a GenerateRequest,
    hold: Option<Hold>,
    text: String,
    calls: Vec<Part>,
    finish: Option<Finish>,
    usage: Usage,
}

/// A call as far as it has come.
#[derive(Default)]
struct Part {
    name: String,
    arguments: String,
}

#[derive(Deserialize)]
struct Chunk {
    #[serde(default)]
    choices: Vec<Choice>,
    usage: Option<UsageView>,
    error: Option<Value>,
}

#[derive(Deserialize)]
struct Choice {
    #[serde(alias = "message", default)]
    delta: Delta,
    finish_reason: Option<String>,
}

#[derive(Default, Deserialize)]
struct Delta {
    content: Option<String>,
    #[serde(default)]
    tool_calls: Option<Vec<Called>>,
}

#[derive(Deserialize)]
struct Called {
    index: Option<usize>,
    function: Option<Function>,
}

#[derive(Deserialize)]
struct Function {
    name: Option<String>,
    arguments: Option<String>,
}

impl<'a> Collected<'a> {
    pub(super) fn new(request: &'a GenerateRequest) -> Result<Self, UpstreamError> {
        Ok(Self {
            request,
            hold: hold(request)?,
            text: String::new(),
            calls: Vec::new(),
            finish: None,
            usage: Usage::default(),
        })
    }

    /// Takes an answer that came all at once.
    pub(super) fn take_whole(&mut self, body: Value) -> Result<(), UpstreamError> {
        self.take(body)?;
        match self.finish {
            Some(_) => Ok(()),
            None => Err(UpstreamError::Garbled("it has no choices".to_owned())),
        }
    }

    /// Takes an event of a stream, and gives the words that can be passed on.
    pub(super) fn take_event(&mut self, event: Value) -> Result<String, UpstreamError> {
        let text = self.take(event)?;
        Ok(match self.hold {
            // Not before it was checked.
            Some(_) => String::new(),
            None => text,
        })
    }

    fn take(&mut self, value: Value) -> Result<String, UpstreamError> {
        let garbled = |what: &str| UpstreamError::Garbled(words(what));
        let chunk: Chunk =
            serde_json::from_value(value).map_err(|error| garbled(&error.to_string()))?;
        if chunk.error.is_some() {
            return Err(garbled("an error in the middle of it"));
        }
        if let Some(usage) = chunk.usage {
            self.usage = usage.into();
        }
        let Some(choice) = chunk.choices.into_iter().next() else {
            return Ok(String::new());
        };
        let text = choice.delta.content.unwrap_or_default();
        self.text.push_str(&text);
        for (place, called) in choice
            .delta
            .tool_calls
            .unwrap_or_default()
            .into_iter()
            .enumerate()
        {
            let index = called.index.unwrap_or(place);
            if index >= MOST_CALLS {
                return Err(garbled("it calls too many tools"));
            }
            if self.calls.len() <= index {
                self.calls.resize_with(index + 1, Part::default);
            }
            if let Some(function) = called.function {
                let part = &mut self.calls[index];
                part.name
                    .push_str(function.name.as_deref().unwrap_or_default());
                part.arguments
                    .push_str(function.arguments.as_deref().unwrap_or_default());
            }
        }
        let size = self
            .calls
            .iter()
            .map(|part| part.arguments.len())
            .sum::<usize>();
        if self.text.len() + size > MOST_BYTES {
            return Err(garbled("it is too long"));
        }
        if let Some(word) = choice.finish_reason {
            self.finish = Some(finish_of(&word)?);
        }
        Ok(text)
    }

    /// The whole answer, and the words of it that were not passed on yet.
    pub(super) fn end(self) -> Result<(Reply, String), UpstreamError> {
        let finish = self.finish;
        let finish = finish.ok_or_else(|| UpstreamError::Garbled("it was cut".to_owned()))?;
        let calls = self.calls.iter().map(|part| part.call(self.request));
        let calls: Vec<ToolCall> = calls.collect::<Result<_, _>>()?;
        if let Some(Grammar::Calls(held)) = &self.request.grammar
            && (calls.len() > held.most || (calls.is_empty() && !held.words))
        {
            return Err(UpstreamError::Unfit);
        }
        let (text, held) = match &self.hold {
            None => (self.text, String::new()),
            Some(hold) => {
                let text = hold.check(&self.text).ok_or(UpstreamError::Unfit)?;
                (text.clone(), text)
            }
        };
        let reply = Reply {
            text,
            calls,
            finish,
            usage: self.usage,
        };
        Ok((reply, held))
    }
}

impl Part {
    /// The call, if it is one of a tool that was offered, with what that takes.
    fn call(&self, request: &GenerateRequest) -> Result<ToolCall, UpstreamError> {
        let offered: &[Tool] = match (&request.grammar, &request.prompt) {
            (Some(Grammar::Calls(calls)), _) => &calls.tools,
            (_, andon_task::engine::Prompt::Chat(chat)) => &chat.tools,
            _ => &[],
        };
        let tool = offered.iter().find(|tool| tool.name == self.name);
        let tool = tool.ok_or(UpstreamError::Unfit)?;
        let text = match self.arguments.trim() {
            "" => "{}",
            text => text,
        };
        let arguments: Value = serde_json::from_str(text).map_err(|_| UpstreamError::Unfit)?;
        let validator = jsonschema::options()
            .with_pattern_options(PatternOptions::regex())
            .offline()
            .build(&tool.parameters)
            .map_err(|_| UpstreamError::Refused("a tool's parameters are no schema".to_owned()))?;
        match arguments.is_object() && validator.is_valid(&arguments) {
            true => Ok(ToolCall {
                name: self.name.clone(),
                arguments,
            }),
            false => Err(UpstreamError::Unfit),
        }
    }
}
