//! Picking the sentences that answer: every run of sentences of the best sections is a
//! candidate.

use std::ops::Range;

use super::index::{Index, TermId};
use super::ranker::{Ranker, SPAN_FEATURES};
use super::search::{Found, Question, covered};

/// So many of the best sections are looked into.
pub const SECTIONS: usize = 3;
/// An answer has no more sentences.
const LONGEST: usize = 10;
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
}

/// The runs of sentences of the best sections of `found`.
pub fn spans(index: &Index, question: &Question, found: &[Found]) -> Vec<Span> {
    let best = found.first().map_or(0.0, |found| found.score);
    let shares: Vec<f64> = found
        .iter()
        .map(|found| (found.score - best).exp())
        .collect();
    let total: f64 = shares.iter().sum::<f64>().max(1e-9);
    let weighed = question.weighed(index);
    let mut spans = Vec::new();
    for (found, share) in found.iter().zip(&shares).take(SECTIONS) {
        of_section(
            index,
            question,
            &weighed,
            (found, share / total),
            &mut spans,
        );
    }
    spans
}

/// The best run of sentences.
pub(super) fn pick(ranker: &Ranker, spans: Vec<Span>) -> Option<(Span, f64)> {
    let value = |span: &Span| ranker.learned().spans.value(&span.features);
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
    (found, share): (&Found, f64),
    spans: &mut Vec<Span>,
) {
    let number = found.section;
    let entry = &index.entries[number];
    let (document, section) = index.section(number);
    let count = section.sentences.len();
    let text = |at: usize| &document.text[section.sentences[at].place.clone()];
    let words: Vec<usize> = (0..count)
        .map(|at| text(at).split_whitespace().count())
        .collect();
    let all_words: usize = words.iter().sum();
    let cover = |has: &dyn Fn(TermId) -> bool| covered(weighed, has);
    let alone: Vec<f64> = entry
        .sentences
        .iter()
        .map(|sentence| cover(&|term| sentence.contains(&term)))
        .collect();
    let mut cosines = vec![0.0; count];
    for (passage, vector) in &index.passages[entry.passages.clone()] {
        let cosine = vector.cosine(&question.vector);
        cosines[passage.sentences.clone()].fill(cosine);
    }
    let best_cosine = cosines.iter().copied().fold(0.0, f64::max);
    let best_alone = alone.iter().copied().fold(0.0, f64::max);

    let asks = Asks::of(question);
    let has_digit: Vec<bool> = (0..count)
        .map(|at| text(at).bytes().any(|b| b.is_ascii_digit()))
        .collect();

    let mut beginnings: Vec<usize> = (0..count).collect();
    if count > MOST_BEGINNINGS {
        beginnings.sort_by(|&a, &b| {
            (alone[b] + cosines[b])
                .total_cmp(&(alone[a] + cosines[a]))
                .then(a.cmp(&b))
        });
        beginnings.truncate(MOST_BEGINNINGS);
        beginnings.sort_unstable();
    }
    for start in beginnings {
        let mut length = 0;
        for end in start + 1..=count.min(start + LONGEST) {
            length += words[end - 1];
            if end > start + 1 && length > MOST_WORDS {
                break;
            }
            let within = start..end;
            let covered = cover(&|term| {
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
                asks.number * claim((start..end).any(|at| has_digit[at])),
                asks.number * log,
                log * (1.0 + all_words as f64).ln(),
                part * covered,
                recalled(&found.recalled, &within),
                recalled(&found.recalled, &within)
                    * found
                        .recalled
                        .as_ref()
                        .map_or(0.0, |(likeness, _)| likeness * likeness),
            ];
            spans.push(Span {
                section: number,
                sentences: within,
                features,
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
struct Asks {
    /// How something is done.
    steps: f64,
    /// How many, how much, how long.
    number: f64,
}

impl Asks {
    fn of(question: &Question) -> Self {
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
