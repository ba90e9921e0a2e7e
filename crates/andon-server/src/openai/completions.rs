//! `POST /v1/completions`.

use andon_task::engine::{GenerateRequest, Generation, Prompt};
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

/// As OpenAI has it: a completion that does not say how long is short.
const DEFAULT_MAX_TOKENS: usize = 16;

/// A text to continue.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct CompletionRequest {
    /// The language model, as `GET /v1/models` names it.
    model: String,
    /// The text, or an array with one text. Arrays of tokens are refused.
    prompt: OneOrMany,
    /// The most tokens to generate; 16 by default.
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

/// A finished completion.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Completion {
    id: String,
    /// `text_completion`.
    object: &'static str,
    /// Seconds since 1970.
    created: i64,
    model: String,
    /// The digest of the model file.
    system_fingerprint: String,
    choices: Vec<CompletionChoice>,
    usage: UsageView,
}

#[derive(Debug, Serialize, JsonSchema)]
struct CompletionChoice {
    index: usize,
    text: String,
    /// `stop` or `length`.
    finish_reason: &'static str,
    /// Always null.
    logprobs: Option<Value>,
}

/// Continues a text, whole or as a stream of events.
pub(crate) async fn create(
    State(app): State<App>,
    Body(request): Body<CompletionRequest>,
) -> Result<Answered<Completion>, ApiError> {
    parameters::refuse(&request.rest)?;
    let streams = request.stream.unwrap_or(false);
    let usage = StreamOptions::usage_wanted(request.stream_options, streams)?;
    let model = app.language_model(&request.model)?;
    let generate = to_generate(request)?;
    let head = Head {
        id: app.answer_id("cmpl"),
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

fn to_generate(request: CompletionRequest) -> Result<GenerateRequest, ApiError> {
    let mut prompts = request.prompt.into_vec();
    let prompt = match (prompts.pop(), prompts.is_empty()) {
        (Some(prompt), true) if !prompt.is_empty() => prompt,
        (Some(_), false) => {
            let message = "prompt has several texts: send one at a time";
            return Err(ApiError::invalid("prompt", message));
        }
        _ => return Err(ApiError::invalid("prompt", "the prompt is empty")),
    };
    let max_tokens = parameters::at_least_one("max_tokens", request.max_tokens)?;
    Ok(GenerateRequest {
        max_tokens: Some(max_tokens.unwrap_or(DEFAULT_MAX_TOKENS)),
        sampling: parameters::sampling(request.temperature, request.top_p, request.seed)?,
        stop: parameters::stop_texts(request.stop)?,
        ..GenerateRequest::new(Prompt::Text(prompt))
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
    fn whole(self, generation: Generation) -> Completion {
        Completion {
            id: self.id,
            object: "text_completion",
            created: self.created,
            model: self.model,
            system_fingerprint: self.fingerprint,
            choices: vec![CompletionChoice {
                index: 0,
                text: generation.text,
                finish_reason: finish_word(generation.finish),
                logprobs: None,
            }],
            usage: generation.usage.into(),
        }
    }

    fn chunk(&self, choices: Value) -> Value {
        let mut chunk = json!({
            "id": self.id,
            "object": "text_completion",
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

    fn text(&self, text: &str, finish: Option<&str>) -> Value {
        self.chunk(json!([{"index": 0, "text": text, "finish_reason": finish, "logprobs": null}]))
    }
}

impl Chunks for Head {
    fn opening(&self) -> Option<Value> {
        None
    }

    fn piece(&self, text: &str) -> Value {
        self.text(text, None)
    }

    fn closing(&self, generation: &Generation) -> Vec<Value> {
        let mut events = vec![self.text("", Some(finish_word(generation.finish)))];
        if self.usage {
            let mut last = self.chunk(json!([]));
            last["usage"] = json!(UsageView::from(generation.usage));
            events.push(last);
        }
        events
    }
}
