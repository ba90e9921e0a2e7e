//! From examples of an `extract` task to a reader that may serve: where values are looked
//! for, weights, calibration, and figures over texts that were held out.

mod align;
mod calibrate;
mod demand;
mod evaluate;
mod fusion;
mod grade;
mod meaning;
mod train;

use std::time::Duration;

use andon_task::engine::Embed;
use andon_task::extract::{Fields, Gold, Reader, Trust};
use serde_json::Value;

use crate::error::LearnError;
use crate::random::Random;
use meaning::Corpus;

pub use evaluate::{Extraction, figures};
pub use fusion::{Asking, Question, SecondReader, Verdict, ask_again, fuse};
pub use grade::Graded;

/// How many parts of the examples are held out in turn.
const FOLDS: usize = 5;

/// A reader with what is known of it.
pub struct LearntReader {
    /// The reader, trained on all examples and calibrated on the held-out ones.
    pub reader: Reader,
    /// Each example as a reader read it that was not trained on it, calibrated on other
    /// examples.
    pub held_out: Vec<Graded>,
}

/// Trains a reader for a schema on texts and expected objects, with two threads. Where the
/// texts are short, what an encoder makes of their words is used if that reads more values
/// right of the examples while they are held out.
///
/// # Errors
/// If the schema or an expected object is not sound, or there are no examples.
pub fn learn_reader(
    task: &str,
    schema: &Value,
    examples: &[(&str, &Value)],
    encoder: Option<&dyn Embed>,
    clock: &(dyn Fn() -> Duration + Sync),
) -> Result<LearntReader, LearnError> {
    let fields = Fields::of(schema).map_err(andon_task::extract::ReaderError::from)?;
    let golds = golds(&fields, examples)?;
    if examples.is_empty() {
        return Err(LearnError::NoExamples {
            task: task.to_owned(),
        });
    }
    let lessons: Vec<train::Lesson<'_>> = (examples.iter().zip(&golds).enumerate())
        .map(|(number, (&(text, _), gold))| train::Lesson { text, gold, number })
        .collect();
    let texts: Vec<&str> = examples.iter().map(|&(text, _)| text).collect();
    let corpus = match encoder {
        Some(encoder) => Corpus::of(&texts, encoder)?,
        None => None,
    };
    let folds = assign(examples);
    let count = folds.iter().max().map_or(0, |last| last + 1);
    let read = |corpus| cross_read(schema, &fields, &lessons, (&folds, count), corpus, clock);
    let (raw, corpus) = match &corpus {
        None => (read(None)?, None),
        Some(corpus) => {
            let (without, with) = (read(None)?, read(Some(corpus))?);
            match evaluate::f1(&with) > evaluate::f1(&without) {
                true => (with, Some(corpus)),
                false => (without, None),
            }
        }
    };
    // Each fold's probabilities come from the others'.
    let mut held_out: Vec<Graded> = raw.clone();
    for fold in 0..count {
        let others: Vec<&Graded> = raw
            .iter()
            .zip(&folds)
            .filter(|(_, own)| **own != fold)
            .map(|(graded, _)| graded)
            .collect();
        let trust = calibrate::calibrate(&fields, &others);
        for (graded, _) in held_out
            .iter_mut()
            .zip(&folds)
            .filter(|(_, own)| **own == fold)
        {
            apply(&trust, graded);
        }
    }
    let reader = train::train(schema, &fields, &lessons, corpus)?;
    let trust = calibrate::calibrate(&fields, &raw.iter().collect::<Vec<_>>());
    let reader = reader.trusting(trust)?;
    Ok(LearntReader { reader, held_out })
}

fn golds(fields: &Fields, examples: &[(&str, &Value)]) -> Result<Vec<Gold>, LearnError> {
    (examples.iter().enumerate())
        .map(|(index, &(_, expected))| grade::gold(fields, index, expected))
        .collect()
}

