//! The last look: at the bytes that leave, as they leave.

use serde_json::Value;

use super::RedactError;
use super::session::Session;

/// Settings of a request that hold numbers of their own, not texts of the plant.
const SETTINGS: &[&str] = &[
    "seed",
    "max_tokens",
    "temperature",
    "top_p",
    "top_logprobs",
    "logprobs",
    "stream",
    "n",
    "stream_options",
    "parallel_tool_calls",
];

impl Session<'_> {
    /// Looks through the body of a request whose texts were redacted by this session.
    ///
    /// # Errors
    /// If anything is found: then these bytes must not leave.
    pub fn scan(&self, body: &[u8]) -> Result<(), RedactError> {
        let body: Value = serde_json::from_slice(body).map_err(|_| RedactError::NotJson)?;
        let Value::Object(body) = body else {
            return Err(RedactError::NotJson);
        };
        for (key, value) in &body {
            // The model's name is that of the upstream, from the plant's own settings.
            if key != "model" && !SETTINGS.contains(&key.as_str()) {
                self.scan_value(value)?;
            }
        }
        Ok(())
    }

    fn scan_value(&self, value: &Value) -> Result<(), RedactError> {
        match value {
            Value::String(text) => self.scan_text(text),
            Value::Number(number) => self.scan_text(&number.to_string()),
            Value::Array(items) => items.iter().try_for_each(|item| self.scan_value(item)),
            Value::Object(map) => map.iter().try_for_each(|(key, value)| {
                if !self.is_name(key) {
                    self.scan_text(key)?;
                }
                match value {
                    Value::String(name) if self.is_name(name) => Ok(()),
                    value => self.scan_value(value),
                }
            }),
            _ => Ok(()),
        }
    }

    fn scan_text(&self, text: &str) -> Result<(), RedactError> {
        match self.left(text) {
            Some(tag) => Err(RedactError::Left(tag)),
            None => Ok(()),
        }
    }
}
