//! From examples of an `extract` task to a reader that may serve: where values are looked
//! for, weights, calibration, and figures over texts that were held out.

mod align;
mod calibrate;
mod demand;
mod evaluate;
mod fusion;
mod grade;
mod meaning;
mod school;
mod train;
mod words;

use std::time::Duration;

use andon_task::engine::Embed;
use andon_task::extract::{Fields, Gold, Reader, Trust};
use serde_json::Value;

use crate::error::LearnError;
use school::{Folds, School};
use train::Lesson;

pub use evaluate::{Extraction, figures};
pub use fusion::{Asking, Question, SecondReader, Verdict, ask_again, fuse};
pub use grade::{Graded, grade_written};
pub use words::{MarkedPlace, MarkedText, TuneWords, TunedWords};

/// How many parts of the examples are held out in turn.
const FOLDS: usize = 5;

/// How many where an encoder is tuned for each.
const TUNED_FOLDS: usize = 3;

/// What makes states of words.
#[derive(Clone, Copy)]
pub enum Words<'a> {
    /// Nothing does.
    None,
    /// An encoder as it is, where that reads more values right.
    Encoder(&'a dyn Embed),
    /// Encoders that are tuned on the examples.
    Tuned(&'a dyn TuneWords),
}

/// The names that a plant knows of one kind: its assets, its suppliers.
pub type Register = Vec<String>;

/// What there is beside the examples.
#[derive(Clone, Copy)]
pub struct Beside<'a> {
    /// What makes states of words.
    pub words: Words<'a>,
    /// The plant's master data. A field whose values are of a register may be any of its names.
    pub registers: &'a [Register],
}

impl<'a> From<Words<'a>> for Beside<'a> {
    fn from(words: Words<'a>) -> Self {
        Self {
            words,
            registers: &[],
        }
    }
}

/// A reader with what is known of it.
pub struct LearntReader {
    /// The reader, trained on all examples and calibrated on the held-out ones.
    pub reader: Reader,
    /// Each example as a reader read it that was not trained on it, calibrated on other
    /// examples.
    pub held_out: Vec<Graded>,
    /// What has to be kept of an encoder that was tuned for it.
    pub tuned: Option<Vec<u8>>,
}

/// Trains a reader for a schema on texts and expected objects, with two threads. Where the
/// texts are short, what an encoder makes of their words is used if that reads more values
/// right of the examples while they are held out.
///
/// # Errors
/// If the schema or an expected object is not sound, there are no examples, or an encoder is to
/// be tuned on long texts.
pub fn learn_reader<'a>(
    task: &str,
    schema: &Value,
    examples: &[(&str, &Value)],
    beside: impl Into<Beside<'a>>,
    clock: &(dyn Fn() -> Duration + Sync),
) -> Result<LearntReader, LearnError> {
    let Beside { words, registers } = beside.into();
    let fields = Fields::of(schema).map_err(andon_task::extract::ReaderError::from)?;
    let golds = golds(&fields, examples)?;
    if examples.is_empty() {
        return Err(LearnError::NoExamples {
            task: task.to_owned(),
        });
    }
    let lessons: Vec<Lesson<'_>> = (examples.iter().zip(&golds).enumerate())
        .map(|(number, (&(text, _), gold))| Lesson { text, gold, number })
        .collect();
    let most = match words {
        Words::Tuned(_) => TUNED_FOLDS,
        _ => FOLDS,
    };
    let folds = Folds::of(examples, most);
    let school = School {
        schema,
        fields: &fields,
        lessons: &lessons,
        folds: &folds,
        registers,
        clock,
    };
    let (reader, raw, tuned) = match words {
        Words::None => school.without()?,
        Words::Encoder(encoder) => school.with_encoder(encoder)?,
        Words::Tuned(tune) => school.with_tuned(tune)?,
    };
    // Each fold's probabilities come from the others'.
    let mut held_out: Vec<Graded> = raw.clone();
    for fold in 0..folds.count {
        let others: Vec<&Graded> = raw
            .iter()
            .zip(&folds.of)
            .filter(|(_, own)| **own != fold)
            .map(|(graded, _)| graded)
            .collect();
        let trust = calibrate::calibrate(&fields, &others);
        for (graded, _) in held_out
            .iter_mut()
            .zip(&folds.of)
            .filter(|(_, own)| **own == fold)
        {
            apply(&trust, graded);
        }
    }
    let trust = calibrate::calibrate(&fields, &raw.iter().collect::<Vec<_>>());
    let reader = reader.trusting(trust)?;
    Ok(LearntReader {
        reader,
        held_out,
        tuned,
    })
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
pub fn assign(examples: &[(&str, &Value)]) -> Vec<usize> {
    Folds::of(examples, FOLDS).of
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
