//! The input of a decision as one text.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use crate::error::ApiError;
use crate::openai::parameters::Rest;

/// Bounds of a JSON part, as OpenAI has them.
const MAX_JSON_DEPTH: usize = 32;
const MAX_JSON_VALUES: usize = 10_000;
const MAX_JSON_BYTES: usize = 256 * 1024;

/// What the questions are about: a text, or messages and tool calls in order.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "expected a string or an array of messages")]
pub(super) enum Input {
    Text(String),
    Items(Vec<Item>),
}

/// A message, a tool call or a tool's output.
#[derive(Debug, Deserialize, JsonSchema)]
pub(super) struct Item {
    /// `message` (the default), `function_call`, `function_call_output`,
    /// `custom_tool_call` or `custom_tool_call_output`.
    #[serde(rename = "type")]
    kind: Option<String>,
    /// For a message: `user`, `developer`, `system` or `assistant`.
    role: Option<String>,
    /// For a message: a text, or parts.
    content: Option<InputContent>,
    /// For a call: which tool.
    name: Option<String>,
    /// For a function call: its arguments.
    arguments: Option<String>,
    /// For a custom tool call: its input.
    input: Option<String>,
    /// For a call and its output: what joins them.
    call_id: Option<String>,
    /// For an output: a text, or parts.
    output: Option<InputContent>,
}

/// A text, or parts of text and JSON. Images are refused.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "expected a string or an array of parts")]
pub(super) enum InputContent {
    Text(String),
    Parts(Vec<InputPart>),
}

/// A part: `input_text`, `output_text`, `refusal` or `input_json`.
#[derive(Debug, Deserialize, JsonSchema)]
pub(super) struct InputPart {
    #[serde(rename = "type")]
    kind: String,
    text: Option<String>,
    refusal: Option<String>,
    /// An object, or an array of objects.
    data: Option<Value>,
    #[serde(flatten)]
    #[schemars(skip)]
    rest: Rest,
}

impl Input {
    /// The input as one text, none of it left out.
    pub(super) fn render(&self) -> Result<String, ApiError> {
        let text = match self {
            Self::Text(text) => text.clone(),
            Self::Items(items) => {
                let mut calls = Vec::new();
                let texts: Result<Vec<String>, ApiError> = items
                    .iter()
                    .enumerate()
                    .map(|(index, item)| item.render(&format!("input[{index}]"), &mut calls))
                    .collect();
                texts?.join("\n\n")
            }
        };
        if text.trim().is_empty() {
            return Err(ApiError::invalid("input", "the input is empty"));
        }
        Ok(text)
    }
}

impl Item {
    fn render<'a>(&'a self, param: &str, calls: &mut Vec<&'a str>) -> Result<String, ApiError> {
        let call_id = || {
            self.call_id
                .as_deref()
                .ok_or_else(|| ApiError::invalid(format!("{param}.call_id"), "call_id is missing"))
        };
        match self.kind.as_deref().unwrap_or("message") {
            "message" => self.render_message(param),
            kind @ ("function_call" | "custom_tool_call") => {
                calls.push(call_id()?);
                let (field, given) = match kind {
                    "function_call" => ("arguments", &self.arguments),
                    _ => ("input", &self.input),
                };
                let given = given.as_ref().ok_or_else(|| {
                    ApiError::invalid(format!("{param}.{field}"), format!("{field} is missing"))
                })?;
                let name = self.name.as_deref().unwrap_or("tool");
                Ok(format!("call of {name}: {given}"))
            }
            "function_call_output" | "custom_tool_call_output" => {
                let id = call_id()?;
                if !calls.contains(&id) {
                    let message = format!("no call before this has the id '{id}'");
                    return Err(ApiError::invalid(format!("{param}.call_id"), message));
                }
                let output = self.output.as_ref().ok_or_else(|| {
                    ApiError::invalid(format!("{param}.output"), "output is missing")
                })?;
                let text = output.render(&format!("{param}.output"))?;
                Ok(format!("output of the call: {text}"))
            }
            _ => Err(ApiError::unsupported(format!("{param}.type"))),
        }
    }

    fn render_message(&self, param: &str) -> Result<String, ApiError> {
        let role = match self.role.as_deref() {
            Some(role @ ("user" | "developer" | "system" | "assistant")) => role,
            _ => {
                let message = "role must be user, developer, system or assistant";
                return Err(ApiError::invalid(format!("{param}.role"), message));
            }
        };
        let content = self
            .content
            .as_ref()
            .ok_or_else(|| ApiError::invalid(format!("{param}.content"), "content is missing"))?;
        let text = content.render(&format!("{param}.content"))?;
        Ok(format!("{role}: {text}"))
    }
}

