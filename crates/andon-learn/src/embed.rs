//! Sentence vectors of examples and labels.

use std::time::Duration;

use andon_task::digest::Digest;
use andon_task::engine::{Embed, EngineError};
use andon_task::example::LabelledText;
use andon_task::glossary::{Glossary, Reading};
use andon_task::task::Task;

use crate::error::LearnError;
use crate::learn::{Clock, Progress, Stage};

/// A text as a head reads it, and the label that it teaches.
pub(crate) struct Taught<'a> {
    pub(crate) reading: Reading<'a>,
    pub(crate) label: usize,
    /// A second label that it teaches as much.
    pub(crate) also: Option<usize>,
}

/// What one encoder sees of a task's texts.
pub(crate) struct View {
    /// The encoder.
    pub(crate) encoder: Digest,
    pub(crate) dimensions: usize,
    /// The vector of each example.
    pub(crate) vectors: Vec<Vec<f32>>,
    /// How long each of them took to make.
    pub(crate) took: Vec<Duration>,
    /// The vectors of what the labels say of themselves.
    pub(crate) described: Vec<Vec<f32>>,
}

impl View {
    /// One text at a time, as notes come in, so that the times are those of serving.
    pub(crate) fn of<'a>(
        readings: impl ExactSizeIterator<Item = &'a Reading<'a>>,
        described: &[Taught<'_>],
        encoder: &dyn Embed,
        clock: Clock<'_>,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Self, LearnError> {
        let total = readings.len();
        let mut report = |done| {
            progress(Progress {
                stage: Stage::Embedding,
                done,
                total,
            });
        };
        report(0);
        let mut vectors = Vec::with_capacity(total);
        let mut took = Vec::with_capacity(total);
        for (index, reading) in readings.enumerate() {
            let start = clock();
            vectors.push(embed(encoder, reading, || {
                format!("example {}", index + 1)
            })?);
            took.push(clock().saturating_sub(start));
            report(index + 1);
        }
        let described = described
            .iter()
            .map(|taught| {
                embed(encoder, &taught.reading, || {
                    format!("the description of label number {}", taught.label + 1)
                })
            })
            .collect::<Result<_, _>>()?;
        Ok(Self {
            encoder: encoder.identity().digest,
            dimensions: encoder.dimensions(),
            vectors,
            took,
            described,
        })
    }
}

/// A label's name and description are one more example of it: on few examples
/// that is worth some, and a label without any is not unknown. The labels of one branch
/// (`pump/seal`, `pump/bearing`) share its words.
pub(crate) fn descriptions(task: &Task, glossary: &Glossary) -> Vec<Taught<'static>> {
    task.labels()
        .labels()
        .iter()
        .enumerate()
        .map(|(position, label)| {
            let name = label.label.replace(['-', '_', '/'], " ");
            let text = match &label.description {
                Some(description) => format!("{name}: {description}"),
                None => name,
            };
            Taught {
                reading: glossary.read(&text).into_owned(),
                label: position,
                also: None,
            }
        })
        .collect()
}

/// The texts as the glossary reads them.
pub(crate) fn read<'a>(examples: &'a [LabelledText], glossary: &Glossary) -> Vec<Taught<'a>> {
    examples
        .iter()
        .map(|example| Taught {
            reading: glossary.read(&example.text),
            label: example.label,
            also: example.also,
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
