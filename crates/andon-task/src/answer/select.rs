//! From a question to its answer: search, pick, and say how sure that is.

use super::index::Index;
use super::ranker::{Learned, Ranker, SUPPORT_FEATURES};
use super::search::{Found, Hidden, Question, search};
use super::span::{Span, pick, spans};
use super::support::describe;

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
    conclude(index, ranker.learned(), question, found)
}

/// What follows from the sections that were found, the best first.
pub fn conclude(
    index: &Index,
    learned: &Learned,
    question: &Question,
    found: Vec<Found>,
) -> Selection {
    let span = pick(learned, spans(index, learned, question, &found)).map(|(span, _)| span);
    let features = describe(index, question, &found, span.as_ref());
    let probability = match span {
        Some(_) => 1.0 / (1.0 + (-learned.support.value(&features)).exp()),
        None => 0.0,
    };
    Selection {
        found,
        span,
        features,
        probability,
    }
}
