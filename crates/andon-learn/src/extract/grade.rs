//! Readings beside what was expected.

use std::time::Duration;

use andon_task::engine::States;
use andon_task::extract::{Fields, Gold, Matches, Reader, Reading, log_odds};
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
