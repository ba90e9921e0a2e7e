//! Learning a ranker from cases.

use andon_task::answer::{
    Found, Hidden, Index, Learned, Linear, Ranker, Rouge, Running, SPAN_FEATURES, SUPPORT_FEATURES,
    Selection, Sifted, conclude, rank, search, sentences, spans,
};
use andon_task::certificate::binomial;
use andon_task::digest::Digest;

use super::case::Case;
use super::fit::{List, Offer, Row, choose, classify, prefer, regress};

/// What a ranker keeps of the questions that it was learned from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Remember {
    /// Their words and the sections that answer them.
    Questions,
    /// Nothing: it is for other documents than theirs.
    Nothing,
}

/// Penalties that hold over the data sets that were tried: on what departs from the ranker
/// that the binary brings, over the number of questions; and on all weights.
const DEPARTURE: f64 = 1.5;
const SENTENCE_PENALTY: f64 = 1e-3;
const SPAN_PENALTY: f64 = 1e-3;

/// Fewer questions do not say more than the ranker that the binary brings.
const ENOUGH: usize = 20;

/// At least this share of what is asked is taken to have no answer in the documents: people
/// ask other things than those who write examples.
const UNANSWERABLE: f64 = 0.25;
/// The largest share of questions without an answer that may be answered, and the chance that
/// it is larger all the same.
const ANSWERED: f64 = 0.1;
const DELTA: f64 = 0.1;
/// Parts that the questions are cut into, each judged by what was learned from the others.
const PARTS: usize = 5;

/// Questions with the index that they are asked of.
pub(crate) struct Group<'a> {
    pub(crate) index: &'a Index,
    pub(crate) cases: Vec<&'a Case>,
}

/// A ranker that is learned from the cases of one index or, where nothing is remembered, of
/// several.
pub(crate) fn train(groups: &[Group<'_>], encoder: Digest, remember: Remember) -> Learned {
    let mut learned = Learned {
        encoder: Some(encoder),
        ..match remember {
            Remember::Questions => Learned::default(),
            Remember::Nothing => Learned::blank(),
        }
    };
    let prior = learned.clone();
    let mut asked: Vec<Asked<'_>> = Vec::new();
    for group in groups {
        let memory: Vec<_> = (group.cases.iter())
            .map(|case| match remember {
                Remember::Questions => case.memory(group.index),
                Remember::Nothing => None,
            })
            .collect();
        // Where each case stands in the memory, to be hidden from itself.
        let mut places = Vec::with_capacity(memory.len());
        let mut count = 0;
        for one in &memory {
            places.push(one.as_ref().map(|_| count));
            count += usize::from(one.is_some());
        }
        learned.memory = memory.into_iter().flatten().collect();
        let ranker = Ranker::new(learned.clone(), group.index);
        ask(group, &ranker, &places, &mut asked);
    }

    let lists: Vec<List<'_>> = asked
        .iter()
        .filter(|asked| !asked.hidden)
        .map(|asked| List {
            rows: asked
                .found
                .iter()
                .map(|one| one.features.as_slice())
                .collect(),
            right: asked
                .found
                .iter()
                .map(|one| asked.case.gold.contains(&one.section))
                .collect(),
        })
        .filter(|list| list.right.iter().any(|&right| right))
        .collect();
    let is_enough = lists.len() >= ENOUGH;
    if is_enough {
        let penalty = DEPARTURE / lists.len() as f64;
        learned.sections = choose(&lists, &prior.sections, penalty);
    }
    drop(lists);
    for one in &mut asked {
        rank(&learned, &mut one.found);
    }

    let open = || asked.iter().filter(|asked| !asked.hidden);
    let sifted: Vec<(Sifted, f64)> = open().flat_map(parts).collect();
    if open().filter(|asked| asked.case.answer.is_some()).count() >= ENOUGH {
        let rows: Vec<Row<'_>> = sifted
            .iter()
            .map(|(sifted, target)| Row {
                features: &sifted.features,
                target: *target,
                weight: sifted.words as f64,
            })
            .collect();
        learned.sentences = classify(&rows, &prior.sentences, SENTENCE_PENALTY);
    }
    let offers: Vec<Offer> = open().filter_map(|asked| offer(&learned, asked)).collect();
    if offers.len() >= ENOUGH {
        let rows: Vec<Row<'_>> = offers
            .iter()
            .flat_map(|offer| offer.rows.iter().zip(&offer.worth))
            .map(|(features, &target)| Row {
                features,
                target,
                weight: 1.0,
            })
            .collect();
        let near = regress(&rows, SPAN_PENALTY, SPAN_FEATURES);
        learned.spans = prefer(&offers, &near, SPAN_PENALTY, SPAN_FEATURES);
    }

    let mut number = 0;
    let judged: Vec<Judged<'_>> = asked
        .into_iter()
        .map(|asked| {
            let question = &asked.case.question;
            let selection = conclude(asked.index, &learned, question, asked.found);
            // A question with its answer hidden follows the same question.
            number += usize::from(!asked.hidden);
            Judged {
                right: !asked.hidden && is_right(&selection, asked.case),
                features: selection.features,
                absent: asked.hidden || asked.case.gold.is_empty(),
                asked_so: !asked.hidden,
                part: number % PARTS,
                of: asked.index,
            }
        })
        .collect();
    if is_enough {
        learned.support = support(&judged.iter().collect::<Vec<_>>(), &prior.support);
        learned.threshold = threshold(groups, &judged, &prior.support);
    }
    learned
}

/// A case as it is asked, or as it would be with the sections that answer it hidden.
struct Asked<'a> {
    index: &'a Index,
    case: &'a Case,
    found: Vec<Found>,
    hidden: bool,
}

