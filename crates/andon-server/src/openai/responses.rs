//! `POST /v1/responses`, without a memory: each request holds all its turns.

mod input;
mod output;

use andon_task::engine::{
    CallForm, Chat, Finish, GenerateRequest, Grammar, Message, Prompt, Role, Tool,
};
use axum::extract::State;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::chat::turn::{ToolKind, ToolWord};
use super::format;
use super::generation::{self, Answered, Order};
use super::parameters::{self, Rest};
use super::{Head, TokenUsage};
use crate::app::{AdapterChoice, App, Chosen};
use crate::asked::{Asked, ServiceTier};
use crate::error::ApiError;
use crate::extract::Body;
use crate::tools::{self, Choice, Offer};
use output::{Item, Writer};

/// A request for a response.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct ResponseRequest {
    /// The language model, as `GET /v1/models` names it.
    model: String,
    /// The adapter that answers.
    adapter: Option<AdapterChoice>,
    /// A text, or messages, calls of functions and what they gave.
    input: input::Input,
    /// What stands before the input, as a system turn.
    instructions: Option<String>,
    /// The most tokens to generate; without it, as many as the context holds.
    max_output_tokens: Option<usize>,
    /// From 0 (the default: the most probable token) to 2.
    temperature: Option<f32>,
    /// The smallest set of tokens whose probabilities add up to this is drawn from.
    top_p: Option<f32>,
    /// The same seed gives the same answer; 0 by default.
    seed: Option<i64>,
    /// What the answer must satisfy.
    text: Option<TextOptions>,
    /// Functions that the answer may call.
    tools: Option<Vec<FunctionTool>>,
    /// Whether it calls one; `auto` by default.
    tool_choice: Option<ToolChoice>,
    /// Whether it may call several; not by default.
    parallel_tool_calls: Option<bool>,
    /// Given back as it came.
    metadata: Option<Map<String, Value>>,
    /// `flex` is the class `batch`.
    service_tier: Option<ServiceTier>,
    /// Whether the answer comes as server-sent events.
    stream: Option<bool>,
    #[serde(flatten)]
    #[schemars(skip)]
    rest: Rest,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct TextOptions {
    format: Option<TextFormat>,
    /// Only `medium`, which is what the model does anyway.
    #[serde(rename = "verbosity")]
    _verbosity: Option<Verbosity>,
}

#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Verbosity {
    Medium,
}

/// The form of an answer.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
enum TextFormat {
    /// Free text.
    Text {},
    /// A JSON object, whichever.
    JsonObject {},
    /// JSON that satisfies a schema.
    JsonSchema {
        name: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        description: Option<String>,
        schema: Value,
        /// Accepted: the answer is held to the schema either way.
        strict: Option<bool>,
    },
}

/// A function on offer.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct FunctionTool {
    /// `function`.
    #[serde(rename = "type")]
    kind: String,
    name: Option<String>,
    description: Option<String>,
    /// The JSON Schema of its arguments, an object; without it there are none.
    parameters: Option<Value>,
    /// Accepted: arguments are held to the schema either way.
    strict: Option<bool>,
}

/// Whether a function is called: `none`, `auto`, `required`, or the one that is.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(
    untagged,
    expecting = "expected none, auto, required or an object that names a function"
)]
enum ToolChoice {
    Word(ToolWord),
    Named {
        /// `function`.
        #[serde(rename = "type")]
        _kind: ToolKind,
        name: String,
    },
}

/// A response.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(crate) struct ResponseView {
    id: String,
    /// `response`.
    object: &'static str,
    /// Seconds since 1970.
    created_at: i64,
    /// `completed`, or `incomplete` where the tokens ran out; in events also
    /// `in_progress` and `failed`.
    status: &'static str,
    error: Option<Value>,
    incomplete_details: Option<Incomplete>,
    model: String,
    output: Vec<Item>,
    usage: Option<TokenUsage>,
    #[serde(flatten)]
    echo: Echo,
}

#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
struct Incomplete {
    /// `max_output_tokens`.
    reason: &'static str,
}

/// What a response repeats of its request.
#[derive(Clone, Debug, Serialize, JsonSchema)]
struct Echo {
    instructions: Option<String>,
    max_output_tokens: Option<usize>,
    metadata: Map<String, Value>,
    parallel_tool_calls: bool,
    temperature: f32,
    top_p: f32,
    text: Value,
    tool_choice: Value,
    tools: Vec<FunctionTool>,
    /// Always false: nothing is kept.
    store: bool,
    /// Always false.
    background: bool,
    /// Always null.
    previous_response_id: Option<String>,
    /// Always `disabled`: what does not fit is refused.
    truncation: &'static str,
}

/// Answers, whole or as a stream of events.
pub(crate) async fn create(
    State(app): State<App>,
    asked: Asked,
    Body(request): Body<ResponseRequest>,
) -> Result<Answered<ResponseView>, ApiError> {
    refuse(&request.rest)?;
    let streams = request.stream.unwrap_or(false);
    let chosen = app.language_model(&request.model, request.adapter.clone())?;
    let head = Head::new(&app, "resp", &chosen);
    let echo = request.echo();
    let (order, form) = order(request, chosen, asked)?;
    let response = ResponseView {
        id: head.id,
        object: "response",
        created_at: head.created,
        status: "in_progress",
        error: None,
        incomplete_details: None,
        model: head.model,
        output: Vec::new(),
        usage: None,
        echo,
    };
    let writer = Writer::new(response, form);
    if streams {
        return generation::streamed(&app, order, writer).await;
    }
    let generations = generation::whole(&app, order).await?;
    Ok(Answered::Whole(Box::new(writer.whole(&generations))))
}

