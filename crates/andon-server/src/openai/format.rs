//! What an answer must satisfy: `response_format` of OpenAI, and
//! `structured_outputs` of vLLM.

use andon_task::engine::Grammar;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::error::ApiError;

/// The form of an answer.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum ResponseFormat {
    /// Free text.
    Text {},
    /// A JSON object, whichever.
    JsonObject {},
    /// JSON that satisfies a schema.
    JsonSchema { json_schema: NamedSchema },
}

/// A JSON Schema with its name.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NamedSchema {
    /// Letters, digits, hyphens and underscores, 64 at most.
    pub(crate) name: String,
    /// What it is for; the model does not see it.
    #[serde(rename = "description")]
    _description: Option<String>,
    /// The JSON Schema; without it, any object.
    pub(crate) schema: Option<Value>,
    /// Accepted: the answer is held to the schema either way.
    #[serde(rename = "strict")]
    _strict: Option<bool>,
}

/// One of three things that an answer must satisfy.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct StructuredOutputs {
    /// A JSON Schema, as an object or as its text.
    json: Option<Value>,
    /// A regular expression that describes the answer from end to end.
    regex: Option<String>,
    /// The allowed answers.
    choice: Option<Vec<String>>,
}

/// What the answer must satisfy, if anything.
pub(crate) fn grammar(
    format: Option<ResponseFormat>,
    structured: Option<StructuredOutputs>,
) -> Result<Option<Grammar>, ApiError> {
    let format = format.map(ResponseFormat::grammar).transpose()?.flatten();
    let structured = structured.map(StructuredOutputs::grammar).transpose()?;
    match (format, structured) {
        (Some(_), Some(_)) => {
            let message = "response_format says already what the answer must be: leave one out";
            Err(ApiError::invalid("structured_outputs", message))
        }
        (format, structured) => Ok(format.or(structured)),
    }
}

impl ResponseFormat {
    fn grammar(self) -> Result<Option<Grammar>, ApiError> {
        match self {
            Self::Text {} => Ok(None),
            Self::JsonObject {} => Ok(Some(any_object())),
            Self::JsonSchema { json_schema } => {
                let at = "response_format.json_schema";
                check_name(&json_schema.name, &format!("{at}.name"))?;
                schema(json_schema.schema, &format!("{at}.schema")).map(Some)
            }
        }
    }
}

/// Any JSON object.
pub(crate) fn any_object() -> Grammar {
    Grammar::Json(json!({"type": "object"}))
}

/// What a schema holds the answer to.
pub(crate) fn schema(schema: Option<Value>, param: &str) -> Result<Grammar, ApiError> {
    match schema {
        None | Some(Value::Null) => Ok(any_object()),
        Some(schema @ (Value::Object(_) | Value::Bool(_))) => Ok(Grammar::Json(schema)),
        Some(_) => Err(ApiError::invalid(param, "a JSON Schema is an object")),
    }
}

/// A name as OpenAI allows it, of a schema or a tool.
pub(crate) fn check_name(name: &str, param: &str) -> Result<(), ApiError> {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if name.is_empty() || name.len() > 64 || !name.chars().all(fits) {
        let message = "the name must be 1 to 64 letters, digits, hyphens and underscores";
        return Err(ApiError::invalid(param, message));
    }
    Ok(())
}

impl StructuredOutputs {
    fn grammar(self) -> Result<Grammar, ApiError> {
        match (self.json, self.regex, self.choice) {
            (Some(Value::String(text)), None, None) => {
                let at = "structured_outputs.json";
                let parsed = serde_json::from_str(&text)
                    .map_err(|error| ApiError::invalid(at, format!("it is not JSON: {error}")))?;
                schema(Some(parsed), at)
            }
            (Some(json), None, None) => schema(Some(json), "structured_outputs.json"),
            (None, Some(regex), None) => Ok(Grammar::Regex(regex)),
            (None, None, Some(choice)) if !choice.is_empty() => Ok(Grammar::Choice(choice)),
            _ => {
                let message = "give one of json, regex and choice";
                Err(ApiError::invalid("structured_outputs", message))
            }
        }
    }
}
