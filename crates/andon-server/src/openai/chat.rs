//! `POST /v1/chat/completions`.

use andon_task::engine::{GenerateRequest, Generation, Message, Prompt, Role};
use axum::extract::State;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::generation::{self, Answered, Chunks};
use super::parameters::{self, OneOrMany, Rest, StreamOptions};
use super::{UsageView, finish_word};
use crate::app::App;
use crate::error::ApiError;
use crate::extract::Body;

/// A chat to answer.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct ChatRequest {
    /// The language model, as `GET /v1/models` names it.
    model: String,
    /// The turns so far; text alone.
    messages: Vec<Turn>,
    /// The most tokens to generate; without it, as many as the context holds.
    max_completion_tokens: Option<usize>,
    /// The same under its older name.
    max_tokens: Option<usize>,
    /// From 0 (the default: the most probable token) to 2.
    temperature: Option<f32>,
    /// The smallest set of tokens whose probabilities add up to this is drawn from.
    top_p: Option<f32>,
    /// The same seed gives the same answer; 0 by default.
    seed: Option<i64>,
    /// The answer ends before any of these, four at most.
    stop: Option<OneOrMany>,
    /// Whether the answer comes as server-sent events.
    stream: Option<bool>,
    /// What a stream holds beside the text.
    stream_options: Option<StreamOptions>,
    #[serde(flatten)]
    #[schemars(skip)]
    rest: Rest,
}

/// One turn of a chat.
#[derive(Debug, Deserialize, JsonSchema)]
struct Turn {
    /// Who speaks.
    role: Speaker,
    /// What is said.
    content: Option<Content>,
    #[serde(flatten)]
    #[schemars(skip)]
    rest: Rest,
}

#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Speaker {
    System,
    Developer,
    User,
    Assistant,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "expected a string or an array of text parts")]
enum Content {
    Text(String),
    Parts(Vec<Part>),
}

/// A part of a turn: this node reads text alone.
#[derive(Debug, Deserialize, JsonSchema)]
struct Part {
    #[serde(rename = "type")]
    kind: String,
    text: Option<String>,
}

impl Turn {
    fn into_message(self, index: usize) -> Result<Message, ApiError> {
        let rest = self.rest.iter().find(|(name, value)| {
            // A name is for several speakers of one role, of which this node
            // knows none; it does not change what the model reads.
            !value.is_null() && name.as_str() != "name" && *value != &json!([])
        });
        if let Some((name, _)) = rest {
            return Err(ApiError::unsupported(format!("messages[{index}].{name}")));
        }
        let role = match self.role {
            Speaker::System | Speaker::Developer => Role::System,
            Speaker::User => Role::User,
            Speaker::Assistant => Role::Assistant,
        };
        let content = match self.content {
            Some(Content::Text(text)) => text,
            Some(Content::Parts(parts)) => join(parts, index)?,
            None => {
                let param = format!("messages[{index}].content");
                return Err(ApiError::invalid(param, "the turn has no content"));
            }
        };
        Ok(Message::new(role, content))
    }
}

fn join(parts: Vec<Part>, index: usize) -> Result<String, ApiError> {
    parts
        .into_iter()
        .enumerate()
        .map(|(at, part)| match (part.kind.as_str(), part.text) {
            ("text", Some(text)) => Ok(text),
            ("text", None) => Err(ApiError::invalid(
                format!("messages[{index}].content[{at}].text"),
                "the part has no text",
            )),
            (kind, _) => Err(ApiError::unsupported(format!(
                "messages[{index}].content[{at}].{kind}"
            ))),
        })
        .collect()
}

/// A finished chat answer.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ChatCompletion {
    id: String,
    /// `chat.completion`.
    object: &'static str,
    /// Seconds since 1970.
    created: i64,
    model: String,
    /// The digest of the model file.
    system_fingerprint: String,
    choices: Vec<ChatChoice>,
    usage: UsageView,
}

