//! The way back: placeholders in an answer become what they stand for.

use std::collections::BTreeMap;

use serde_json::{Map, Number, Value};

use super::placeholder::{Reading, read};

/// What a placeholder stands for.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Original {
    /// A part of a text.
    Text(String),
    /// A number of a JSON value.
    Number(Number),
}

impl Original {
    fn text(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Number(number) => number.to_string(),
        }
    }
}

/// What the placeholders of one request stand for. It never leaves the node, and
/// knows the placeholders of its own request alone.
#[derive(Clone, Debug, Default)]
pub struct Restorer {
    pub(super) placeholders: BTreeMap<String, Original>,
    /// Names of functions and keys, which have no brackets.
    pub(super) names: BTreeMap<String, String>,
}

impl Restorer {
    /// The text with its placeholders replaced. Unknown ones stay as they are.
    pub fn restore(&self, text: &str) -> String {
        let mut restored = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(at) = rest.find('[') {
            let (before, from) = rest.split_at(at);
            restored.push_str(before);
            let known = match read(from) {
                Reading::Whole(bytes) => self
                    .placeholders
                    .get(&from[..bytes])
                    .map(|known| (bytes, known)),
                _ => None,
            };
            match known {
                Some((bytes, original)) => {
                    restored.push_str(&original.text());
                    rest = &from[bytes..];
                }
                None => {
                    restored.push('[');
                    rest = &from[1..];
                }
            }
        }
        restored + rest
    }

    /// The name of a function, or the key of an object.
    pub fn restore_name(&self, name: &str) -> String {
        match self.names.get(name) {
            Some(original) => original.clone(),
            None => self.restore(name),
        }
    }

    /// The value with the placeholders of its texts and keys replaced; one that stood
    /// for a number is a number again.
    pub fn restore_value(&self, value: &Value) -> Value {
        match value {
            Value::String(text) => match self.placeholders.get(text) {
                Some(Original::Number(number)) => Value::Number(number.clone()),
                _ => Value::String(self.restore(text)),
            },
            Value::Array(items) => items.iter().map(|item| self.restore_value(item)).collect(),
            Value::Object(map) => {
                let entries = map.iter();
                let entries =
                    entries.map(|(key, value)| (self.restore_name(key), self.restore_value(value)));
                Value::Object(entries.collect::<Map<_, _>>())
            }
            other => other.clone(),
        }
    }

    /// A text that comes in pieces.
    pub fn stream(&self) -> Stream<'_> {
        Stream {
            restorer: self,
            held: String::new(),
        }
    }
}

/// Restores a text that comes in pieces: what may be the beginning of a placeholder
/// is held until it is known.
#[derive(Debug)]
pub struct Stream<'a> {
    restorer: &'a Restorer,
    held: String,
}

impl Stream<'_> {
    /// What can be passed on now that this has come too.
    pub fn push(&mut self, piece: &str) -> String {
        self.held.push_str(piece);
        // Only the last bracket can have an end that is yet to come.
        let open = self.held.rfind('[').unwrap_or(self.held.len());
        let keep = match read(&self.held[open..]) {
            Reading::Beginning => open,
            _ => self.held.len(),
        };
        let kept = self.held.split_off(keep);
        let ready = std::mem::replace(&mut self.held, kept);
        self.restorer.restore(&ready)
    }

    /// What is left when nothing more comes.
    pub fn finish(&mut self) -> String {
        let held = std::mem::take(&mut self.held);
        self.restorer.restore(&held)
    }
}
