//! How probable it is of each sentence of a section that it belongs to the answer.

use std::ops::Range;

use super::index::{Index, TermId};
use super::search::{Found, Question};
use super::span::Asks;

/// What describes a sentence for a question.
pub const SENTENCE_FEATURES: usize = 30;

/// A sentence of a section, as a part of an answer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sifted {
    /// Its words.
    pub words: usize,
    /// How it is described.
    pub features: [f64; SENTENCE_FEATURES],
}

/// What a section says of its sentences.
pub(super) struct View {
    /// The share of the question in each.
    pub(super) cover: Vec<f64>,
    /// How like the question the passage of each is.
    pub(super) cosines: Vec<f64>,
    /// The words of each.
    pub(super) words: Vec<usize>,
    /// Whether each has a digit.
    pub(super) digits: Vec<bool>,
}

impl View {
    pub(super) fn of(
        index: &Index,
        number: usize,
        question: &Question,
        weighed: &[(Option<TermId>, f64)],
    ) -> Self {
        let entry = &index.entries[number];
        let (document, section) = index.section(number);
        let texts = (section.sentences.iter()).map(|one| &document.text[one.place.clone()]);
        let total: f64 = weighed.iter().map(|(_, rarity)| rarity).sum();
        let mut cosines = vec![0.0; section.sentences.len()];
        for (passage, vector) in &index.passages[entry.passages.clone()] {
            let cosine = vector.cosine(&question.vector);
            cosines[passage.sentences.clone()].fill(cosine);
        }
        Self {
            cover: share(&entry.sentences, weighed, total),
            cosines,
            words: texts
                .clone()
                .map(|text| text.split_whitespace().count())
                .collect(),
            digits: texts
                .map(|text| text.bytes().any(|b| b.is_ascii_digit()))
                .collect(),
        }
    }
}

/// The share of each sentence in the weight of terms.
fn share(sentences: &[Vec<TermId>], weighed: &[(Option<TermId>, f64)], total: f64) -> Vec<f64> {
    let of = |sentence: &Vec<TermId>| {
        let has = |&&(term, _): &&(Option<TermId>, f64)| {
            term.is_some_and(|term| sentence.contains(&term))
        };
        weighed
            .iter()
            .filter(has)
            .map(|(_, rarity)| rarity)
            .sum::<f64>()
            / total.max(1e-9)
    };
    sentences.iter().map(of).collect()
}

/// The terms of a question weighed by how rare they are among the sentences of one section:
/// what its heading says already, and what all its sentences have, tells them not apart.
fn local(
    sentences: &[Vec<TermId>],
    weighed: &[(Option<TermId>, f64)],
) -> Vec<(Option<TermId>, f64)> {
    let count = sentences.len() as f64;
    let weigh = |&(term, _): &(Option<TermId>, f64)| {
        let having = term.map_or(0, |term| {
            sentences.iter().filter(|one| one.contains(&term)).count()
        });
        match having {
            0 => (None, 0.0),
            having => (term, (1.0 + count / having as f64).ln()),
        }
    };
    weighed.iter().map(weigh).collect()
}

/// The sentences of a section that was found, as parts of an answer.
pub(super) fn sift(
    index: &Index,
    question: &Question,
    view: &View,
    weighed: &[(Option<TermId>, f64)],
    (found, section_share): (&Found, f64),
) -> Vec<Sifted> {
    let entry = &index.entries[found.section];
    let (document, section) = index.section(found.section);
    let count = section.sentences.len();
    let near = local(&entry.sentences, weighed);
    let near_total: f64 = near.iter().map(|(_, weight)| weight).sum();
    let near = share(&entry.sentences, &near, near_total);
    let best = |values: &[f64]| values.iter().copied().fold(0.0, f64::max);
    let (best_cover, best_near, best_cosine) =
        (best(&view.cover), best(&near), best(&view.cosines));
    let peak = near.iter().position(|&one| one == best_near).unwrap_or(0) as f64;
    let asks = Asks::of(question);
    let all_words: usize = view.words.iter().sum();
    let recalled = found.recalled.as_ref();
    let alike = recalled.map_or(0.0, |(likeness, _)| *likeness);
    let at_of = |values: &[f64], at: Option<usize>| {
        at.and_then(|at| values.get(at).copied()).unwrap_or(0.0)
    };
    (0..count)
        .map(|at| {
            let text = &document.text[section.sentences[at].place.clone()];
            let distance = at as f64 - peak;
            let in_quote =
                recalled.is_some_and(|(_, quoted): &(f64, Range<usize>)| quoted.contains(&at));
            let is_step = text.starts_with(|c: char| c.is_ascii_digit());
            let features = [
                section_share,
                section_share * section_share,
                view.cover[at],
                best_cover - view.cover[at],
                near[at],
                best_near - near[at],
                view.cosines[at],
                best_cosine - view.cosines[at],
                (1.0 + view.words[at] as f64).ln(),
                1.0 / (1.0 + at as f64),
                1.0 / (count - at) as f64,
                at as f64 / count as f64,
                claim(section.sentences[at].opens),
                (1.0 + count as f64).ln(),
                (1.0 + all_words as f64).ln(),
                at_of(&near, at.checked_sub(1)),
                at_of(&near, Some(at + 1)),
                at_of(&view.cosines, at.checked_sub(1)) - view.cosines[at],
                at_of(&view.cosines, Some(at + 1)) - view.cosines[at],
                1.0 / (1.0 + distance.max(0.0)),
                1.0 / (1.0 + (-distance).max(0.0)),
                if in_quote { alike } else { 0.0 },
                if in_quote { 0.0 } else { alike },
                if in_quote {
                    alike.powi(3)
                } else {
                    -alike.powi(3)
                },
                asks.steps * claim(is_step),
                asks.steps * (1.0 + count as f64).ln(),
                asks.number * claim(view.digits[at]),
                claim(text.ends_with(':')),
                claim(text.starts_with(char::is_lowercase)),
                section_share * near[at],
            ];
            Sifted {
                words: view.words[at],
                features,
            }
        })
        .collect()
}

fn claim(holds: bool) -> f64 {
    if holds { 1.0 } else { 0.0 }
}
