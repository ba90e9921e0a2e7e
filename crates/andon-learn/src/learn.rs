//! Learning a head from examples, and measuring heads.

use std::time::Duration;

use andon_task::engine::Embed;
use andon_task::example::LabelledText;
use andon_task::glossary::Glossary;
use andon_task::head::Head;
use andon_task::task::Task;

use crate::embed::{self, View};
use crate::error::LearnError;
use crate::evaluate::{self, Answer, Evaluation};
use crate::promotion::Outcome;
use crate::study::{Extent, Study};
use crate::tune::Tune;

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
    /// An encoder is tuned: once for each fold, and once on all examples.
    Tuning,
    /// The encoder reads the examples.
    Embedding,
    /// Ways to train a head are tried, where the examples are few.
    Choosing,
    /// Heads are trained: one for each fold, and one on all examples.
    Training,
}

/// A head that may be promoted, with what is known of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidate {
    /// The head, trained on all examples.
    pub head: Head,
    /// What [`Tune::tune`] gave to keep, where the head has an encoder of its own:
    /// [`Parts::encoder`](andon_task::head::Parts::encoder) is then the digest of the tuned one.
    pub tuned: Option<Vec<u8>>,
    /// Its cross-validated figures.
    pub evaluation: Evaluation,
    /// The outcome of every example while it was held out, for
    /// [`not_worse`](crate::promotion::not_worse).
    pub outcomes: Vec<Outcome>,
}

/// What there is to learn, and with what.
#[derive(Clone, Copy)]
pub struct Lesson<'a> {
    /// The task.
    pub task: &'a Task,
    /// Its examples.
    pub examples: &'a [LabelledText],
    /// What makes sentence vectors.
    pub encoder: &'a dyn Embed,
    /// What tunes an encoder on the examples to take the place of `encoder`.
    pub tune: Option<&'a dyn Tune>,
    /// What the texts are read with.
    pub glossary: &'a Glossary,
}

/// Trains a head on all examples and measures it by cross-validation.
///
/// In each of five folds everything is fitted anew on the other four. The
/// temperature that a fold is measured with comes from the held-out answers of
/// the other folds, the head's own from those of all. With [`Lesson::tune`], the
/// encoder is tuned anew for each fold as well, and the head goes with the tuned
/// encoder.
pub fn learn(
    lesson: &Lesson<'_>,
    clock: Clock<'_>,
    progress: &mut dyn FnMut(Progress),
) -> Result<Candidate, LearnError> {
    let study = Study::new(lesson, Extent::FoldsAndWhole, clock, progress)?;
    let (of_folds, whole) = study.train(progress);
    let whole = whole.expect("this extent has the whole");
    let held_out = study.answer_held_out(of_folds, clock)?;
    let head = Head::new(study.finish(whole, &held_out))?;
    let answers = study.calibrate(&held_out);
    Ok(Candidate {
        head,
        tuned: study.tuned(),
        evaluation: figures(lesson.task, &answers)?,
        outcomes: study.outcomes(&answers),
    })
}

/// Measures by cross-validation what [`learn()`] would make of the examples.
pub fn cross_validate(
    lesson: &Lesson<'_>,
    clock: Clock<'_>,
    progress: &mut dyn FnMut(Progress),
) -> Result<Evaluation, LearnError> {
    let study = Study::new(lesson, Extent::Folds, clock, progress)?;
    let (of_folds, _) = study.train(progress);
    let held_out = study.answer_held_out(of_folds, clock)?;
    figures(lesson.task, &study.calibrate(&held_out))
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
    let taught = embed::read(examples, glossary);
    let readings = taught.iter().map(|taught| &taught.reading);
    let view = View::of(readings, &[], encoder, clock, progress)?;
    let answers = examples
        .iter()
        .enumerate()
        .map(|(index, example)| {
            let start = clock();
            let probabilities = head.decide(&taught[index].reading, &view.vectors[index])?;
            let took = view.took[index] + clock().saturating_sub(start);
            Ok(Answer::grade(&probabilities, example, head.also(), took))
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
    let highest = |example: &LabelledText| example.also.unwrap_or(0).max(example.label);
    match examples
        .iter()
        .position(|example| highest(example) >= labels)
    {
        Some(index) => Err(LearnError::ForeignLabel {
            task: task.name.clone(),
            example: index + 1,
            label: highest(&examples[index]),
            labels,
        }),
        None => Ok(()),
    }
}