/// Refuses every field that matters and is not fulfilled.
fn refuse(rest: &Rest) -> Result<(), ApiError> {
    let neutral = |name: &str, value: &Value| match name {
        "background" => value == &json!(false),
        "include" => value == &json!([]),
        "top_logprobs" => value == &json!(0),
        "truncation" => value == &json!("disabled"),
        // Padding, which this node does not send either way.
        "stream_options" => value
            .as_object()
            .is_some_and(|options| options.keys().all(|name| name == "include_obfuscation")),
        _ => false,
    };
    let others = rest.iter().filter(|(name, value)| !neutral(name, value));
    let others = others.map(|(name, value)| (name.clone(), value.clone()));
    parameters::refuse(&others.collect())
}

impl ResponseRequest {
    fn echo(&self) -> Echo {
        let format = self.text.as_ref().and_then(|text| text.format.clone());
        let choice = match &self.tool_choice {
            None | Some(ToolChoice::Word(ToolWord::Auto)) => json!("auto"),
            Some(ToolChoice::Word(ToolWord::None)) => json!("none"),
            Some(ToolChoice::Word(ToolWord::Required)) => json!("required"),
            Some(ToolChoice::Named { name, .. }) => json!({"type": "function", "name": name}),
        };
        Echo {
            instructions: self.instructions.clone(),
            max_output_tokens: self.max_output_tokens,
            metadata: self.metadata.clone().unwrap_or_default(),
            parallel_tool_calls: self.parallel_tool_calls.unwrap_or(false),
            temperature: self.temperature.unwrap_or(0.0),
            top_p: self.top_p.unwrap_or(1.0),
            text: json!({"format": format.unwrap_or(TextFormat::Text {})}),
            tool_choice: choice,
            tools: self.tools.clone().unwrap_or_default(),
            store: false,
            background: false,
            previous_response_id: None,
            truncation: "disabled",
        }
    }
}

fn order(
    request: ResponseRequest,
    chosen: Chosen,
    asked: Asked,
) -> Result<(Order, Option<CallForm>), ApiError> {
    let format = request.text.and_then(|text| text.format);
    let format = format.map(TextFormat::grammar).transpose()?.flatten();
    let offer = Offer {
        tools: tools(request.tools.unwrap_or_default())?,
        choice: match request.tool_choice {
            None => Choice::Auto,
            Some(ToolChoice::Word(word)) => word.into(),
            Some(ToolChoice::Named { name, .. }) => Choice::Named(name),
        },
        parallel: request.parallel_tool_calls.unwrap_or(false),
    };
    let rules = offer.rules(chosen.model.call_form(), format)?;
    let instructions = request.instructions.filter(|text| !text.is_empty());
    let instructions = instructions.map(|text| Message::new(Role::System, text));
    let messages = instructions.into_iter().chain(request.input.messages()?);
    let chat = Chat {
        messages: messages.collect(),
        tools: rules.tools,
    };
    let max_tokens = parameters::at_least_one("max_output_tokens", request.max_output_tokens)?;
    let order = Order {
        model: chosen.model,
        request: GenerateRequest {
            max_tokens,
            sampling: parameters::sampling(request.temperature, request.top_p, request.seed)?,
            grammar: rules.grammar,
            adapter: chosen.adapter,
            ..GenerateRequest::new(Prompt::Chat(chat))
        },
        choices: 1,
        asked: asked.or(request.service_tier.and_then(ServiceTier::class)),
    };
    Ok((order, rules.form))
}

impl TextFormat {
    fn grammar(self) -> Result<Option<Grammar>, ApiError> {
        match self {
            Self::Text {} => Ok(None),
            Self::JsonObject {} => Ok(Some(format::any_object())),
            Self::JsonSchema { name, schema, .. } => {
                format::check_name(&name, "text.format.name")?;
                format::schema(Some(schema), "text.format.schema").map(Some)
            }
        }
    }
}

fn tools(tools: Vec<FunctionTool>) -> Result<Vec<Tool>, ApiError> {
    let tools = tools.into_iter().enumerate();
    tools
        .map(|(index, tool)| match (tool.kind.as_str(), tool.name) {
            ("function", Some(name)) => Ok(Tool {
                name,
                description: tool.description,
                parameters: tool.parameters.unwrap_or_else(tools::no_parameters),
            }),
            ("function", None) => Err(ApiError::invalid(
                format!("tools[{index}].name"),
                "the tool has no name",
            )),
            (_, _) => Err(ApiError::unsupported(format!("tools[{index}].type"))),
        })
        .collect()
}

impl ResponseView {
    /// The response at its end.
    fn end(&mut self, finish: Finish, usage: TokenUsage) {
        self.usage = Some(usage);
        match finish {
            Finish::Stop => self.status = "completed",
            Finish::Length => {
                self.status = "incomplete";
                let reason = "max_output_tokens";
                self.incomplete_details = Some(Incomplete { reason });
            }
        }
    }
}
