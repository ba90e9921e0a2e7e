//! Log-probabilities of tokens, in the two forms that OpenAI has.

use andon_task::engine::{Drawn, Likelihood};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::error::ApiError;

/// What stands for the logarithm of 0, for which JSON has no number.
const LEAST: f64 = -9999.0;

/// The tokens of a chat's answer.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(crate) struct ChatLogprobs {
    content: Vec<TokenLogprob>,
    /// Always null.
    refusal: Option<String>,
}

#[derive(Clone, Debug, Serialize, JsonSchema)]
struct TokenLogprob {
    token: String,
    /// The natural logarithm of its probability over the whole vocabulary, at
    /// temperature 1; -9999 where that is 0.
    logprob: f64,
    bytes: Vec<u8>,
    top_logprobs: Vec<TopLogprob>,
}

#[derive(Clone, Debug, Serialize, JsonSchema)]
struct TopLogprob {
    token: String,
    logprob: f64,
    bytes: Vec<u8>,
}

impl From<&[Drawn]> for ChatLogprobs {
    fn from(drawn: &[Drawn]) -> Self {
        let top = |likely: &Likelihood| TopLogprob {
            token: text(likely),
            logprob: logarithm(likely),
            bytes: likely.bytes.clone(),
        };
        let content = drawn.iter().map(|drawn| TokenLogprob {
            token: text(&drawn.token),
            logprob: logarithm(&drawn.token),
            bytes: drawn.token.bytes.clone(),
            top_logprobs: drawn.alternatives.iter().map(top).collect(),
        });
        Self {
            content: content.collect(),
            refusal: None,
        }
    }
}

/// The tokens of a completion.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(crate) struct TextLogprobs {
    tokens: Vec<String>,
    token_logprobs: Vec<f64>,
    /// For each token, the most probable ones at its place and itself.
    top_logprobs: Option<Vec<Map<String, Value>>>,
    /// For each token, the characters of the answer before it.
    text_offset: Vec<usize>,
}

impl TextLogprobs {
    /// Of tokens before which the answer has `offset` characters, which is moved
    /// behind them.
    pub(crate) fn new(drawn: &[Drawn], offset: &mut usize) -> Self {
        let top = |drawn: &Drawn| {
            let all = drawn.alternatives.iter().chain([&drawn.token]);
            all.map(|likely| (text(likely), logarithm(likely).into()))
                .collect()
        };
        let offsets = drawn.iter().map(|drawn| {
            let at = *offset;
            *offset += text(&drawn.token).chars().count();
            at
        });
        Self {
            text_offset: offsets.collect(),
            tokens: drawn.iter().map(|drawn| text(&drawn.token)).collect(),
            token_logprobs: drawn.iter().map(|drawn| logarithm(&drawn.token)).collect(),
            top_logprobs: Some(drawn.iter().map(top).collect()),
        }
    }
}

fn text(likely: &Likelihood) -> String {
    String::from_utf8_lossy(&likely.bytes).into_owned()
}

fn logarithm(likely: &Likelihood) -> f64 {
    likely.log_probability.max(LEAST)
}

/// The alternatives that a chat asks for with `logprobs` and `top_logprobs`.
pub(crate) fn of_chat(
    logprobs: Option<bool>,
    top: Option<usize>,
) -> Result<Option<usize>, ApiError> {
    match (logprobs.unwrap_or(false), top) {
        (false, Some(1..)) => {
            let message = "top_logprobs needs logprobs: true";
            Err(ApiError::invalid("top_logprobs", message))
        }
        (false, _) => Ok(None),
        (true, top) => at_most("top_logprobs", top.unwrap_or(0), 20).map(Some),
    }
}

/// The alternatives that a completion asks for with `logprobs`.
pub(crate) fn of_completion(logprobs: Option<usize>) -> Result<Option<usize>, ApiError> {
    logprobs
        .map(|number| at_most("logprobs", number, 5))
        .transpose()
}

fn at_most(param: &str, number: usize, most: usize) -> Result<usize, ApiError> {
    if number > most {
        let message = format!("{param} is {number}: give 0 to {most}");
        return Err(ApiError::invalid(param, message));
    }
    Ok(number)
}
