//! `POST /v1/completions`.

use andon_task::engine::{GenerateRequest, Generation, Piece, Prompt};
use axum::extract::State;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::format::{self, ResponseFormat, StructuredOutputs};
use super::generation::{self, Answered, Frame, Order, Script};
use super::logprobs::{self, TextLogprobs};
use super::parameters::{self, OneOrMany, Rest, StreamOptions};
use super::{Head, UsageView, finish_word};
use crate::app::{AdapterChoice, App, Chosen};
use crate::asked::{Asked, ServiceTier};
use crate::error::ApiError;
use crate::extract::Body;

/// As OpenAI has it: a completion that does not say how long is short.
const DEFAULT_MAX_TOKENS: usize = 16;

/// A text to continue.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct CompletionRequest {
    /// The language model, as `GET /v1/models` names it.
    model: String,
    /// The adapter that answers.
    adapter: Option<AdapterChoice>,
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
    /// How many answers, 1 to 8; each has the next seed.
    n: Option<usize>,
    /// Refused unless it is `n`: the answers are not compared.
    best_of: Option<usize>,
    /// The answer ends before any of these, four at most.
    stop: Option<OneOrMany>,
    /// The tokens are told with so many of the most probable ones at their
    /// places, 5 at most.
    logprobs: Option<usize>,
    /// What the answer must satisfy.
    response_format: Option<ResponseFormat>,
    /// The same in the form of vLLM.
    structured_outputs: Option<StructuredOutputs>,
    /// `flex` is the class `batch`.
    service_tier: Option<ServiceTier>,
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
    /// The tokens, if they were asked for.
    logprobs: Option<TextLogprobs>,
}

/// Continues a text, whole or as a stream of events.
pub(crate) async fn create(
    State(app): State<App>,
    asked: Asked,
    Body(request): Body<CompletionRequest>,
) -> Result<Answered<Completion>, ApiError> {
    parameters::refuse(&request.rest)?;
    let streams = request.stream.unwrap_or(false);
    let wants_usage = StreamOptions::usage_wanted(request.stream_options, streams)?;
    let chosen = app.language_model(&request.model, request.adapter.clone())?;
    let head = Head::new(&app, "cmpl", &chosen);
    let order = order(request, chosen, asked)?;
    let logprobs = order.request.alternatives.is_some();
    if streams {
        let script = Chunks {
            head,
            offsets: logprobs.then(|| vec![0; order.choices]),
            wants_usage,
        };
        return generation::streamed(&app, order, script).await;
    }
    let generations = generation::whole(&app, order).await?;
    let choice = |(index, generation): (usize, &Generation)| CompletionChoice {
        index,
        text: generation.text.clone(),
        finish_reason: finish_word(generation.finish, false),
        logprobs: logprobs.then(|| TextLogprobs::new(&generation.drawn, &mut 0)),
    };
    Ok(Answered::Whole(Box::new(Completion {
        id: head.id,
        object: "text_completion",
        created: head.created,
        model: head.model,
        system_fingerprint: head.fingerprint,
        choices: generations.iter().enumerate().map(choice).collect(),
        usage: generation::usage(&generations).into(),
    })))
}

fn order(request: CompletionRequest, chosen: Chosen, asked: Asked) -> Result<Order, ApiError> {
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
    let choices = parameters::choices(request.n)?;
    if request.best_of.is_some_and(|best_of| best_of != choices) {
        return Err(ApiError::unsupported("best_of"));
    }
    Ok(Order {
        model: chosen.model,
        request: GenerateRequest {
            max_tokens: Some(max_tokens.unwrap_or(DEFAULT_MAX_TOKENS)),
            sampling: parameters::sampling(request.temperature, request.top_p, request.seed)?,
            stop: parameters::stop_texts(request.stop)?,
            grammar: format::grammar(request.response_format, request.structured_outputs)?,
            adapter: chosen.adapter,
            alternatives: logprobs::of_completion(request.logprobs)?,
            ..GenerateRequest::new(Prompt::Text(prompt))
        },
        choices,
        asked: asked.or(request.service_tier.and_then(ServiceTier::class)),
    })
}

/// Writes the chunks of all choices.
struct Chunks {
    head: Head,
    /// Characters of each choice so far, where tokens were asked for.
    offsets: Option<Vec<usize>>,
    wants_usage: bool,
}

impl Chunks {
    fn chunk(&self, choices: Value) -> Frame {
        let usage = self.wants_usage.then_some(Value::Null);
        self.head.chunk("text_completion", choices, usage)
    }
}

impl Script for Chunks {
    fn opening(&mut self) -> Vec<Frame> {
        Vec::new()
    }

    fn piece(&mut self, choice: usize, piece: Piece<'_>) -> Vec<Frame> {
        let offsets = self.offsets.as_mut();
        let logprobs = offsets.map(|all| TextLogprobs::new(piece.drawn, &mut all[choice]));
        vec![self.chunk(json!([
            {"index": choice, "text": piece.text, "finish_reason": null, "logprobs": logprobs}
        ]))]
    }

    fn ended(&mut self, choice: usize, generation: &Generation) -> Vec<Frame> {
        let finish = finish_word(generation.finish, false);
        vec![self.chunk(json!([
            {"index": choice, "text": "", "finish_reason": finish, "logprobs": null}
        ]))]
    }

    fn closing(&mut self, generations: &[Generation]) -> Vec<Frame> {
        let usage = self.wants_usage.then(|| {
            let usage = UsageView::from(generation::usage(generations));
            self.head
                .chunk("text_completion", json!([]), Some(json!(usage)))
        });
        usage.into_iter().chain([Frame::done()]).collect()
    }
}
