//! Readers that are trained on parts of the examples and read the others.

use std::collections::BTreeMap;
use std::time::Duration;

use andon_task::engine::Embed;
use andon_task::extract::{Fields, Reader, folded};
use serde_json::Value;

use super::Register;
use super::evaluate::f1;
use super::grade::{Graded, grade};
use super::meaning::Corpus;
use super::train::{Lesson, train};
use super::words::{Shares, TuneWords, Tuned, best_share, share};
use crate::error::LearnError;
use crate::random::Random;

/// Of fewer examples two folds of three teach an encoder nothing.
const FEWEST_TO_TUNE: usize = 15;

/// Which examples are held out together.
pub(super) struct Folds {
    /// The fold of each example.
    pub(super) of: Vec<usize>,
    /// How many there are.
    pub(super) count: usize,
}

impl Folds {
    /// So many at most. Texts that are the same are held out together.
    pub(super) fn of(examples: &[(&str, &Value)], most: usize) -> Self {
        let mut groups: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for (index, (text, _)) in examples.iter().enumerate() {
            groups.entry(folded(text)).or_default().push(index);
        }
        let mut groups: Vec<Vec<usize>> = groups.into_values().collect();
        groups.sort_unstable();
        Random::seeded(0).shuffle(&mut groups);
        let count = most.min(groups.len());
        let mut of = vec![0; examples.len()];
        for (number, group) in groups.into_iter().enumerate() {
            for index in group {
                of[index] = number % count;
            }
        }
        Self { of, count }
    }
}

/// A reader that was trained on all lessons, how readers of the other folds read each, and
/// what has to be kept of a tuned encoder.
pub(super) type Taught = (Reader, Vec<Graded>, Option<Vec<u8>>);

/// What readers are trained on.
pub(super) struct School<'a> {
    pub(super) schema: &'a Value,
    pub(super) fields: &'a Fields,
    pub(super) lessons: &'a [Lesson<'a>],
    pub(super) folds: &'a Folds,
    pub(super) registers: &'a [Register],
    pub(super) clock: &'a (dyn Fn() -> Duration + Sync),
}

impl School<'_> {
    /// Readers of words as they are written.
    pub(super) fn without(&self) -> Result<Taught, LearnError> {
        Ok((
            self.train(self.lessons, None)?,
            self.cross_read(None)?,
            None,
        ))
    }

    /// Readers that ask an encoder as well, if they then read more values right.
    pub(super) fn with_encoder(&self, encoder: &dyn Embed) -> Result<Taught, LearnError> {
        let texts: Vec<&str> = self.lessons.iter().map(|lesson| lesson.text).collect();
        let Some(corpus) = Corpus::of(&texts, encoder)? else {
            return self.without();
        };
        let (without, with) = (self.cross_read(None)?, self.cross_read(Some(&corpus))?);
        let (read, corpus) = match f1(&with) > f1(&without) {
            true => (with, Some(&corpus)),
            false => (without, None),
        };
        Ok((self.train(self.lessons, corpus)?, read, None))
    }

    /// Readers that ask an encoder tuned for them, as much as held-out texts ask for.
    pub(super) fn with_tuned(&self, tune: &dyn TuneWords) -> Result<Taught, LearnError> {
        let found = self.lessons.len();
        if found < FEWEST_TO_TUNE {
            return Err(LearnError::TooFewToTune {
                found,
                needed: FEWEST_TO_TUNE,
            });
        }
        let Folds { of, count } = self.folds;
        let all = count + 1;
        let mut of_folds: Vec<Shares> = Vec::new();
        let mut examples: Vec<usize> = Vec::new();
        for fold in 0..*count {
            let others = self.others(fold);
            let reader = self.train(&others, None)?;
            let what = format!("encoder {} of {all}", fold + 1);
            let tuned = Tuned::on(tune, &reader, &others, &what)?;
            let own = self
                .lessons
                .iter()
                .filter(|lesson| of[lesson.number] == fold);
            let own: Vec<Lesson<'_>> = own.copied().collect();
            examples.extend(own.iter().map(|lesson| lesson.number));
            of_folds.push(tuned.read(&reader, &own, self.clock)?);
        }
        // What a fold is read with is what the others are read best with.
        let joined = |left_out: Option<usize>| {
            let mut joined = Shares::default();
            let others = of_folds.iter().enumerate();
            for (_, shares) in others.filter(|(fold, _)| Some(*fold) != left_out || *count == 1) {
                for (all, own) in joined.iter_mut().zip(shares) {
                    all.extend(own.iter().cloned());
                }
            }
            best_share(&joined)
        };
        let graded = (of_folds.iter().enumerate())
            .flat_map(|(fold, shares)| shares[joined(Some(fold))].iter().cloned());
        let mut read: Vec<(usize, Graded)> = examples.into_iter().zip(graded).collect();
        read.sort_by_key(|(example, _)| *example);
        let read = read.into_iter().map(|(_, graded)| graded).collect();

        let reader = self.train(self.lessons, None)?;
        let share = share(joined(None));
        if share == 0.0 {
            return Ok((reader, read, None));
        }
        let what = format!("encoder {all} of {all}");
        let tuned = Tuned::on(tune, &reader, self.lessons, &what)?;
        Ok((tuned.join(&reader, share)?, read, Some(tuned.into_bytes())))
    }

    fn train(&self, lessons: &[Lesson<'_>], corpus: Option<&Corpus>) -> Result<Reader, LearnError> {
        train(self.schema, self.fields, lessons, (corpus, self.registers))
    }

    /// The lessons that are not of a fold, or all where there is one fold.
    fn others(&self, fold: usize) -> Vec<Lesson<'_>> {
        let Folds { of, count } = self.folds;
        let others = self.lessons.iter();
        let others = others.filter(|lesson| of[lesson.number] != fold || *count == 1);
        others.copied().collect()
    }

    /// Each lesson as it is read by a reader that was trained on the other folds.
    fn cross_read(&self, corpus: Option<&Corpus>) -> Result<Vec<Graded>, LearnError> {
        let Folds { of, count } = self.folds;
        let one = |fold: usize| -> Result<Vec<(usize, Graded)>, LearnError> {
            let reader = self.train(&self.others(fold), corpus)?;
            let own = (0..self.lessons.len()).filter(|&index| of[index] == fold);
            Ok(own
                .map(|index| {
                    let lesson = (self.lessons[index].text, self.lessons[index].gold);
                    let states = corpus.map(|corpus| corpus.states(index));
                    let graded = grade(&reader, self.fields, lesson, states, self.clock);
                    (index, graded)
                })
                .collect())
        };
        let one = &one;
        let results = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..2usize)
                .map(|thread| {
                    scope.spawn(move || {
                        (thread..*count)
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
}
