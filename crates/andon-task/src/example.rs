//! Labelled examples: what a task should have answered.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::certificate::Severity;
use crate::extract::{Fields, Gold};
use crate::label::{Label, LabelSet};
use crate::schema::Schema;

/// One labelled example, a line of `examples/<task>.jsonl`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Example {
    /// The text.
    pub input: String,
    /// The right answer: for `decide` the label, or two where the text tells of two
    /// problems; for `extract` the object; for `normalise` the text in plain words; for
    /// `answer` `{"answer", "sources"}`; for `summarise` `{"facts"}`.
    pub expected: Value,
    /// The plant's own name for the example.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Whatever else the plant knows: `lang`, `asset`, …
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub meta: Option<Value>,
}

/// What is wrong with a file of examples.
#[derive(Debug, thiserror::Error)]
pub enum ExampleError {
    /// A line is not JSON of the expected form.
    #[error("line {line}: {reason}")]
    Json {
        /// Line of the file, from 1.
        line: usize,
        /// What the JSON reader says.
        reason: String,
    },
    /// The input is empty.
    #[error("line {line}: the input is empty")]
    Empty {
        /// Line of the file, from 1.
        line: usize,
    },
    /// The expected label is none of the task's.
    #[error(
        "line {line}: the label '{label}' is not in the task's label file: correct it or add it there"
    )]
    UnknownLabel {
        /// Line of the file, from 1.
        line: usize,
        /// What is expected there.
        label: String,
    },
    /// The expected object does not satisfy the task's schema.
    #[error("line {line}: {reason}: correct the example or the schema")]
    Expected {
        /// Line of the file, from 1.
        line: usize,
        /// Where and why not.
        reason: String,
    },
    /// The expected labels are not one or two different ones.
    #[error(
        "line {line}: expected holds no label, the same twice or more than two: give one, or two where the text tells of two problems"
    )]
    Count {
        /// Line of the file, from 1.
        line: usize,
    },
}

/// An example of a `decide` task with its label's position in the set.
#[derive(Clone, Debug, PartialEq)]
pub struct LabelledText {
    /// The text.
    pub text: String,
    /// Position of the right label in the label set.
    pub label: usize,
    /// That of a second one, where the text tells of two problems.
    pub also: Option<usize>,
    /// The language, where `meta.lang` says it.
    pub language: Option<String>,
}

impl LabelledText {
    /// Whether a label is right for the text.
    pub fn accepts(&self, label: usize) -> bool {
        self.label == label || self.also == Some(label)
    }

    /// Whether either of its labels is critical.
    pub fn severity(&self, labels: &[Label]) -> Severity {
        let right = [Some(self.label), self.also];
        match right
            .into_iter()
            .flatten()
            .any(|label| labels[label].critical)
        {
            true => Severity::Critical,
            false => Severity::Ordinary,
        }
    }
}

/// Reads JSON lines; blank lines are passed over.
pub fn parse(jsonl: &str) -> Result<Vec<(usize, Example)>, ExampleError> {
    let jsonl = jsonl.strip_prefix('\u{feff}').unwrap_or(jsonl);
    jsonl
        .lines()
        .enumerate()
        .filter(|(_, text)| !text.trim().is_empty())
        .map(|(index, text)| {
            let line = index + 1;
            let example: Example =
                serde_json::from_str(text).map_err(|error| ExampleError::Json {
                    line,
                    reason: error.to_string(),
                })?;
            if example.input.trim().is_empty() {
                return Err(ExampleError::Empty { line });
            }
            Ok((line, example))
        })
        .collect()
}

/// Reads the examples of an `extract` task: every expected object satisfies the schema. A
/// schema that readers do not support is not checked here: learning says so.
pub fn parse_extracted(jsonl: &str, schema: &Schema) -> Result<Vec<Example>, ExampleError> {
    let fields = Fields::of(schema.value()).ok();
    parse(jsonl)?
        .into_iter()
        .map(|(line, example)| {
            let checked = fields
                .iter()
                .try_for_each(|fields| Gold::of(fields, &example.expected).map(drop));
            match checked {
                Ok(()) => Ok(example),
                Err(reason) => Err(ExampleError::Expected { line, reason }),
            }
        })
        .collect()
}

/// Reads the examples of a `decide` task: every expected value is a label of `labels`.
pub fn parse_labelled(jsonl: &str, labels: &LabelSet) -> Result<Vec<LabelledText>, ExampleError> {
    parse(jsonl)?
        .into_iter()
        .map(|(line, example)| {
            let expected = match &example.expected {
                Value::Array(expected) => expected.as_slice(),
                one => std::slice::from_ref(one),
            };
            let mut positions: Vec<usize> = Vec::new();
            for name in expected {
                let name = name
                    .as_str()
                    .map_or_else(|| name.to_string(), str::to_owned);
                let Some(position) = labels.position(&name) else {
                    return Err(ExampleError::UnknownLabel { line, label: name });
                };
                positions.push(position);
            }
            let (label, also) = match positions[..] {
                [label] => (label, None),
                [label, also] if label != also => (label, Some(also)),
                _ => return Err(ExampleError::Count { line }),
            };
            let language = example
                .meta
                .as_ref()
                .and_then(|meta| meta.get("lang"))
                .and_then(Value::as_str)
                .map(str::to_owned);
            Ok(LabelledText {
                text: example.input,
                label,
                also,
                language,
            })
        })
        .collect()
}

#[cfg(test)]
mod tests;
