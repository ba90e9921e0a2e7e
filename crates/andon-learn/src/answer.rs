//! From questions with their answers to what ranks sections, picks sentences and says how
//! sure it is; and the figures of it.
//!
//! Start at [`learn()`]. Questions are read against an index once, as [`Cases`].

use std::collections::BTreeMap;

use andon_task::answer::{Learned, Ranker};

use crate::answer::train::{Group, Remember};
use crate::error::LearnError;
use crate::learn::Clock;
use crate::random::Random;

mod case;
mod evaluation;
mod fit;
mod train;

pub use case::{Against, Case, Cases};
pub use evaluation::{Evaluation, Graded};

const FOLDS: usize = 5;

/// A ranker that may be promoted, with what is known of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidate {
    /// What was learned from all cases.
    pub learned: Learned,
    /// Its cross-validated figures.
    pub evaluation: Evaluation,
}

/// What there is to learn from.
#[derive(Clone, Copy)]
pub struct Lesson<'a> {
    /// The task's name.
    pub task: &'a str,
    /// From which probability on the task accepts an answer.
    pub accept: f64,
    /// The questions.
    pub cases: &'a [Case],
    /// What they are asked of.
    pub against: Against<'a>,
}

/// Learns from all cases and measures by cross-validation in five folds; questions of the
/// same words are never in two of them.
///
/// # Errors
/// If there are no cases.
pub fn learn(lesson: &Lesson<'_>, clock: Clock<'_>) -> Result<Candidate, LearnError> {
    let evaluation = cross_validate(lesson, clock)?;
    let all: Vec<&Case> = lesson.cases.iter().collect();
    let encoder = lesson.against.encoder.identity().digest;
    let learned = train::train(&[lesson.group(all)], encoder, Remember::Questions);
    Ok(Candidate {
        learned,
        evaluation,
    })
}

/// Learns what holds for other documents too: nothing is remembered of the questions. This is
/// how the ranker that the binary brings came to be. `None` without lessons.
pub fn learn_in_general(lessons: &[Lesson<'_>]) -> Option<Learned> {
    let encoder = lessons.first()?.against.encoder.identity().digest;
    let groups: Vec<_> = (lessons.iter())
        .map(|lesson| lesson.group(lesson.cases.iter().collect()))
        .collect();
    Some(train::train(&groups, encoder, Remember::Nothing))
}

impl<'a> Lesson<'a> {
    fn group(&self, cases: Vec<&'a Case>) -> Group<'a> {
        Group {
            index: self.against.index,
            cases,
        }
    }
}

/// Measures by cross-validation what [`learn()`] would make of the cases.
///
/// # Errors
/// If there are no cases.
pub fn cross_validate(lesson: &Lesson<'_>, clock: Clock<'_>) -> Result<Evaluation, LearnError> {
    let index = lesson.against.index;
    let encoder = lesson.against.encoder.identity().digest;
    let folds = folds(lesson.cases);
    let mut graded: Vec<Option<Graded>> = vec![None; lesson.cases.len()];
    let mut without = Vec::new();
    let mut thresholds = Vec::new();
    for fold in 0..FOLDS {
        let (held_out, rest): (Vec<_>, Vec<_>) =
            (lesson.cases.iter().enumerate()).partition(|(at, _)| folds[*at] == fold);
        let rest: Vec<&Case> = rest.into_iter().map(|(_, case)| case).collect();
        let learned = train::train(&[lesson.group(rest)], encoder, Remember::Questions);
        let threshold = learned.threshold.max(lesson.accept);
        thresholds.push(threshold);
        let ranker = Ranker::new(learned, index);
        for (at, case) in held_out {
            graded[at] = Some(evaluation::grade(index, &ranker, case, threshold, clock));
            if !case.gold.is_empty() {
                let closed = evaluation::grade_without(index, &ranker, case, threshold, clock);
                without.push(closed);
            }
        }
    }
    let threshold = thresholds.iter().sum::<f64>() / FOLDS as f64;
    let graded = graded.into_iter().flatten().collect();
    evaluation::evaluate(graded, without, threshold).ok_or_else(|| none(lesson.task))
}

/// Measures a ranker on cases that it did not learn from: as they are, and with the sections
/// that answer them taken out of the documents, where each is to be declined.
///
/// # Errors
/// If there are no cases.
pub fn evaluate(
    lesson: &Lesson<'_>,
    learned: &Learned,
    clock: Clock<'_>,
) -> Result<Evaluation, LearnError> {
    let index = lesson.against.index;
    let threshold = learned.threshold.max(lesson.accept);
    let ranker = Ranker::new(learned.clone(), index);
    let grade = |case| evaluation::grade(index, &ranker, case, threshold, clock);
    let graded = lesson.cases.iter().map(grade).collect();
    let sourced = lesson.cases.iter().filter(|case| !case.gold.is_empty());
    let close = |case| evaluation::grade_without(index, &ranker, case, threshold, clock);
    let without = sourced.map(close).collect();
    evaluation::evaluate(graded, without, threshold).ok_or_else(|| none(lesson.task))
}

fn none(task: &str) -> LearnError {
    LearnError::NoExamples {
        task: task.to_owned(),
    }
}

/// The fold of each case; questions of the same words are in one.
fn folds(cases: &[Case]) -> Vec<usize> {
    let mut groups: BTreeMap<Vec<String>, usize> = BTreeMap::new();
    for case in cases {
        let mut keys = case.question.keys().to_vec();
        keys.sort_unstable();
        groups.entry(keys).or_default();
    }
    let mut order: Vec<usize> = (0..groups.len()).collect();
    Random::seeded(0).shuffle(&mut order);
    for (fold, place) in groups.values_mut().zip(order) {
        *fold = place % FOLDS;
    }
    cases
        .iter()
        .map(|case| {
            let mut keys = case.question.keys().to_vec();
            keys.sort_unstable();
            groups[&keys]
        })
        .collect()
}
