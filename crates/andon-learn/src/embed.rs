//! Sentence vectors of examples and labels.

use std::time::Duration;

use andon_task::engine::{Embed, EngineError};
use andon_task::example::LabelledText;
use andon_task::task::Task;

use crate::error::LearnError;
use crate::learn::{Clock, Progress, Stage};

/// A text's sentence vector, and how long the encoder took.
pub(crate) struct Embedded {
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
pub(crate) fn examples(
    examples: &[LabelledText],
    encoder: &dyn Embed,
    clock: Clock<'_>,
    progress: &mut dyn FnMut(Progress),
) -> Result<Vec<Embedded>, LearnError> {
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
        let vector = embed(encoder, &example.text, || format!("example {}", index + 1))?;
        let took = clock().saturating_sub(start);
        embedded.push(Embedded { vector, took });
        report(index + 1);
    }
    Ok(embedded)
}

/// A label's name and description are one more example of it: on few examples
/// that is worth some, and a label without any is not unknown.
pub(crate) fn descriptions(task: &Task, encoder: &dyn Embed) -> Result<Vec<Described>, LearnError> {
    task.labels()
        .labels()
        .iter()
        .enumerate()
        .filter_map(|(position, label)| Some((position, label, label.description.as_ref()?)))
        .map(|(position, label, description)| {
            let name = label.label.replace(['-', '_'], " ");
            let text = format!("{name}: {description}");
            let vector = embed(encoder, &text, || {
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
    text: &str,
    name: impl Fn() -> String,
) -> Result<Vec<f32>, LearnError> {
    let failed = |source| LearnError::Encoder {
        text: name(),
        source,
    };
    let vector = encoder.embed(&[text]).map_err(failed)?.pop();
    vector
        .filter(|vector| vector.len() == encoder.dimensions())
        .ok_or_else(|| {
            let expected = encoder.dimensions();
            failed(EngineError::Failed(format!(
                "it gave no vector of {expected} dimensions"
            )))
        })
}
