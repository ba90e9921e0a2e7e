//! `POST /v1/chat/completions`.

mod stream;
pub(crate) mod turn;

use std::sync::Arc;

use andon_runtime::LanguageModel;
use andon_task::engine::{CallForm, Chat, GenerateRequest, Generation, Prompt, Role};
use andon_task::reach::Beyond;
use axum::extract::State;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::format::{self, ResponseFormat, StructuredOutputs};
use super::generation::{self, Answered, Order};
use super::logprobs::{self, ChatLogprobs};
use super::parameters::{self, OneOrMany, Rest, StreamOptions};
use super::{Head, UsageView, finish_word};
use crate::access::Caller;
use crate::app::{AUTO, AdapterChoice, App, Chosen};
use crate::asked::{Asked, ServiceTier};
use crate::error::ApiError;
use crate::extract::Body;
use crate::tools::Said;

/// A chat to answer.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
pub(crate) struct ChatRequest {
    /// The language model, as `GET /v1/models` names it.
    model: String,
    /// The adapter that answers.
    adapter: Option<AdapterChoice>,
    /// The turns so far; text alone.
    messages: Vec<turn::Turn>,
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
    /// How many answers, 1 to 8; each has the next seed.
    n: Option<usize>,
    /// The answer ends before any of these, four at most.
    stop: Option<OneOrMany>,
    /// Whether the tokens of the answer are told with their log-probabilities.
    logprobs: Option<bool>,
    /// How many of the most probable tokens are told at each place, 20 at most.
    top_logprobs: Option<usize>,
    /// What the answer must satisfy.
    response_format: Option<ResponseFormat>,
    /// The same in the form of vLLM.
    structured_outputs: Option<StructuredOutputs>,
    /// Functions that the answer may call.
    tools: Option<Vec<turn::OfferedTool>>,
    /// Whether it calls one; `auto` by default.
    tool_choice: Option<turn::ToolChoice>,
    /// Whether it may call several; not by default.
    parallel_tool_calls: Option<bool>,
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
    /// `stop`, `length` or `tool_calls`. An answer with `length` was cut, and a
    /// format that it was held to is not complete.
    finish_reason: &'static str,
    /// The tokens of the content, if they were asked for.
    logprobs: Option<ChatLogprobs>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Answer {
    /// `assistant`.
    role: &'static str,
    content: Option<String>,
    /// Always null.
    refusal: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_calls: Vec<CallView>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct CallView {
    id: String,
    /// `function`.
    #[serde(rename = "type")]
    kind: &'static str,
    function: FunctionView,
}

#[derive(Debug, Serialize, JsonSchema)]
struct FunctionView {
    name: String,
    /// JSON, as text.
    arguments: String,
}

/// Answers a chat, whole or as a stream of events.
pub(crate) async fn create(
    State(app): State<App>,
    asked: Asked,
    caller: Caller,
    Body(request): Body<ChatRequest>,
) -> Result<Answered<ChatCompletion>, ApiError> {
    parameters::refuse(&request.rest)?;
    let streams = request.stream.unwrap_or(false);
    let wants_usage = StreamOptions::usage_wanted(request.stream_options, streams)?;
    let Addressed { head, order, form } = match request.model.as_str() {
        AUTO => addressed_by_reach(&app, request, asked, &caller).await?,
        _ => {
            let chosen = app.chat_model(&request.model, request.adapter.clone(), &caller)?;
            Addressed::new(&app, request, chosen, asked)?
        }
    };
    let style = Style {
        form,
        logprobs: order.request.alternatives.is_some(),
        call_id: app.answer_id("call"),
    };
    if streams {
        let script = stream::Chunks::new(head, style, order.choices, wants_usage);
        return generation::streamed(&app, order, script).await;
    }
    let generations = generation::whole(&app, order).await?;
    let choices = generations.iter().enumerate();
    Ok(Answered::Whole(Box::new(ChatCompletion {
        id: head.id,
        object: "chat.completion",
        created: head.created,
        model: head.model,
        system_fingerprint: head.fingerprint,
        choices: choices
            .map(|(index, generation)| style.choice(index, generation))
            .collect(),
        usage: generation::usage(&generations).into(),
    })))
}

/// A request, and who is to answer it.
struct Addressed {
    head: Head,
    order: Order,
    form: Option<CallForm>,
}

impl Addressed {
    fn new(
        app: &App,
        request: ChatRequest,
        chosen: Chosen,
        asked: Asked,
    ) -> Result<Self, ApiError> {
        let head = Head::new(app, "chatcmpl", &chosen);
        let (order, form) = order(request, chosen, asked)?;
        Ok(Self { head, order, form })
    }
}

/// The language model, or for what it is bad at the first upstream that policy lets the caller
/// ask; where there is none, that is declined.
async fn addressed_by_reach(
    app: &App,
    request: ChatRequest,
    asked: Asked,
    caller: &Caller,
) -> Result<Addressed, ApiError> {
    let chosen = app.chat_model(AUTO, request.adapter.clone(), caller)?;
    let model = chosen.model.model().name.clone();
    let here = Addressed::new(app, request.clone(), chosen, asked)?;
    let Some(beyond) = judge(app, &here.order).await? else {
        return Ok(here);
    };
    // An adapter is one of the language model here.
    let upstreams = match request.adapter {
        Some(_) => Vec::new(),
        None => app.upstreams(caller),
    };
    for upstream in upstreams {
        let chosen = Chosen {
            name: upstream.model().name.clone(),
            model: Arc::clone(&upstream) as Arc<dyn LanguageModel>,
            adapter: None,
        };
        let there = Addressed::new(app, request.clone(), chosen, asked)?;
        let wanted = there.order.request.clone();
        let class = there.order.asked.class();
        if app
            .work(class, move |_| Ok(upstream.admits(&wanted)))
            .await?
        {
            return Ok(there);
        }
    }
    Err(ApiError::beyond(&beyond, &model))
}

/// Whether the language model is bad at the last thing that was asked.
async fn judge(app: &App, order: &Order) -> Result<Option<Beyond>, ApiError> {
    let Prompt::Chat(chat) = &order.request.prompt else {
        return Ok(None);
    };
    let asked = chat.messages.iter().rfind(|turn| turn.role == Role::User);
    let Some(text) = asked.map(|turn| turn.content.clone()) else {
        return Ok(None);
    };
    let class = order.asked.class();
    app.work(class, move |node| Ok(node.beyond(&text)?)).await
}

fn order(
    request: ChatRequest,
    chosen: Chosen,
    asked: Asked,
) -> Result<(Order, Option<CallForm>), ApiError> {
    let format = format::grammar(request.response_format, request.structured_outputs)?;
    let offer = turn::offer(
        request.tools,
        request.tool_choice,
        request.parallel_tool_calls,
    )?;
    let rules = offer.rules(chosen.model.call_form(), format)?;
    let chat = Chat {
        messages: turn::messages(request.messages)?,
        tools: rules.tools,
    };
    let wanted = parameters::at_least_one("max_completion_tokens", request.max_completion_tokens)?;
    let older = parameters::at_least_one("max_tokens", request.max_tokens)?;
    let order = Order {
        model: chosen.model,
        request: GenerateRequest {
            max_tokens: wanted.or(older),
            sampling: parameters::sampling(request.temperature, request.top_p, request.seed)?,
            stop: parameters::stop_texts(request.stop)?,
            grammar: rules.grammar,
            adapter: chosen.adapter,
            alternatives: logprobs::of_chat(request.logprobs, request.top_logprobs)?,
            ..GenerateRequest::new(Prompt::Chat(chat))
        },
        choices: parameters::choices(request.n)?,
        asked: asked.or(request.service_tier.and_then(ServiceTier::class)),
    };
    Ok((order, rules.form))
}

/// How the answers of a request are read and shown.
struct Style {
    form: Option<CallForm>,
    logprobs: bool,
    /// What the ids of calls begin with.
    call_id: String,
}

impl Style {
    fn call_id(&self, choice: usize, call: usize) -> String {
        format!("{}-{choice}-{call}", self.call_id)
    }

    fn choice(&self, index: usize, generation: &Generation) -> ChatChoice {
        let said = Said::read(self.form, &generation.text, &generation.drawn);
        let finish = finish_word(generation.finish, !said.calls.is_empty());
        let has_words = said.words.is_some();
        let calls = said.calls.into_iter().enumerate();
        ChatChoice {
            index,
            finish_reason: finish,
            logprobs: (self.logprobs && has_words).then(|| said.drawn.as_slice().into()),
            message: Answer {
                role: "assistant",
                content: said.words,
                refusal: None,
                tool_calls: calls
                    .map(|(number, (name, arguments))| CallView {
                        id: self.call_id(index, number),
                        kind: "function",
                        function: FunctionView { name, arguments },
                    })
                    .collect(),
            },
        }
    }
}
