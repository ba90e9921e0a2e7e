//! Sentence vectors of examples and labels.

use std::time::Duration;

use andon_task::engine::{Embed, EngineError};
use andon_task::example::LabelledText;
use andon_task::glossary::{Glossary, Reading};
use andon_task::task::Task;

use crate::error::LearnError;
use crate::learn::{Clock, Progress, Stage};

/// A text as a head reads it, with its sentence vector, and how long that took.
pub(crate) struct Embedded<'a> {
    pub(crate) reading: Reading<'a>,
    pub(crate) vector: Vec<f32>,
    pub(crate) took: Duration,
}

/// What a label's description teaches.
pub(crate) struct Described {
    pub(crate) text: String,
    pub(crate) vector: Vec<f32>,
    pub(crate) label: usize,
}

/// One text at a time, as notes come in, so that the times are those of serving.
pub(crate) fn examples<'a>(
    examples: &'a [LabelledText],
    encoder: &dyn Embed,
    glossary: &Glossary,
    clock: Clock<'_>,
    progress: &mut dyn FnMut(Progress),
) -> Result<Vec<Embedded<'a>>, LearnError> {
    let total = examples.len();
    let mut report = |done| {
        progress(Progress {
            stage: Stage::Embedding,
            done,
            total,
        });
    };
    report(0);
    let mut embedded = Vec::with_capacity(total);
    for (index, example) in examples.iter().enumerate() {
        let start = clock();
        let reading = glossary.read(&example.text);
        let vector = embed(encoder, &reading, || format!("example {}", index + 1))?;
        let took = clock().saturating_sub(start);
        embedded.push(Embedded {
            reading,
            vector,
            took,
        });
        report(index + 1);
    }
    Ok(embedded)
}

/// A label's name and description are one more example of it: on few examples
/// that is worth some, and a label without any is not unknown.
pub(crate) fn descriptions(
    task: &Task,
    encoder: &dyn Embed,
    glossary: &Glossary,
) -> Result<Vec<Described>, LearnError> {
    task.labels()
        .labels()
        .iter()
        .enumerate()
        .filter_map(|(position, label)| Some((position, label, label.description.as_ref()?)))
        .map(|(position, label, description)| {
            let name = label.label.replace(['-', '_'], " ");
            let text = format!("{name}: {description}");
            let vector = embed(encoder, &glossary.read(&text), || {
                format!("the description of label '{}'", label.label)
            })?;
            Ok(Described {
                text,
                vector,
                label: position,
            })
        })
        .collect()
}

fn embed(
    encoder: &dyn Embed,
    reading: &Reading<'_>,
    name: impl Fn() -> String,
) -> Result<Vec<f32>, LearnError> {
    let failed = |source| LearnError::Encoder {
        text: name(),
        source,
    };
    let vectors = encoder.embed(&[reading.text()]);
    vectors
        .map_err(failed)?
        .pop()
        .filter(|vector| vector.len() == encoder.dimensions())
        .ok_or_else(|| {
            let expected = encoder.dimensions();
            failed(EngineError::Failed(format!(
                "it gave no vector of {expected} dimensions"
            )))
        })
}
