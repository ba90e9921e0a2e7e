//! The resources that OpenAI's clients know, but for decisions.

pub(crate) mod chat;
pub(crate) mod completions;
pub(crate) mod embeddings;
pub(crate) mod format;
pub(crate) mod generation;
mod logprobs;
pub(crate) mod models;
pub(crate) mod parameters;
pub(crate) mod responses;

use andon_task::engine::{Finish, Usage};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

use crate::app::{App, Chosen};
use generation::Frame;

/// What all parts of a generated answer have in common.
pub(crate) struct Head {
    id: String,
    created: i64,
    /// The model as the request names it.
    model: String,
    fingerprint: String,
}

impl Head {
    pub(crate) fn new(app: &App, prefix: &str, chosen: &Chosen) -> Self {
        Self {
            id: app.answer_id(prefix),
            created: app.created(),
            model: chosen.name.clone(),
            fingerprint: chosen.model.model().digest.short(),
        }
    }

    fn chunk(&self, object: &str, choices: Value, usage: Option<Value>) -> Frame {
        let mut chunk = json!({
            "id": self.id,
            "object": object,
            "created": self.created,
            "model": self.model,
            "system_fingerprint": self.fingerprint,
            "choices": choices,
        });
        if let Some(usage) = usage {
            chunk["usage"] = usage;
        }
        Frame::plain(&chunk)
    }
}

/// Tokens that a request cost.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
pub(crate) struct UsageView {
    prompt_tokens: usize,
    completion_tokens: usize,
    total_tokens: usize,
    prompt_tokens_details: PromptTokens,
}

#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
struct PromptTokens {
    /// Tokens found in the prefix cache.
    cached_tokens: usize,
}

impl From<Usage> for UsageView {
    fn from(usage: Usage) -> Self {
        Self {
            prompt_tokens: usage.prompt_tokens,
            completion_tokens: usage.completion_tokens,
            total_tokens: usage.prompt_tokens + usage.completion_tokens,
            prompt_tokens_details: PromptTokens {
                cached_tokens: usage.cached_tokens,
            },
        }
    }
}

/// Tokens that a request cost, in OpenAI's newer words.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
pub(crate) struct TokenUsage {
    input_tokens: usize,
    input_tokens_details: InputTokens,
    output_tokens: usize,
    output_tokens_details: OutputTokens,
    total_tokens: usize,
}

#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
struct InputTokens {
    /// Tokens found in the prefix cache.
    cached_tokens: usize,
    /// Always 0: what is kept is not counted.
    cache_write_tokens: usize,
}

#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
struct OutputTokens {
    /// Always 0.
    reasoning_tokens: usize,
}

impl From<Usage> for TokenUsage {
    fn from(usage: Usage) -> Self {
        Self {
            input_tokens: usage.prompt_tokens,
            input_tokens_details: InputTokens {
                cached_tokens: usage.cached_tokens,
                cache_write_tokens: 0,
            },
            output_tokens: usage.completion_tokens,
            output_tokens_details: OutputTokens {
                reasoning_tokens: 0,
            },
            total_tokens: usage.prompt_tokens + usage.completion_tokens,
        }
    }
}

fn finish_word(finish: Finish, has_calls: bool) -> &'static str {
    match finish {
        Finish::Stop if has_calls => "tool_calls",
        Finish::Stop => "stop",
        Finish::Length => "length",
    }
}