#[derive(Debug, Serialize, JsonSchema)]
struct ChatChoice {
    index: usize,
    message: Answer,
    /// `stop` or `length`.
    finish_reason: &'static str,
    /// Always null.
    logprobs: Option<Value>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Answer {
    /// `assistant`.
    role: &'static str,
    content: String,
    /// Always null.
    refusal: Option<String>,
}

/// Answers a chat, whole or as a stream of events.
pub(crate) async fn create(
    State(app): State<App>,
    Body(request): Body<ChatRequest>,
) -> Result<Answered<ChatCompletion>, ApiError> {
    parameters::refuse(&request.rest)?;
    let streams = request.stream.unwrap_or(false);
    let usage = StreamOptions::usage_wanted(request.stream_options, streams)?;
    let model = app.language_model(&request.model)?;
    let generate = to_generate(request)?;
    let head = Head {
        id: app.answer_id("chatcmpl"),
        created: app.created(),
        model: model.model().name.clone(),
        fingerprint: model.model().digest.short(),
        usage,
    };
    if streams {
        return generation::streamed(&app, model, generate, head).await;
    }
    let generation = generation::whole(&app, model, generate).await?;
    Ok(Answered::Whole(head.whole(generation)))
}

fn to_generate(request: ChatRequest) -> Result<GenerateRequest, ApiError> {
    if request.messages.is_empty() {
        return Err(ApiError::invalid("messages", "there are no messages"));
    }
    let messages = request
        .messages
        .into_iter()
        .enumerate()
        .map(|(index, turn)| turn.into_message(index))
        .collect::<Result<_, _>>()?;
    let wanted = parameters::at_least_one("max_completion_tokens", request.max_completion_tokens)?;
    let older = parameters::at_least_one("max_tokens", request.max_tokens)?;
    Ok(GenerateRequest {
        max_tokens: wanted.or(older),
        sampling: parameters::sampling(request.temperature, request.top_p, request.seed)?,
        stop: parameters::stop_texts(request.stop)?,
        ..GenerateRequest::new(Prompt::chat(messages))
    })
}

/// What all parts of an answer have in common.
struct Head {
    id: String,
    created: i64,
    model: String,
    fingerprint: String,
    usage: bool,
}

impl Head {
    fn whole(self, generation: Generation) -> ChatCompletion {
        ChatCompletion {
            id: self.id,
            object: "chat.completion",
            created: self.created,
            model: self.model,
            system_fingerprint: self.fingerprint,
            choices: vec![ChatChoice {
                index: 0,
                message: Answer {
                    role: "assistant",
                    content: generation.text,
                    refusal: None,
                },
                finish_reason: finish_word(generation.finish),
                logprobs: None,
            }],
            usage: generation.usage.into(),
        }
    }

    fn chunk(&self, choices: Value) -> Value {
        let mut chunk = json!({
            "id": self.id,
            "object": "chat.completion.chunk",
            "created": self.created,
            "model": self.model,
            "system_fingerprint": self.fingerprint,
            "choices": choices,
        });
        if self.usage {
            chunk["usage"] = Value::Null;
        }
        chunk
    }

    fn delta(&self, delta: Value, finish: Option<&str>) -> Value {
        self.chunk(json!([{"index": 0, "delta": delta, "finish_reason": finish, "logprobs": null}]))
    }
}

impl Chunks for Head {
    fn opening(&self) -> Option<Value> {
        Some(self.delta(json!({"role": "assistant", "content": ""}), None))
    }

    fn piece(&self, text: &str) -> Value {
        self.delta(json!({"content": text}), None)
    }

    fn closing(&self, generation: &Generation) -> Vec<Value> {
        let mut events = vec![self.delta(json!({}), Some(finish_word(generation.finish)))];
        if self.usage {
            let mut last = self.chunk(json!([]));
            last["usage"] = json!(UsageView::from(generation.usage));
            events.push(last);
        }
        events
    }
}
