//! What a server reads and writes, as OpenAI's API has it.

use andon_task::engine::{
    Chat, Drawn, EngineError, Finish, GenerateRequest, Likelihood, Prompt, Role, Usage,
};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::exchange::Detail;

/// The resource and the body of a request to generate, without what holds the
/// answer to a grammar.
pub(crate) fn generation(
    request: &GenerateRequest,
    model: &str,
) -> Result<(&'static str, Map<String, Value>), EngineError> {
    let mut body = Map::new();
    body.insert("model".into(), model.into());
    body.insert("stream".into(), true.into());
    body.insert("stream_options".into(), json!({"include_usage": true}));
    body.insert("temperature".into(), number(request.sampling.temperature));
    body.insert("top_p".into(), number(request.sampling.top_p));
    // As JSON has it everywhere: a signed number.
    let seed = request.sampling.seed.cast_signed();
    body.insert("seed".into(), seed.into());
    if !request.stop.is_empty() {
        body.insert("stop".into(), json!(request.stop));
    }
    match request.max_tokens {
        Some(0) => {
            let message = "max_tokens is 0: ask for one at least";
            return Err(EngineError::Invalid(message.into()));
        }
        Some(most) => drop(body.insert("max_tokens".into(), most.into())),
        None => {}
    }
    match &request.prompt {
        Prompt::Text(text) => {
            if request.max_tokens.is_none() {
                let message = "a server continues a text by 16 tokens if it is not told how many: give max_tokens";
                return Err(EngineError::Invalid(message.into()));
            }
            body.insert("prompt".into(), text.as_str().into());
            if let Some(alternatives) = request.alternatives {
                body.insert("logprobs".into(), alternatives.into());
            }
            Ok(("/completions", body))
        }
        Prompt::Chat(chat) => {
            body.insert("messages".into(), messages(chat)?);
            if let Some(alternatives) = request.alternatives {
                body.insert("logprobs".into(), true.into());
                body.insert("top_logprobs".into(), alternatives.into());
            }
            Ok(("/chat/completions", body))
        }
    }
}

/// A number as it was meant: 0.7, and not what a longer float makes of it.
fn number(value: f32) -> Value {
    let shown = value.to_string().parse::<f64>();
    shown.unwrap_or_else(|_| f64::from(value)).into()
}

/// The turns of a chat. Tools are refused: their calls would come beside the text.
pub(crate) fn messages(chat: &Chat) -> Result<Value, EngineError> {
    let has_tools = !chat.tools.is_empty()
        || chat
            .messages
            .iter()
            .any(|message| message.role == Role::Tool || !message.calls.is_empty());
    if has_tools {
        let message = "tools are not passed on to a server: use a model of this node";
        return Err(EngineError::Invalid(message.into()));
    }
    let turns = chat.messages.iter().map(|message| {
        let role = match message.role {
            Role::System => "system",
            Role::Assistant => "assistant",
            Role::User | Role::Tool => "user",
        };
        json!({"role": role, "content": message.content})
    });
    Ok(turns.collect())
}

/// An event of a stream.
#[derive(Deserialize)]
pub(crate) struct Chunk {
    #[serde(default)]
    pub(crate) choices: Vec<Choice>,
    pub(crate) usage: Option<UsageView>,
    pub(crate) system_fingerprint: Option<String>,
    pub(crate) error: Option<Detail>,
}

/// A piece of the answer, of a chat or of a text.
#[derive(Deserialize)]
pub(crate) struct Choice {
    #[serde(default)]
    delta: Delta,
    text: Option<String>,
    logprobs: Option<Logprobs>,
    finish_reason: Option<String>,
}

#[derive(Default, Deserialize)]
struct Delta {
    content: Option<String>,
    /// What a model says to itself first; no part of the answer.
    #[serde(alias = "reasoning")]
    reasoning_content: Option<String>,
}

impl Choice {
    /// Its text.
    pub(crate) fn text(&self) -> &str {
        let content = self.delta.content.as_deref();
        self.text.as_deref().or(content).unwrap_or("")
    }

    /// Whether the model is thinking, which counts as progress.
    pub(crate) fn is_thought(&self) -> bool {
        let thought = self.delta.reasoning_content.as_deref();
        thought.is_some_and(|thought| !thought.is_empty())
    }

