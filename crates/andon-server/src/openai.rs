//! The resources that OpenAI's clients know, but for decisions.

pub(crate) mod chat;
pub(crate) mod completions;
pub(crate) mod embeddings;
mod generation;
pub(crate) mod models;
pub(crate) mod parameters;

use andon_task::engine::{Finish, Usage};
use schemars::JsonSchema;
use serde::Serialize;

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

fn finish_word(finish: Finish) -> &'static str {
    match finish {
        Finish::Stop => "stop",
        Finish::Length => "length",
    }
}
