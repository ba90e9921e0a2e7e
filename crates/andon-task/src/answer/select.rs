//! From a question to its answer: search, pick, and say how sure that is.

use super::index::Index;
use super::ranker::{Ranker, SUPPORT_FEATURES};
use super::search::{Found, Hidden, Question, search};
use super::span::{Span, pick, spans};

/// What a search came to.
#[derive(Clone, Debug, PartialEq)]
pub struct Selection {
    /// The sections, the best first.
    pub found: Vec<Found>,
    /// The sentences that answer; none where no section was found.
    pub span: Option<Span>,
    /// How it is described to who says how sure it is.
    pub features: [f64; SUPPORT_FEATURES],
    /// How probable it is that the answer is there and right.
    pub probability: f64,
}

/// Answers a question from an index.
pub fn select(
    index: &Index,
    ranker: &Ranker,
    question: &Question,
    hidden: Hidden<'_>,
) -> Selection {
    let found = search(index, ranker, question, hidden);
    conclude(index, ranker, question, found)
}

/// What follows from the sections that were found, the best first.
pub fn conclude(
    index: &Index,
    ranker: &Ranker,
    question: &Question,
    found: Vec<Found>,
) -> Selection {
    let span = pick(ranker, spans(index, question, &found)).map(|(span, _)| span);
    let features = describe(index, question, &found, span.as_ref());
    let probability = match span {
        Some(_) => 1.0 / (1.0 + (-ranker.learned().support.value(&features)).exp()),
        None => 0.0,
    };
    Selection {
        found,
        span,
        features,
        probability,
    }
}

fn describe(
    index: &Index,
    question: &Question,
    found: &[Found],
    span: Option<&Span>,
) -> [f64; SUPPORT_FEATURES] {
    let Some(first) = found.first() else {
        return [0.0; SUPPORT_FEATURES];
    };
    let second = found
        .get(1)
        .map_or(first.score - 10.0, |second| second.score);
    let total: f64 = found
        .iter()
        .map(|one| (one.score - first.score).exp())
        .sum();
    let weighed = question.weighed(index);
    let all: f64 = weighed
        .iter()
        .map(|(_, rarity)| rarity)
        .sum::<f64>()
        .max(1e-9);
    let unknown = weighed.iter().filter(|(term, _)| term.is_none());
    let unknown: f64 = unknown.map(|(_, rarity)| rarity).sum::<f64>() / all;
    let section = &first.features;
    [
        first.score,
        (first.score - second).min(10.0),
        1.0 / total,
        section[0],
        section[3],
        section[7],
        section[12],
        section[13],
        section[18],
        unknown,
        span.map_or(0.0, |span| span.features[1]),
        (1.0 + weighed.len() as f64).ln(),
    ]
}
