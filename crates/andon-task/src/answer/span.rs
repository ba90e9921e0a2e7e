//! Picking the sentences that answer: every run of sentences of the best sections is a
//! candidate.

use std::ops::Range;

use super::index::{Index, TermId};
use super::ranker::{Learned, SPAN_FEATURES};
use super::relevance::{Sifted, View, sift};
use super::search::{Found, Question, covered};

/// So many of the best sections are looked into.
pub const SECTIONS: usize = 3;
/// An answer has no more sentences.
const LONGEST: usize = 12;
/// An answer has no more words, unless it is one sentence.
const MOST_WORDS: usize = 220;
/// Of a longer section only so many sentences are tried as beginnings: the most telling.
const MOST_BEGINNINGS: usize = 40;

/// A run of sentences of one section.
#[derive(Clone, Debug, PartialEq)]
pub struct Span {
    /// The section's number in the index.
    pub section: usize,
    /// The sentences, by their positions in the section.
    pub sentences: Range<usize>,
    /// How it is described to the ranker.
    pub features: [f64; SPAN_FEATURES],
    /// How like the answer it should be: the F1 of words that is to be expected.
    pub(super) expected: f64,
    /// How probable it is of its likeliest sentence to belong to the answer.
    pub(super) most: f64,
}

/// A section that is looked into.
struct Looked<'a> {
    found: &'a Found,
    share: f64,
    view: View,
    sifted: Vec<Sifted>,
}

fn look<'a>(
    index: &Index,
    question: &Question,
    found: &'a [Found],
    weighed: &[(Option<TermId>, f64)],
) -> Vec<Looked<'a>> {
    let best = found.first().map_or(0.0, |found| found.score);
    let shares: Vec<f64> = found
        .iter()
        .map(|found| (found.score - best).exp())
        .collect();
    let total: f64 = shares.iter().sum::<f64>().max(1e-9);
    (found.iter().zip(&shares).take(SECTIONS))
        .map(|(found, share)| {
            let share = share / total;
            let view = View::of(index, found.section, question, weighed);
            let sifted = sift(index, question, &view, weighed, (found, share));
            Looked {
                found,
                share,
                view,
                sifted,
            }
        })
        .collect()
}

/// The sentences of the best sections of `found`, each section with its number.
pub fn sentences(index: &Index, question: &Question, found: &[Found]) -> Vec<(usize, Vec<Sifted>)> {
    let looked = look(index, question, found, &question.weighed(index));
    let each = looked.into_iter();
    each.map(|one| (one.found.section, one.sifted)).collect()
}

/// The runs of sentences of the best sections of `found`.
pub fn spans(index: &Index, learned: &Learned, question: &Question, found: &[Found]) -> Vec<Span> {
    let weighed = question.weighed(index);
    let looked = look(index, question, found, &weighed);
    let probable = |one: &Looked<'_>| -> Vec<f64> {
        let value = |sifted: &Sifted| learned.sentences.value(&sifted.features);
        let each = one.sifted.iter();
        each.map(|one| 1.0 / (1.0 + (-value(one)).exp())).collect()
    };
    let probable: Vec<Vec<f64>> = looked.iter().map(probable).collect();
    let words = |one: &Looked<'_>, probable: &[f64]| -> f64 {
        let each = one.view.words.iter().zip(probable);
        each.map(|(&words, p)| words as f64 * p).sum()
    };
    let total: f64 = (looked.iter().zip(&probable))
        .map(|(one, probable)| words(one, probable))
        .sum();
    let mut spans = Vec::new();
    for (one, probable) in looked.iter().zip(&probable) {
        of_section(
            index,
            question,
            &weighed,
            (one, probable, total),
            &mut spans,
        );
    }
    spans
}

/// The best run of sentences.
pub(super) fn pick(learned: &Learned, spans: Vec<Span>) -> Option<(Span, f64)> {
    let value = |span: &Span| learned.spans.value(&span.features);
    spans
        .into_iter()
        .map(|span| {
            let value = value(&span);
            (span, value)
        })
        // Of equal ones the first: it is of the better section and begins earlier.
        .reduce(|best, next| if next.1 > best.1 { next } else { best })
}