    /// Why the answer ends here, if it does.
    pub(crate) fn finish(&self) -> Option<Result<Finish, EngineError>> {
        Some(match self.finish_reason.as_deref()? {
            "stop" | "eos" => Ok(Finish::Stop),
            "length" => Ok(Finish::Length),
            other => {
                let other: String = other.chars().take(40).collect();
                Err(EngineError::Failed(format!(
                    "the server ended its answer with '{other}'"
                )))
            }
        })
    }

    /// Its tokens, with `most` alternatives each.
    pub(crate) fn drawn(self, most: usize) -> Result<Vec<Drawn>, EngineError> {
        match self.logprobs {
            None => Ok(Vec::new()),
            Some(logprobs) => logprobs.drawn(most),
        }
    }
}

/// Log-probabilities in the form of chats, which some use for texts too, or in
/// the older form of texts.
#[derive(Deserialize)]
struct Logprobs {
    content: Option<Vec<Told>>,
    tokens: Option<Vec<String>>,
    token_logprobs: Option<Vec<Option<f64>>>,
    top_logprobs: Option<Vec<Option<Map<String, Value>>>>,
}

#[derive(Deserialize)]
struct Told {
    token: String,
    bytes: Option<Vec<u8>>,
    logprob: f64,
    #[serde(default)]
    top_logprobs: Vec<Told>,
}

impl Told {
    fn likelihood(self) -> Likelihood {
        Likelihood {
            bytes: self.bytes.unwrap_or_else(|| self.token.into_bytes()),
            log_probability: self.logprob,
        }
    }
}

impl Logprobs {
    fn drawn(self, most: usize) -> Result<Vec<Drawn>, EngineError> {
        if let Some(content) = self.content {
            let drawn = content.into_iter().map(|mut told| {
                let alternatives = std::mem::take(&mut told.top_logprobs).into_iter();
                Drawn {
                    alternatives: best(alternatives.map(Told::likelihood).collect(), most),
                    token: told.likelihood(),
                }
            });
            return Ok(drawn.collect());
        }
        let tokens = self.tokens.unwrap_or_default();
        let told = self.token_logprobs.unwrap_or_default();
        let mut tops = self.top_logprobs.unwrap_or_default().into_iter();
        if tokens.len() != told.len() {
            let message = "the server tells tokens without their log-probabilities";
            return Err(EngineError::Failed(message.into()));
        }
        let likelihood = |token: String, told: Option<f64>| {
            let log_probability = told.ok_or_else(|| {
                EngineError::Failed("the server tells a token without its log-probability".into())
            })?;
            Ok(Likelihood {
                bytes: token.into_bytes(),
                log_probability,
            })
        };
        tokens
            .into_iter()
            .zip(told)
            .map(|(token, told)| {
                let top = tops.next().flatten().unwrap_or_default().into_iter();
                let top = top.map(|(token, told)| likelihood(token, told.as_f64()));
                Ok(Drawn {
                    token: likelihood(token, told)?,
                    alternatives: best(top.collect::<Result<_, EngineError>>()?, most),
                })
            })
            .collect()
    }
}

fn best(mut likelihoods: Vec<Likelihood>, most: usize) -> Vec<Likelihood> {
    likelihoods.sort_by(|a, b| b.log_probability.total_cmp(&a.log_probability));
    likelihoods.truncate(most);
    likelihoods
}

/// Tokens that a request cost, as a server tells them.
#[derive(Deserialize)]
pub(crate) struct UsageView {
    #[serde(default)]
    prompt_tokens: usize,
    #[serde(default)]
    completion_tokens: usize,
    prompt_tokens_details: Option<Details>,
}

#[derive(Deserialize)]
struct Details {
    cached_tokens: Option<usize>,
}

impl From<UsageView> for Usage {
    fn from(view: UsageView) -> Self {
        let cached = view.prompt_tokens_details;
        Self {
            prompt_tokens: view.prompt_tokens,
            cached_tokens: cached.and_then(|cached| cached.cached_tokens).unwrap_or(0),
            completion_tokens: view.completion_tokens,
        }
    }
}
