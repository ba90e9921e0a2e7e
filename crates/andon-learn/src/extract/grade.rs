//! Readings beside what was expected.

use std::time::Duration;

use andon_task::engine::States;
use andon_task::extract::{Fields, Gold, Matches, Pointed, Reader, Reading, locate, log_odds};
use serde_json::Value;

/// A text that was read, and how right that is.
#[derive(Clone, Debug, PartialEq)]
pub struct Graded {
    /// What was read; `None` where a field that must have a value has none.
    pub reading: Option<Reading>,
    /// For each field whether it is right.
    pub right: Vec<bool>,
    /// How many of its values are right.
    pub matches: Matches,
    /// For each field its confidence: the least of its values.
    pub confidence: Vec<f64>,
    /// The record's confidence.
    pub probability: f64,
    /// How long the reading took.
    pub took: Duration,
}

impl Graded {
    /// Whether all of the record is right.
    pub fn is_right(&self) -> bool {
        self.right.iter().all(|&right| right)
    }
}

/// Reads a text and compares.
pub(super) fn grade(
    reader: &Reader,
    fields: &Fields,
    (text, gold): (&str, &Gold),
    states: Option<&States>,
    clock: &dyn Fn() -> Duration,
) -> Graded {
    let began = clock();
    let reading = reader.read(text, states).ok();
    let took = clock().saturating_sub(began);
    match reading {
        Some(reading) => graded(fields, gold, reading, took),
        None => {
            let count = fields.all().len();
            Graded {
                reading: None,
                right: vec![false; count],
                matches: gold.matches(&Gold {
                    values: Vec::new(),
                    items: Vec::new(),
                }),
                confidence: vec![0.0; count],
                probability: 0.0,
                took,
            }
        }
    }
}

/// A reading beside what was expected.
pub(super) fn graded(fields: &Fields, gold: &Gold, reading: Reading, took: Duration) -> Graded {
    let count = fields.all().len();
    let (right, matches) = match Gold::of(fields, &reading.value) {
        Ok(read) => (gold.grade(&read, fields), gold.matches(&read)),
        Err(_) => (vec![false; count], Matches::default()),
    };
    let confidence = (0..count)
        .map(|field| {
            let own = reading
                .fields
                .iter()
                .filter(|pointed| pointed.field == field);
            own.map(|pointed| pointed.confidence).fold(1.0, f64::min)
        })
        .collect();
    Graded {
        probability: reading.confidence,
        reading: Some(reading),
        right,
        matches,
        confidence,
        took,
    }
}

/// An object that a language model wrote for a text, beside what was expected; `None` where
/// it wrote none. Nothing is known of how probable it is to be right. `example` is its place
/// among others, from 0.
///
/// # Errors
/// If the expected object is not sound.
pub fn grade_written(
    fields: &Fields,
    (example, text, expected): (usize, &str, &Value),
    written: Option<Value>,
    took: Duration,
) -> Result<Graded, crate::LearnError> {
    let gold = gold(fields, example, expected)?;
    let count = fields.all().len();
    let read = written
        .as_ref()
        .and_then(|value| Gold::of(fields, value).ok());
    let nothing = Gold {
        values: Vec::new(),
        items: Vec::new(),
    };
    let (right, matches) = match &read {
        Some(read) => (gold.grade(read, fields), gold.matches(read)),
        None => (vec![false; count], gold.matches(&nothing)),
    };
    Ok(Graded {
        reading: written.map(|value| Reading {
            fields: pointed(fields, text, &value),
            value,
            confidence: 0.0,
            doubt: 0.0,
        }),
        right,
        matches,
        confidence: vec![0.0; count],
        probability: 0.0,
        took,
    })
}

/// The values of an object with their places in the text.
fn pointed(fields: &Fields, text: &str, object: &Value) -> Vec<Pointed> {
    let mut found = Vec::new();
    let mut open = vec![(String::new(), String::new(), object)];
    while let Some((path, field, value)) = open.pop() {
        match value {
            Value::Object(properties) => {
                let dot = if path.is_empty() { "" } else { "." };
                open.extend(properties.iter().map(|(name, value)| {
                    let within = |path: &str| format!("{path}{dot}{name}");
                    (within(&path), within(&field), value)
                }));
            }
            Value::Array(items) => {
                open.extend(items.iter().enumerate().map(|(index, value)| {
                    (format!("{path}[{index}]"), format!("{field}[]"), value)
                }));
            }
            Value::Null => {}
            value => {
                let known = fields.all().iter().position(|known| known.path == field);
                let span = locate(text, value);
                found.extend(known.map(|field| Pointed {
                    path,
                    field,
                    value: Some(value.clone()),
                    span,
                    verbatim: span.is_some(),
                    confidence: 0.0,
                    agreed: None,
                }));
            }
        }
    }
    found
}

/// The log-odds of a field's confidence.
pub(super) fn odds(graded: &Graded, field: usize) -> f64 {
    log_odds(graded.confidence[field])
}

/// Reads the expected object of an example.
pub(super) fn gold(
    fields: &Fields,
    example: usize,
    expected: &Value,
) -> Result<Gold, crate::LearnError> {
    Gold::of(fields, expected).map_err(|reason| crate::LearnError::Expected {
        example: example + 1,
        reason,
    })
}
