//! What is known of the answers to questions.

use std::time::Duration;

use andon_task::answer::{Hidden, Index, Ranker, rouge_l, select};
use serde::{Deserialize, Serialize};

use super::case::Case;
use super::train::is_right;
use crate::bootstrap::mean;
use crate::interval::{Estimate, wilson};

/// An answer to a question whose right answer is known.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Graded {
    /// The place of the first right section among those found, from 1; `None` where none of
    /// them is right or there is none.
    pub place: Option<usize>,
    /// Whether the documents have the answer.
    pub answerable: bool,
    /// Whether it is known which sections hold it.
    pub has_sources: bool,
    /// How like the answer is to the expected one, where one is expected.
    pub rouge_l: Option<f64>,
    /// Whether the answer is from a right section.
    pub right: bool,
    /// How probable it was that it is.
    pub probability: f64,
    /// Whether it was given.
    pub given: bool,
    /// How the answer was described to who said how probable it is.
    #[serde(default)]
    pub features: Vec<f64>,
    /// How long it took.
    pub took: Duration,
}

/// Figures over answers.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Evaluation {
    /// Questions.
    pub n: usize,
    /// The share of questions with an answer whose first section is right.
    pub hit_at_1: Option<Estimate>,
    /// The share with a right section among the first five.
    pub hit_at_5: Option<Estimate>,
    /// The mean likeness of answers to the expected ones, given or not.
    pub rouge_l: Option<Estimate>,
    /// The share of questions without an answer that are declined.
    pub declined: Option<Estimate>,
    /// The share of questions that are declined once the sections that answer them are taken
    /// out of the documents.
    pub declined_without: Option<Estimate>,
    /// The share of questions with an answer that are answered from a right section.
    pub answered: Option<Estimate>,
    /// The share of all questions that are answered.
    pub coverage: Option<Estimate>,
    /// The share of answers given that are not from a right section.
    pub selective_error: Option<Estimate>,
    /// From which probability on an answer is given; the mean where several rankers answered.
    pub threshold: f64,
    /// Median time of an answer, in milliseconds.
    pub p50_ms: f64,
    /// Time that one answer in a hundred exceeds.
    pub p99_ms: f64,
    /// The answers themselves.
    #[serde(skip)]
    pub graded: Vec<Graded>,
    /// The questions again, asked without the sections that answer them.
    #[serde(skip)]
    pub without: Vec<Graded>,
}

/// Answers a case and grades the answer.
pub(crate) fn grade(
    index: &Index,
    ranker: &Ranker,
    case: &Case,
    threshold: f64,
    clock: crate::learn::Clock<'_>,
) -> Graded {
    let began = clock();
    let selection = select(index, ranker, &case.question, Hidden::default());
    let took = case.took + clock().saturating_sub(began);
    let is_gold = |section: usize| case.gold.contains(&section);
    let place = selection
        .found
        .iter()
        .position(|found| is_gold(found.section));
    let quote = selection.span.as_ref().map(|span| {
        let (document, section) = index.section(span.section);
        document.quote(&section.sentences[span.sentences.clone()])
    });
    let answerable = case.is_answerable();
    let likeness = |answer: &String| rouge_l(quote.as_deref().unwrap_or(""), answer);
    Graded {
        place: place.map(|at| at + 1),
        answerable,
        has_sources: !case.gold.is_empty(),
        rouge_l: case.answer.as_ref().map(likeness),
        right: is_right(&selection, case),
        probability: selection.probability,
        given: selection.probability >= threshold,
        features: selection.features.to_vec(),
        took,
    }
}

/// Answers a case with the sections that answer it hidden, and grades that.
pub(crate) fn grade_without(
    index: &Index,
    ranker: &Ranker,
    case: &Case,
    threshold: f64,
    clock: crate::learn::Clock<'_>,
) -> Graded {
    let began = clock();
    let hidden = Hidden {
        sections: &case.gold,
        memory: None,
    };
    let selection = select(index, ranker, &case.question, hidden);
    Graded {
        place: None,
        answerable: false,
        has_sources: false,
        rouge_l: None,
        right: false,
        probability: selection.probability,
        given: selection.probability >= threshold,
        features: selection.features.to_vec(),
        took: case.took + clock().saturating_sub(began),
    }
}

/// The figures of answers; `None` without any.
pub(crate) fn evaluate(
    graded: Vec<Graded>,
    without: Vec<Graded>,
    threshold: f64,
) -> Option<Evaluation> {
    let n = graded.len();
    if n == 0 {
        return None;
    }
    let share = |of: &dyn Fn(&Graded) -> bool, that: &dyn Fn(&Graded) -> bool| {
        let all: Vec<&Graded> = graded.iter().filter(|one| of(one)).collect();
        wilson(all.iter().filter(|one| that(one)).count(), all.len())
    };
    let within = |most: usize| move |one: &Graded| one.place.is_some_and(|place| place <= most);
    let sourced = |one: &Graded| one.has_sources;
    let likeness: Vec<f64> = graded.iter().filter_map(|one| one.rouge_l).collect();
    let mut times: Vec<f64> = graded
        .iter()
        .map(|one| one.took.as_secs_f64() * 1000.0)
        .collect();
    times.sort_by(f64::total_cmp);
    let time = |share: f64| times[((n as f64 * share).ceil() as usize).clamp(1, n) - 1];
    let judged = |one: &Graded| one.given && (one.has_sources || !one.answerable);
    Some(Evaluation {
        n,
        hit_at_1: share(&sourced, &within(1)),
        hit_at_5: share(&sourced, &within(5)),
        rouge_l: mean(&likeness),
        declined: share(&|one| !one.answerable, &|one| !one.given),
        declined_without: wilson(
            without.iter().filter(|one| !one.given).count(),
            without.len(),
        ),
        answered: share(&sourced, &|one| one.given && one.right),
        coverage: share(&|_| true, &|one| one.given),
        selective_error: share(&judged, &|one| !one.right),
        threshold,
        p50_ms: time(0.5),
        p99_ms: time(0.99),
        graded,
        without,
    })
}