/// How a reader reads examples. The encoder is that which the reader names, if it does.
pub fn grade_reader(
    reader: &Reader,
    examples: &[(&str, &Value)],
    encoder: &dyn Embed,
    clock: &dyn Fn() -> Duration,
) -> Result<Vec<Graded>, LearnError> {
    let golds = golds(reader.fields(), examples)?;
    (examples.iter().zip(&golds).enumerate())
        .map(|(index, (&(text, _), gold))| {
            let began = clock();
            let states = match reader.encoder() {
                Some(_) => meaning::states_of(encoder, index, text)?,
                None => None,
            };
            let before = clock().saturating_sub(began);
            let lesson = (text, gold);
            let graded = grade::grade(reader, reader.fields(), lesson, states.as_ref(), clock);
            Ok(Graded {
                took: graded.took + before,
                ..graded
            })
        })
        .collect()
}

/// The fold of each example: texts that are the same are held out together.
fn assign(examples: &[(&str, &Value)]) -> Vec<usize> {
    let mut groups: std::collections::BTreeMap<String, Vec<usize>> =
        std::collections::BTreeMap::new();
    for (index, (text, _)) in examples.iter().enumerate() {
        groups
            .entry(andon_task::extract::folded(text))
            .or_default()
            .push(index);
    }
    let mut groups: Vec<Vec<usize>> = groups.into_values().collect();
    groups.sort_unstable();
    Random::seeded(0).shuffle(&mut groups);
    let folds = FOLDS.min(groups.len());
    let mut assigned = vec![0; examples.len()];
    for (number, group) in groups.into_iter().enumerate() {
        for index in group {
            assigned[index] = number % folds;
        }
    }
    assigned
}

fn cross_read(
    schema: &Value,
    fields: &Fields,
    lessons: &[train::Lesson<'_>],
    (folds, count): (&[usize], usize),
    corpus: Option<&Corpus>,
    clock: &(dyn Fn() -> Duration + Sync),
) -> Result<Vec<Graded>, LearnError> {
    let one = |fold: usize| -> Result<Vec<(usize, Graded)>, LearnError> {
        let others: Vec<train::Lesson<'_>> = (lessons.iter().zip(folds))
            .filter(|(_, own)| **own != fold || count == 1)
            .map(|(lesson, _)| *lesson)
            .collect();
        let reader = train::train(schema, fields, &others, corpus)?;
        let own = (0..lessons.len()).filter(|&index| folds[index] == fold);
        Ok(own
            .map(|index| {
                let lesson = (lessons[index].text, lessons[index].gold);
                let states = corpus.map(|corpus| corpus.states(index));
                (index, grade::grade(&reader, fields, lesson, states, clock))
            })
            .collect())
    };
    let one = &one;
    let results = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..2usize)
            .map(|thread| {
                scope.spawn(move || {
                    (thread..count)
                        .step_by(2)
                        .map(one)
                        .collect::<Result<Vec<_>, _>>()
                })
            })
            .collect();
        let joined = threads.into_iter().map(|thread| match thread.join() {
            Ok(result) => result,
            Err(panic) => std::panic::resume_unwind(panic),
        });
        joined.collect::<Result<Vec<_>, _>>()
    })?;
    let mut graded: Vec<(usize, Graded)> = results.into_iter().flatten().flatten().collect();
    graded.sort_by_key(|(index, _)| *index);
    Ok(graded.into_iter().map(|(_, graded)| graded).collect())
}

/// Gives a reading the probabilities of a calibration.
fn apply(trust: &Trust, graded: &mut Graded) {
    let through = |field: usize, share: f64| {
        let line = trust.fields[field];
        andon_task::extract::logistic(
            line.slope * andon_task::extract::log_odds(share) + line.offset,
        )
    };
    let Some(reading) = &mut graded.reading else {
        return;
    };
    let record = calibrate::record_of(trust, reading);
    for pointed in &mut reading.fields {
        pointed.confidence = through(pointed.field, pointed.confidence);
    }
    for (field, confidence) in graded.confidence.iter_mut().enumerate() {
        *confidence = through(field, *confidence);
    }
    reading.confidence = trust.record(record);
    graded.probability = reading.confidence;
}
