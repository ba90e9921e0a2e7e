//! The turns of a chat as they come, and the tools offered with them.

use andon_task::engine::{Message, Role, Tool, ToolCall};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use crate::error::ApiError;
use crate::openai::parameters::Rest;
use crate::tools::{self, Choice, Offer};

/// One turn of a chat.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
pub(super) struct Turn {
    /// Who speaks.
    role: Speaker,
    /// What is said.
    content: Option<Content>,
    /// For the assistant: the tools that it called.
    tool_calls: Option<Vec<Called>>,
    /// For a tool: the call that it answers.
    tool_call_id: Option<String>,
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
    Tool,
}

#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "expected a string or an array of text parts")]
enum Content {
    Text(String),
    Parts(Vec<Part>),
}

/// A part of a turn: this node reads text alone.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
struct Part {
    #[serde(rename = "type")]
    kind: String,
    text: Option<String>,
}

/// A call that the assistant made.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
struct Called {
    id: String,
    /// `function`.
    #[serde(rename = "type")]
    kind: Option<String>,
    function: Option<CalledFunction>,
}

#[derive(Clone, Debug, Deserialize, JsonSchema)]
struct CalledFunction {
    name: String,
    /// JSON, as text.
    arguments: String,
}

/// The turns in the engine's words.
pub(super) fn messages(turns: Vec<Turn>) -> Result<Vec<Message>, ApiError> {
    if turns.is_empty() {
        return Err(ApiError::invalid("messages", "there are no messages"));
    }
    let mut ids = Vec::new();
    turns
        .into_iter()
        .enumerate()
        .map(|(index, turn)| turn.into_message(&format!("messages[{index}]"), &mut ids))
        .collect()
}

impl Turn {
    /// `ids` holds the ids of the calls so far.
    fn into_message(self, at: &str, ids: &mut Vec<String>) -> Result<Message, ApiError> {
        let rest = self.rest.iter().find(|(name, value)| {
            // A name is for several speakers of one role, of which this node
            // knows none; it does not change what the model reads.
            !value.is_null() && name.as_str() != "name"
        });
        if let Some((name, _)) = rest {
            return Err(ApiError::unsupported(format!("{at}.{name}")));
        }
        let role = match self.role {
            Speaker::System | Speaker::Developer => Role::System,
            Speaker::User => Role::User,
            Speaker::Assistant => Role::Assistant,
            Speaker::Tool => Role::Tool,
        };
        let calls = self.tool_calls.unwrap_or_default();
        if !calls.is_empty() && role != Role::Assistant {
            let message = "only the assistant calls tools";
            return Err(ApiError::invalid(format!("{at}.tool_calls"), message));
        }
        match (role, self.tool_call_id) {
            (Role::Tool, Some(id)) if ids.contains(&id) => {}
            (Role::Tool, id) => {
                let message = match id {
                    Some(id) => format!("no call before this has the id '{id}'"),
                    None => "tool_call_id is missing".to_owned(),
                };
                return Err(ApiError::invalid(format!("{at}.tool_call_id"), message));
            }
            (_, Some(_)) => {
                let message = "tool_call_id belongs to the role tool";
                return Err(ApiError::invalid(format!("{at}.tool_call_id"), message));
            }
            (_, None) => {}
        }
        let content = match self.content {
            Some(Content::Text(text)) => text,
            Some(Content::Parts(parts)) => join(parts, at)?,
            None if !calls.is_empty() => String::new(),
            None => {
                let param = format!("{at}.content");
                return Err(ApiError::invalid(param, "the turn has no content"));
            }
        };
        let calls = calls
            .into_iter()
            .enumerate()
            .map(|(index, call)| call.into_call(&format!("{at}.tool_calls[{index}]"), ids))
            .collect::<Result<_, _>>()?;
        Ok(Message {
            calls,
            ..Message::new(role, content)
        })
    }
}