fn of_section(
    index: &Index,
    question: &Question,
    weighed: &[(Option<TermId>, f64)],
    (looked, probable, likely_words): (&Looked<'_>, &[f64], f64),
    spans: &mut Vec<Span>,
) {
    let (found, share) = (looked.found, looked.share);
    let number = found.section;
    let entry = &index.entries[number];
    let (document, section) = index.section(number);
    let count = section.sentences.len();
    let text = |at: usize| &document.text[section.sentences[at].place.clone()];
    let View {
        cover: alone,
        cosines,
        words,
        digits,
    } = &looked.view;
    let all_words: usize = words.iter().sum();
    let best_cosine = cosines.iter().copied().fold(0.0, f64::max);
    let best_alone = alone.iter().copied().fold(0.0, f64::max);
    let best_probable = probable.iter().copied().fold(0.0, f64::max);
    let asks = Asks::of(question);

    let mut beginnings: Vec<usize> = (0..count).collect();
    if count > MOST_BEGINNINGS {
        beginnings.sort_by(|&a, &b| probable[b].total_cmp(&probable[a]).then(a.cmp(&b)));
        beginnings.truncate(MOST_BEGINNINGS);
        beginnings.sort_unstable();
    }
    for start in beginnings {
        let mut length = 0;
        let mut inside = 0.0;
        for end in start + 1..=count.min(start + LONGEST) {
            length += words[end - 1];
            inside += words[end - 1] as f64 * probable[end - 1];
            if end > start + 1 && length > MOST_WORDS {
                break;
            }
            let within = start..end;
            let covered = covered(weighed, &|term| {
                entry.sentences[within.clone()]
                    .iter()
                    .any(|s| s.contains(&term))
            });
            let run = &cosines[within.clone()];
            let outside = (0..count).filter(|at| !within.contains(at));
            let outside = outside.map(|at| alone[at]).fold(0.0, f64::max);
            let sentences = (end - start) as f64;
            let log = (1.0 + length as f64).ln();
            let part = length as f64 / all_words.max(1) as f64;
            let most = probable[within.clone()].iter().copied().fold(0.0, f64::max);
            let least = probable[within.clone()].iter().copied().fold(1.0, f64::min);
            let before = start.checked_sub(1).map_or(0.0, |at| probable[at]);
            let after = probable.get(end).copied().unwrap_or(0.0);
            let expected = 2.0 * inside / (length as f64 + likely_words).max(1.0);
            let features = [
                share,
                covered,
                covered * share,
                run.iter().copied().fold(0.0, f64::max),
                run.iter().sum::<f64>() / sentences,
                best_cosine - run.iter().copied().fold(0.0, f64::max),
                log,
                log * log,
                claim(start == 0),
                part,
                claim(end == count),
                claim(section.sentences[start].opens),
                alone[within.clone()].iter().sum::<f64>() / sentences,
                alone[start],
                alone[end - 1],
                outside,
                claim(text(end - 1).ends_with(':')),
                claim(section.sentences.get(end).is_none_or(|next| next.opens)),
                (1.0 + all_words as f64).ln(),
                best_alone - alone[within.clone()].iter().copied().fold(0.0, f64::max),
                asks.steps * log,
                asks.steps * part,
                asks.number * claim((start..end).any(|at| digits[at])),
                asks.number * log,
                log * (1.0 + all_words as f64).ln(),
                part * covered,
                recalled(&found.recalled, &within),
                recalled(&found.recalled, &within)
                    * found
                        .recalled
                        .as_ref()
                        .map_or(0.0, |(likeness, _)| likeness * likeness),
                expected,
                inside / length.max(1) as f64,
                inside / likely_words.max(1.0),
                most,
                best_probable - most,
                least,
                before,
                after,
            ];
            spans.push(Span {
                section: number,
                sentences: within,
                features,
                expected,
                most,
            });
        }
    }
}

/// How much a run is the one that answered a question like this: their share in common, by
/// how like the question is.
fn recalled(known: &Option<(f64, Range<usize>)>, run: &Range<usize>) -> f64 {
    let Some((likeness, quoted)) = known else {
        return 0.0;
    };
    let start = run.start.max(quoted.start);
    let common = run.end.min(quoted.end).saturating_sub(start) as f64;
    likeness * common / (run.len() as f64 + quoted.len() as f64 - common)
}

/// What kind of answer a question seems to ask for.
pub(super) struct Asks {
    /// How something is done.
    pub(super) steps: f64,
    /// How many, how much, how long.
    pub(super) number: f64,
}

impl Asks {
    pub(super) fn of(question: &Question) -> Self {
        let run: Vec<&str> = question.run().iter().map(String::as_str).collect();
        let number = run.windows(2).any(|pair| {
            let measured = [
                "many", "much", "long", "often", "fast", "high", "far", "hot", "old",
            ];
            pair[0] == "how" && measured.contains(&pair[1])
        }) || run.iter().any(|word| {
            word.starts_with("cuant") || ["torque", "par", "limit", "limite"].contains(word)
        });
        let how = ["how", "como", "steps", "pasos", "procedure", "explain"];
        let steps = !number && run.iter().any(|word| how.contains(word));
        Self {
            steps: claim(steps),
            number: claim(number),
        }
    }
}

fn claim(holds: bool) -> f64 {
    if holds { 1.0 } else { 0.0 }
}
