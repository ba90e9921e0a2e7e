//! What speaks for an answer and what against it: how well the best section stands out, how
//! much of the question it covers, and whether the sentences that were picked look like an
//! answer.

use super::index::{Index, TermId};
use super::ranker::SUPPORT_FEATURES;
use super::search::{Found, Question, covered};
use super::span::{Asks, Span};

/// Sections that the best is compared with.
const RIVALS: usize = 20;

/// What describes an answer as a whole, for who says how sure it is.
pub(super) fn describe(
    index: &Index,
    question: &Question,
    found: &[Found],
    span: Option<&Span>,
) -> [f64; SUPPORT_FEATURES] {
    let (Some(first), Some(span)) = (found.first(), span) else {
        return [0.0; SUPPORT_FEATURES];
    };
    let chosen = (found.iter()).find(|one| one.section == span.section);
    let chosen = &chosen.unwrap_or(first).features;
    let second = found
        .get(1)
        .map_or(first.score - 10.0, |second| second.score);
    let total: f64 = found
        .iter()
        .map(|one| (one.score - first.score).exp())
        .sum();
    let standing = |feature: usize| {
        let rivals: Vec<f64> = (found.iter().take(RIVALS))
            .map(|one| one.features[feature])
            .collect();
        let count = rivals.len() as f64;
        let mean = rivals.iter().sum::<f64>() / count;
        let square: f64 = rivals.iter().map(|value| (value - mean).powi(2)).sum();
        (chosen[feature] - mean) / ((square / count).sqrt() + 0.02)
    };
    let entry = &index.entries[span.section];
    let weighed = question.weighed(index);
    let sentences = &entry.sentences[span.sentences.clone()];
    let in_heading = |term: TermId| entry.heading.contains(&term) || entry.above.contains(&term);
    let in_span =
        |term: TermId| in_heading(term) || sentences.iter().any(|one| one.contains(&term));
    let in_section =
        |term: TermId| in_heading(term) || entry.sentences.iter().any(|one| one.contains(&term));
    let unknown = 1.0 - covered(&weighed, &|_| true);
    let missing = (weighed.iter())
        .filter(|(term, _)| !term.is_some_and(in_section))
        .map(|(_, rarity)| rarity / index.rarity(None));
    let rarest = weighed
        .iter()
        .map(|(_, rarity)| *rarity)
        .fold(0.0, f64::max);
    let rare = |&&(_, rarity): &&(Option<TermId>, f64)| rarity >= 0.999 * rarest;
    let rare_found = weighed
        .iter()
        .filter(rare)
        .any(|(term, _)| term.is_some_and(in_section));
    let identifiers = question
        .keys()
        .iter()
        .filter(|key| key.bytes().any(|b| b.is_ascii_digit()));
    let lost = identifiers
        .filter(|key| !index.term(key).is_some_and(in_section))
        .count();
    let asks = Asks::of(question);
    let (document, section) = index.section(span.section);
    let quote = section.sentences[span.sentences.clone()].iter().any(|one| {
        document.text[one.place.clone()]
            .bytes()
            .any(|b| b.is_ascii_digit())
    });
    let best = |feature: usize| {
        found
            .iter()
            .map(|one| one.features[feature])
            .fold(0.0, f64::max)
    };
    [
        first.score,
        (first.score - second).min(10.0),
        1.0 / total,
        chosen[0],
        chosen[3],
        chosen[7],
        chosen[12],
        chosen[13],
        chosen[18],
        unknown,
        covered(&weighed, &in_span),
        (1.0 + weighed.len() as f64).ln(),
        standing(0),
        standing(3),
        standing(13),
        chosen[2],
        chosen[5],
        chosen[10],
        chosen[14],
        chosen[15],
        chosen[6],
        best(12) - chosen[12],
        best(18) - chosen[18],
        missing.clone().sum(),
        missing.fold(0.0, f64::max),
        if rare_found { 1.0 } else { 0.0 },
        (lost as f64).min(2.0),
        if asks.number > 0.0 && !quote {
            1.0
        } else {
            0.0
        },
        span.expected,
        span.most,
        span.features[3],
        (1.0 + index.len() as f64).ln(),
    ]
}