impl Called {
    fn into_call(self, at: &str, ids: &mut Vec<String>) -> Result<ToolCall, ApiError> {
        match (self.kind.as_deref().unwrap_or("function"), self.function) {
            ("function", Some(function)) => {
                ids.push(self.id);
                call(
                    function.name,
                    &function.arguments,
                    &format!("{at}.function"),
                )
            }
            ("function", None) => {
                let message = "the call names no function";
                Err(ApiError::invalid(format!("{at}.function"), message))
            }
            (_, _) => Err(ApiError::unsupported(format!("{at}.type"))),
        }
    }
}

/// A call from its arguments as text.
pub(crate) fn call(name: String, arguments: &str, at: &str) -> Result<ToolCall, ApiError> {
    // Some clients send nothing where a tool takes nothing.
    let text = match arguments.trim() {
        "" => "{}",
        text => text,
    };
    match serde_json::from_str(text) {
        Ok(arguments @ Value::Object(_)) => Ok(ToolCall { name, arguments }),
        _ => {
            let message = "arguments must be a JSON object, as text";
            Err(ApiError::invalid(format!("{at}.arguments"), message))
        }
    }
}

fn join(parts: Vec<Part>, at: &str) -> Result<String, ApiError> {
    parts
        .into_iter()
        .enumerate()
        .map(|(index, part)| match (part.kind.as_str(), part.text) {
            ("text", Some(text)) => Ok(text),
            ("text", None) => Err(ApiError::invalid(
                format!("{at}.content[{index}].text"),
                "the part has no text",
            )),
            (kind, _) => Err(ApiError::unsupported(format!(
                "{at}.content[{index}].{kind}"
            ))),
        })
        .collect()
}

/// A tool on offer.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
pub(super) struct OfferedTool {
    /// `function`.
    #[serde(rename = "type")]
    kind: String,
    function: Option<OfferedFunction>,
}

#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct OfferedFunction {
    /// Letters, digits, hyphens and underscores, 64 at most.
    name: String,
    /// What it does, for the model.
    description: Option<String>,
    /// The JSON Schema of its arguments, an object; without it there are none.
    parameters: Option<Value>,
    /// Accepted: arguments are held to the schema either way.
    #[serde(rename = "strict")]
    _strict: Option<bool>,
}

/// Whether a tool is called: `none`, `auto`, `required`, or the one that is.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(
    untagged,
    expecting = "expected none, auto, required or an object that names a function"
)]
pub(super) enum ToolChoice {
    Word(ToolWord),
    Named {
        /// `function`.
        #[serde(rename = "type")]
        _kind: ToolKind,
        function: NamedFunction,
    },
}

#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ToolWord {
    None,
    Auto,
    Required,
}

#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ToolKind {
    Function,
}

#[derive(Clone, Debug, Deserialize, JsonSchema)]
pub(super) struct NamedFunction {
    name: String,
}

impl From<ToolWord> for Choice {
    fn from(word: ToolWord) -> Self {
        match word {
            ToolWord::None => Self::None,
            ToolWord::Auto => Self::Auto,
            ToolWord::Required => Self::Required,
        }
    }
}

/// The tools of a request as one offer.
pub(super) fn offer(
    tools: Option<Vec<OfferedTool>>,
    choice: Option<ToolChoice>,
    parallel: Option<bool>,
) -> Result<Offer, ApiError> {
    let tools = tools.unwrap_or_default().into_iter().enumerate();
    let tools = tools.map(|(index, tool)| match (tool.kind.as_str(), tool.function) {
        ("function", Some(function)) => Ok(Tool {
            name: function.name,
            description: function.description,
            parameters: function.parameters.unwrap_or_else(tools::no_parameters),
        }),
        ("function", None) => Err(ApiError::invalid(
            format!("tools[{index}].function"),
            "the tool has no function",
        )),
        (_, _) => Err(ApiError::unsupported(format!("tools[{index}].type"))),
    });
    Ok(Offer {
        tools: tools.collect::<Result<_, _>>()?,
        choice: match choice {
            None => Choice::Auto,
            Some(ToolChoice::Word(word)) => word.into(),
            Some(ToolChoice::Named { function, .. }) => Choice::Named(function.name),
        },
        parallel: parallel.unwrap_or(false),
    })
}