impl InputContent {
    /// The content as one text.
    pub(super) fn render(&self, param: &str) -> Result<String, ApiError> {
        match self {
            Self::Text(text) => Ok(text.clone()),
            Self::Parts(parts) => {
                let texts: Result<Vec<String>, ApiError> = parts
                    .iter()
                    .enumerate()
                    .map(|(index, part)| part.render(&format!("{param}[{index}]")))
                    .collect();
                Ok(texts?.join("\n"))
            }
        }
    }
}

impl InputPart {
    fn render(&self, param: &str) -> Result<String, ApiError> {
        let rest = self
            .rest
            .iter()
            .find(|(name, value)| !value.is_null() && name.as_str() != "prompt_cache_breakpoint");
        match (self.kind.as_str(), &self.text, &self.refusal, &self.data) {
            ("input_image", ..) => Err(ApiError::unsupported(format!("{param}.input_image"))),
            _ if rest.is_some() => {
                let name = rest.map_or("", |(name, _)| name.as_str());
                Err(ApiError::unsupported(format!("{param}.{name}")))
            }
            ("input_text" | "output_text", Some(text), None, None)
            | ("refusal", None, Some(text), None) => Ok(text.clone()),
            ("input_json", None, None, Some(data)) => {
                let fits = match data {
                    Value::Object(_) => true,
                    Value::Array(items) => items.iter().all(Value::is_object),
                    _ => false,
                };
                if !fits {
                    let message = "data must be an object or an array of objects";
                    return Err(ApiError::invalid(format!("{param}.data"), message));
                }
                render_json(data, &format!("{param}.data"))
            }
            _ => {
                let message = "a part is input_text or output_text with text, refusal with refusal, or input_json with data";
                Err(ApiError::invalid(param, message))
            }
        }
    }
}

/// A JSON value as text, within the bounds.
pub(super) fn render_json(value: &Value, param: &str) -> Result<String, ApiError> {
    let mut values = 0;
    let depth = measure(value, &mut values);
    if depth > MAX_JSON_DEPTH || values > MAX_JSON_VALUES {
        let message = format!(
            "the JSON has {depth} levels and {values} values: at most {MAX_JSON_DEPTH} and {MAX_JSON_VALUES} are read"
        );
        return Err(ApiError::invalid(param, message));
    }
    let text = value.to_string();
    if text.len() > MAX_JSON_BYTES {
        let message = format!(
            "the JSON has {} bytes: at most {MAX_JSON_BYTES} are read",
            text.len()
        );
        return Err(ApiError::invalid(param, message));
    }
    Ok(text)
}

/// The levels of containers, counting the values. The JSON reader has bounded
/// the depth, so that this recursion is bounded too.
fn measure(value: &Value, values: &mut usize) -> usize {
    *values += 1;
    let deepest = match value {
        Value::Array(items) => items.iter().map(|item| measure(item, values)).max(),
        Value::Object(fields) => fields.values().map(|field| measure(field, values)).max(),
        _ => return 0,
    };
    1 + deepest.unwrap_or(0)
}
