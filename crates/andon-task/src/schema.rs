//! The JSON Schema that the answers of an `extract` task satisfy.

use serde_json::Value;

use crate::digest::Digest;

/// References that are followed from one to the next, at most.
const MOST_REFERENCES: usize = 32;

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

    /// A value of the schema with its properties in the order in which the schema names
    /// them, as a grammar of the schema writes it; those it does not name, last.
    pub fn ordered(&self, value: &Value) -> Value {
        ordered(&self.value, &self.value, value)
    }

    /// The digest of its compact text, keys in the order of the file.
    pub fn digest(&self) -> Digest {
        self.digest
    }
}

fn ordered(root: &Value, schema: &Value, value: &Value) -> Value {
    let schema = resolved(root, schema);
    match value {
        Value::Object(object) => {
            let named = schema.get("properties").and_then(Value::as_object);
            let names = named.into_iter().flat_map(serde_json::Map::iter);
            let known = names.filter_map(|(name, schema)| {
                let value = object.get(name)?;
                Some((name.clone(), ordered(root, schema, value)))
            });
            let mut put: serde_json::Map<String, Value> = known.collect();
            for (name, value) in object {
                if !put.contains_key(name) {
                    put.insert(name.clone(), value.clone());
                }
            }
            Value::Object(put)
        }
        Value::Array(items) => {
            let of_items = schema.get("items").unwrap_or(&Value::Null);
            let items = items.iter().map(|item| ordered(root, of_items, item));
            items.collect()
        }
        value => value.clone(),
    }
}

/// What a schema refers to, or the first of its alternatives that has parts.
fn resolved<'a>(root: &'a Value, schema: &'a Value) -> &'a Value {
    let mut found = schema;
    for _ in 0..MOST_REFERENCES {
        let reference = found.get("$ref").and_then(Value::as_str);
        let target = reference.and_then(|to| root.pointer(to.strip_prefix('#')?));
        let has_parts = |one: &&Value| {
            ["properties", "items", "$ref"]
                .iter()
                .any(|key| one.get(*key).is_some())
        };
        let alternatives = ["anyOf", "oneOf", "allOf"].iter();
        let alternatives = alternatives.filter_map(|key| found.get(*key)?.as_array());
        let next = match has_parts(&found) && reference.is_none() {
            true => None,
            false => target.or_else(|| alternatives.flatten().find(has_parts)),
        };
        match next {
            Some(next) => found = next,
            None => break,
        }
    }
    found
}

#[cfg(test)]
mod tests;
