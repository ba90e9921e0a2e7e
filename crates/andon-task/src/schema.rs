//! The JSON Schema that the answers of an `extract` task satisfy.

use serde_json::Value;

use crate::digest::Digest;

/// A JSON Schema (2020-12) of an object, from a file of the plant.
#[derive(Clone, Debug, PartialEq)]
pub struct Schema {
    value: Value,
    digest: Digest,
}

/// What is wrong with a schema file.
#[derive(Debug, thiserror::Error)]
pub enum SchemaError {
    /// The text is not JSON.
    #[error("not JSON: {0}")]
    Json(String),
    /// It does not describe an object with properties.
    #[error(
        "the schema is not of an object: give \"type\": \"object\" and what it has under \"properties\""
    )]
    NotAnObject,
}

impl Schema {
    /// Reads a schema file.
    pub fn parse(json_text: &str) -> Result<Self, SchemaError> {
        let json_text = json_text.strip_prefix('\u{feff}').unwrap_or(json_text);
        let value: Value = serde_json::from_str(json_text)
            .map_err(|error| SchemaError::Json(error.to_string()))?;
        let properties = value.get("properties").and_then(Value::as_object);
        let is_object = value.get("type").and_then(Value::as_str) == Some("object");
        if !is_object || properties.is_none_or(serde_json::Map::is_empty) {
            return Err(SchemaError::NotAnObject);
        }
        let digest = Digest::of(value.to_string().as_bytes());
        Ok(Self { value, digest })
    }

    /// The schema itself.
    pub fn value(&self) -> &Value {
        &self.value
    }

    /// The digest of its compact text, keys in the order of the file.
    pub fn digest(&self) -> Digest {
        self.digest
    }
}

#[cfg(test)]
mod tests;
