//! The input of a response: a text, or items in their order.

use andon_task::engine::{Message, Role};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::error::ApiError;
use crate::openai::chat::turn::call;
use crate::openai::parameters::Rest;

/// What is to be answered.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "expected a string or an array of items")]
pub(super) enum Input {
    Text(String),
    Items(Vec<InputItem>),
}

/// A message, a call of a function or what it gave.
#[derive(Debug, Deserialize, JsonSchema)]
pub(super) struct InputItem {
    /// `message` (the default), `function_call` or `function_call_output`.
    #[serde(rename = "type")]
    kind: Option<String>,
    /// For a message: `user`, `system`, `developer` or `assistant`.
    role: Option<String>,
    /// For a message: a text, or parts of text.
    content: Option<Text>,
    /// For a call and its output: what joins them.
    call_id: Option<String>,
    /// For a call: the function.
    name: Option<String>,
    /// For a call: its arguments, JSON as text.
    arguments: Option<String>,
    /// For an output: a text, or parts of text.
    output: Option<Text>,
    #[serde(flatten)]
    #[schemars(skip)]
    rest: Rest,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "expected a string or an array of text parts")]
enum Text {
    Whole(String),
    Parts(Vec<TextPart>),
}

/// A part: `input_text` or `output_text`.
#[derive(Debug, Deserialize, JsonSchema)]
struct TextPart {
    #[serde(rename = "type")]
    kind: String,
    text: Option<String>,
}

impl Input {
    /// The turns in the engine's words.
    pub(super) fn messages(self) -> Result<Vec<Message>, ApiError> {
        let items = match self {
            Self::Text(text) if text.is_empty() => Vec::new(),
            Self::Text(text) => return Ok(vec![Message::new(Role::User, text)]),
            Self::Items(items) => items,
        };
        if items.is_empty() {
            return Err(ApiError::invalid("input", "the input is empty"));
        }
        let mut turns = Turns::default();
        for (index, item) in items.into_iter().enumerate() {
            turns.add(item, &format!("input[{index}]"))?;
        }
        Ok(turns.messages)
    }
}

#[derive(Default)]
struct Turns {
    messages: Vec<Message>,
    /// The ids of the calls so far.
    calls: Vec<String>,
}

impl Turns {
    fn add(&mut self, item: InputItem, at: &str) -> Result<(), ApiError> {
        // What an item of an earlier answer has beside.
        let known = ["id", "status", "phase"];
        let rest = item.rest.iter();
        let mut rest =
            rest.filter(|(name, value)| !value.is_null() && !known.contains(&name.as_str()));
        if let Some((name, _)) = rest.next() {
            return Err(ApiError::unsupported(format!("{at}.{name}")));
        }
        let missing =
            |name: &str| ApiError::invalid(format!("{at}.{name}"), format!("{name} is missing"));
        match item.kind.as_deref().unwrap_or("message") {
            "message" => {
                let role = match item.role.as_deref() {
                    Some("user") => Role::User,
                    Some("system" | "developer") => Role::System,
                    Some("assistant") => Role::Assistant,
                    _ => {
                        let message = "role must be user, system, developer or assistant";
                        return Err(ApiError::invalid(format!("{at}.role"), message));
                    }
                };
                let content = item.content.ok_or_else(|| missing("content"))?;
                let content = content.join(&format!("{at}.content"))?;
                self.messages.push(Message::new(role, content));
            }
            "function_call" => {
                self.calls
                    .push(item.call_id.ok_or_else(|| missing("call_id"))?);
                let name = item.name.ok_or_else(|| missing("name"))?;
                let arguments = item.arguments.ok_or_else(|| missing("arguments"))?;
                let call = call(name, &arguments, at)?;
                // Words and calls of one answer are one turn.
                match self.messages.last_mut() {
                    Some(turn) if turn.role == Role::Assistant => turn.calls.push(call),
                    _ => self.messages.push(Message {
                        calls: vec![call],
                        ..Message::new(Role::Assistant, "")
                    }),
                }
            }
            "function_call_output" => {
                let id = item.call_id.ok_or_else(|| missing("call_id"))?;
                if !self.calls.contains(&id) {
                    let message = format!("no call before this has the id '{id}'");
                    return Err(ApiError::invalid(format!("{at}.call_id"), message));
                }
                let output = item.output.ok_or_else(|| missing("output"))?;
                let output = output.join(&format!("{at}.output"))?;
                self.messages.push(Message::new(Role::Tool, output));
            }
            _ => return Err(ApiError::unsupported(format!("{at}.type"))),
        }
        Ok(())
    }
}

impl Text {
    fn join(self, at: &str) -> Result<String, ApiError> {
        let parts = match self {
            Self::Whole(text) => return Ok(text),
            Self::Parts(parts) => parts,
        };
        parts
            .into_iter()
            .enumerate()
            .map(|(index, part)| match (part.kind.as_str(), part.text) {
                ("input_text" | "output_text", Some(text)) => Ok(text),
                ("input_text" | "output_text", None) => Err(ApiError::invalid(
                    format!("{at}[{index}].text"),
                    "the part has no text",
                )),
                (kind, _) => Err(ApiError::unsupported(format!("{at}[{index}].{kind}"))),
            })
            .collect()
    }
}
