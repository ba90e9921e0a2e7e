//! From questions with their answers to what ranks sections, picks sentences and says how
//! sure it is; and the figures of it.
//!
//! Start at [`learn()`]. Questions are read against an index once, as [`Cases`].

use std::collections::BTreeMap;

use andon_task::answer::{Learned, Ranker};

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
    let learned = train::train(lesson.against.index, &all, encoder, &Learned::default());
    Ok(Candidate {
        learned,
        evaluation,
    })
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
    let mut thresholds = Vec::new();
    for fold in 0..FOLDS {
        let (held_out, rest): (Vec<_>, Vec<_>) =
            (lesson.cases.iter().enumerate()).partition(|(at, _)| folds[*at] == fold);
        let rest: Vec<&Case> = rest.into_iter().map(|(_, case)| case).collect();
        let learned = train::train(index, &rest, encoder, &Learned::default());
        let threshold = learned.threshold.max(lesson.accept);
        thresholds.push(threshold);
        let ranker = Ranker::new(learned, index);
        for (at, case) in held_out {
            graded[at] = Some(evaluation::grade(index, &ranker, case, threshold, clock));
        }
    }
    let threshold = thresholds.iter().sum::<f64>() / FOLDS as f64;
    let graded = graded.into_iter().flatten().collect();
    evaluation::evaluate(graded, threshold).ok_or_else(|| none(lesson.task))
}

/// Measures a ranker on cases that it did not learn from.
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
    evaluation::evaluate(graded, threshold).ok_or_else(|| none(lesson.task))
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

/// Whether questions without an answer are declined: the answers of every sixth question are
/// hidden, from what the others teach. For measuring.
pub fn hidden_folds(lesson: &Lesson<'_>, _clock: Clock<'_>) -> (f64, usize, f64, f64) {
    use andon_task::answer::{Hidden, select};
    let index = lesson.against.index;
    let encoder = lesson.against.encoder.identity().digest;
    let (gone, rest): (Vec<_>, Vec<_>) = lesson
        .cases
        .iter()
        .enumerate()
        .partition(|(at, _)| at % 6 == 0);
    let rest: Vec<&Case> = rest.into_iter().map(|(_, case)| case).collect();
    let learned = train::train(index, &rest, encoder, &Learned::default());
    let threshold = learned.threshold;
    let ranker = Ranker::new(learned, index);
    let hidden: Vec<f64> = gone
        .iter()
        .map(|(_, case)| {
            let hidden = Hidden {
                sections: &case.gold,
                memory: None,
            };
            select(index, &ranker, &case.question, hidden).probability
        })
        .collect();
    let open: Vec<(f64, bool)> = gone
        .iter()
        .map(|(_, case)| {
            let s = select(index, &ranker, &case.question, Hidden::default());
            (s.probability, train::is_right(&s, case))
        })
        .collect();
    let declined = hidden.iter().filter(|&&p| p < threshold).count() as f64 / hidden.len() as f64;
    let coverage = open.iter().filter(|(p, _)| *p >= threshold).count() as f64 / open.len() as f64;
    let mut wins = 0.0;
    let mut n = 0.0;
    for (p, right) in &open {
        if *right {
            for q in &hidden {
                n += 1.0;
                if p > q {
                    wins += 1.0
                }
            }
        }
    }
    (declined, hidden.len(), coverage, wins / n)
}