fn ask<'a>(
    group: &Group<'a>,
    ranker: &Ranker,
    places: &[Option<usize>],
    asked: &mut Vec<Asked<'a>>,
) {
    let index = group.index;
    for (&case, &memory) in group.cases.iter().zip(places) {
        // Of others it is not known where the answer stands: nothing can be learned of them.
        if case.gold.is_empty() && case.is_answerable() {
            continue;
        }
        let mut find = |sections: &[usize], hidden| {
            let found = search(index, ranker, &case.question, Hidden { sections, memory });
            asked.push(Asked {
                index,
                case,
                found,
                hidden,
            });
        };
        find(&[], false);
        if !case.gold.is_empty() {
            find(&case.gold, true);
        }
    }
}

/// The sentences of the best sections, each with how much of it belongs to the answer.
fn parts(asked: &Asked<'_>) -> Vec<(Sifted, f64)> {
    let (index, case) = (asked.index, asked.case);
    let Some(answer) = &case.answer else {
        return Vec::new();
    };
    let rouge = Rouge::new(answer);
    let mut parts = Vec::new();
    for (number, sifted) in sentences(index, &case.question, &asked.found) {
        let (document, section) = index.section(number);
        for (sifted, sentence) in sifted.into_iter().zip(&section.sentences) {
            let mut running = rouge.begin();
            rouge.add(&mut running, &document.text[sentence.place.clone()]);
            // Any two sentences share some words.
            let belongs = ((running.precision() - 0.4) / 0.5).clamp(0.0, 1.0);
            let is_gold = case.gold.is_empty() || case.gold.contains(&number);
            parts.push((sifted, if is_gold { belongs } else { 0.5 * belongs }));
        }
    }
    parts
}

/// The runs of sentences for a case, each worth as much as it is like the expected answer.
fn offer(learned: &Learned, asked: &Asked<'_>) -> Option<Offer> {
    let (index, case) = (asked.index, asked.case);
    let rouge = Rouge::new(case.answer.as_deref()?);
    let mut offer = Offer {
        rows: Vec::new(),
        worth: Vec::new(),
    };
    let mut running: Option<(usize, usize, Running)> = None;
    for span in spans(index, learned, &case.question, &asked.found) {
        let (document, section) = index.section(span.section);
        // Runs come in order: each goes on from the one before, or begins anew.
        let key = (span.section, span.sentences.start);
        let mut state = match running.take() {
            Some((section, start, state)) if (section, start) == key => state,
            _ => rouge.begin(),
        };
        let last = &section.sentences[span.sentences.end - 1];
        offer
            .worth
            .push(rouge.add(&mut state, &document.text[last.place.clone()]));
        offer.rows.push(span.features.to_vec());
        running = Some((key.0, key.1, state));
    }
    (!offer.rows.is_empty()).then_some(offer)
}

/// A selection with whether it is right, and whether the documents had the answer.
struct Judged<'a> {
    features: [f64; SUPPORT_FEATURES],
    right: bool,
    /// Whether the answer was hidden, or is not there.
    absent: bool,
    /// Whether an example says so, rather than the answer being hidden.
    asked_so: bool,
    /// The part that its question is in.
    part: usize,
    of: &'a Index,
}

/// Whether the answer was taken from a section that holds it.
pub(crate) fn is_right(selection: &Selection, case: &Case) -> bool {
    let span = selection.span.as_ref();
    span.is_some_and(|span| case.gold.contains(&span.section))
}

fn support(judged: &[&Judged<'_>], prior: &Linear) -> Linear {
    let told = judged
        .iter()
        .filter(|one| one.asked_so && one.absent)
        .count();
    let hidden = judged.iter().filter(|one| !one.asked_so).count();
    // The hidden ones make up what the examples lack to the share that is assumed.
    let open = judged
        .iter()
        .filter(|one| one.asked_so && !one.absent)
        .count();
    let lacking = (UNANSWERABLE / (1.0 - UNANSWERABLE) * open as f64 - told as f64).max(0.0);
    let weight = (lacking / hidden.max(1) as f64).max(0.02);
    let rows: Vec<Row<'_>> = judged
        .iter()
        .map(|one| Row {
            features: &one.features,
            target: if one.right { 1.0 } else { 0.0 },
            weight: if one.asked_so { 1.0 } else { weight },
        })
        .collect();
    classify(&rows, prior, DEPARTURE / open.max(1) as f64)
}

/// The least probability at which enough of the questions without an answer are declined, with
/// confidence, in each of the groups. Each is judged by what the other parts say.
fn threshold(groups: &[Group<'_>], judged: &[Judged<'_>], prior: &Linear) -> f64 {
    let mut absent: Vec<(&Index, f64)> = Vec::new();
    for part in 0..PARTS {
        let (held_out, rest): (Vec<_>, Vec<_>) =
            judged.iter().partition(|judged| judged.part == part);
        let support = support(&rest, prior);
        let held_out = held_out.into_iter().filter(|judged| judged.absent);
        absent.extend(held_out.map(|judged| {
            let odds = support.value(&judged.features);
            (judged.of, 1.0 / (1.0 + (-odds).exp()))
        }));
    }
    let least = groups.iter().map(|group| {
        let mut absent: Vec<f64> = (absent.iter())
            .filter(|(index, _)| std::ptr::eq(*index, group.index))
            .map(|&(_, probability)| probability)
            .collect();
        absent.sort_by(|a, b| b.total_cmp(a));
        let answered = binomial::most_wrong(absent.len(), ANSWERED, DELTA).unwrap_or(0);
        absent.get(answered).copied().unwrap_or(0.0)
    });
    (least.fold(0.0, f64::max) + 1e-9).min(1.0)
}
