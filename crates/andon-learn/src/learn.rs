//! Learning a head from examples, and measuring heads.

use std::time::Duration;

use andon_task::calibration::{self, Scored};
use andon_task::engine::Embed;
use andon_task::example::LabelledText;
use andon_task::glossary::Glossary;
use andon_task::head::{Head, Parts};
use andon_task::task::Task;

use crate::embed::examples as embed_examples;
use crate::error::LearnError;
use crate::evaluate::{self, Answer, Evaluation};
use crate::promotion::Outcome;
use crate::study::Study;

/// Time since some fixed moment.
pub type Clock<'a> = &'a dyn Fn() -> Duration;

/// How far the work has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// What is being done.
    pub stage: Stage,
    /// How many parts of it are done.
    pub done: usize,
    /// How many there are.
    pub total: usize,
}

/// A part of the work, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// The encoder reads the examples.
    Embedding,
    /// Heads are trained: one for each fold, and one on all examples.
    Training,
}

/// A head that may be promoted, with what is known of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidate {
    /// The head, trained on all examples.
    pub head: Head,
    /// Its cross-validated figures.
    pub evaluation: Evaluation,
    /// The outcome of every example while it was held out, for
    /// [`not_worse`](crate::promotion::not_worse).
    pub outcomes: Vec<Outcome>,
}

/// Trains a head on all examples and measures it by cross-validation.
///
/// In each of five folds everything is fitted anew on the other four. The
/// temperature that a fold is measured with comes from the held-out answers of
/// the other folds, the head's own from those of all.
pub fn learn(
    task: &Task,
    examples: &[LabelledText],
    encoder: &dyn Embed,
    glossary: &Glossary,
    clock: Clock<'_>,
    progress: &mut dyn FnMut(Progress),
) -> Result<Candidate, LearnError> {
    let study = Study::new(task, examples, encoder, glossary, clock, progress)?;
    let (of_folds, whole) = study.train_folds_and_whole(progress);
    let held_out = study.answer_held_out(of_folds, clock)?;
    let all: Vec<Scored> = held_out
        .iter()
        .map(|answer| answer.scored.clone())
        .collect();
    let head = Head::new(Parts {
        temperature: calibration::temperature(&all),
        ..whole
    })?;
    let answers = study.calibrate(&held_out);
    Ok(Candidate {
        head,
        evaluation: figures(task, &answers)?,
        outcomes: study.outcomes(&answers),
    })
}

/// Measures by cross-validation what [`learn()`] would make of the examples.
pub fn cross_validate(
    task: &Task,
    examples: &[LabelledText],
    encoder: &dyn Embed,
    glossary: &Glossary,
    clock: Clock<'_>,
    progress: &mut dyn FnMut(Progress),
) -> Result<Evaluation, LearnError> {
    let study = Study::new(task, examples, encoder, glossary, clock, progress)?;
    let of_folds = study.train_folds(progress);
    let held_out = study.answer_held_out(of_folds, clock)?;
    figures(task, &study.calibrate(&held_out))
}

/// Measures a head on examples that it was not trained on.
pub fn evaluate_head(
    task: &Task,
    head: &Head,
    examples: &[LabelledText],
    encoder: &dyn Embed,
    glossary: &Glossary,
    clock: Clock<'_>,
    progress: &mut dyn FnMut(Progress),
) -> Result<Evaluation, LearnError> {
    check_labels(task, examples)?;
    head.fits(task.labels(), encoder.identity(), glossary)?;
    let embedded = embed_examples(examples, encoder, glossary, clock, progress)?;
    let answers = examples
        .iter()
        .zip(&embedded)
        .map(|(example, embedded)| {
            let start = clock();
            let probabilities = head.decide(&embedded.reading, &embedded.vector)?;
            let took = embedded.took + clock().saturating_sub(start);
            let language = example.language.clone();
            Ok(Answer::grade(&probabilities, example.label, language, took))
        })
        .collect::<Result<Vec<_>, LearnError>>()?;
    figures(task, &answers)
}

pub(crate) fn figures(task: &Task, answers: &[Answer]) -> Result<Evaluation, LearnError> {
    evaluate::evaluate(answers, &task.labels().names(), task.accept).ok_or_else(|| {
        LearnError::NoExamples {
            task: task.name.clone(),
        }
    })
}

/// There are examples, and each has a label of the task.
pub(crate) fn check_labels(task: &Task, examples: &[LabelledText]) -> Result<(), LearnError> {
    if examples.is_empty() {
        return Err(LearnError::NoExamples {
            task: task.name.clone(),
        });
    }
    let labels = task.labels().labels().len();
    match examples.iter().position(|example| example.label >= labels) {
        Some(index) => Err(LearnError::ForeignLabel {
            task: task.name.clone(),
            example: index + 1,
            label: examples[index].label,
            labels,
        }),
        None => Ok(()),
    }
}
