//! Learning a ranker from cases.

use andon_task::answer::{
    FEATURES, Found, Hidden, Index, Learned, Linear, Ranker, Rouge, Running, SPAN_FEATURES,
    SUPPORT_FEATURES, Selection, conclude, rank, search, spans,
};
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

/// Penalties that hold over the data sets that were tried.
const SECTION_PENALTY: f64 = 2e-3;
const SPAN_PENALTY: f64 = 1e-3;
const SUPPORT_PENALTY: f64 = 2e-3;

/// Fewer questions do not say more than the ranker that the binary brings.
const ENOUGH: usize = 20;

/// At least this share of what is asked is taken to have no answer in the documents: people
/// ask other things than those who write examples.
const UNANSWERABLE: f64 = 0.25;
/// The share of questions without an answer that the threshold declines, among those that it
/// was chosen on.
const DECLINED: f64 = 0.93;

/// A ranker that is learned from `cases`.
pub(crate) fn train(
    index: &Index,
    cases: &[&Case],
    encoder: Digest,
    remember: Remember,
) -> Learned {
    let memory: Vec<_> = cases
        .iter()
        .map(|case| match remember {
            Remember::Questions => case.memory(index),
            Remember::Nothing => None,
        })
        .collect();
    // Where each case stands in the memory, to be hidden from itself.
    let mut places = Vec::with_capacity(cases.len());
    let mut count = 0;
    for one in &memory {
        places.push(one.as_ref().map(|_| count));
        count += usize::from(one.is_some());
    }
    let mut learned = Learned {
        encoder: Some(encoder),
        memory: memory.into_iter().flatten().collect(),
        ..Learned::default()
    };
    let ranker = Ranker::new(learned.clone(), index);
    let mut asked: Vec<Asked<'_>> = (cases.iter().zip(&places))
        // Of others it is not known where the answer stands: nothing can be learned of them.
        .filter(|(case, _)| !case.gold.is_empty() || !case.is_answerable())
        .flat_map(|(case, &memory)| {
            let hidden = (!case.gold.is_empty()).then_some(case.gold.as_slice());
            let find = |sections: &[usize]| {
                search(index, &ranker, &case.question, Hidden { sections, memory })
            };
            let open = Asked {
                case,
                found: find(&[]),
                hidden: false,
            };
            let closed = hidden.map(|gold| Asked {
                case,
                found: find(gold),
                hidden: true,
            });
            [Some(open), closed].into_iter().flatten()
        })
        .collect();

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
        learned.sections = choose(&lists, SECTION_PENALTY, FEATURES);
    }
    drop(lists);
    let ranker = Ranker::new(learned.clone(), index);
    for one in &mut asked {
        rank(&ranker, &mut one.found);
    }

    let offers: Vec<Offer> = asked
        .iter()
        .filter(|asked| !asked.hidden)
        .filter_map(|asked| offer(index, asked.case, &asked.found))
        .collect();
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

    let ranker = Ranker::new(learned.clone(), index);
    let judged: Vec<Judged> = asked
        .into_iter()
        .map(
            |Asked {
                 case,
                 found,
                 hidden,
             }| {
                let selection = conclude(index, &ranker, &case.question, found);
                Judged {
                    right: !hidden && is_right(&selection, case),
                    features: selection.features,
                    absent: hidden || case.gold.is_empty(),
                    asked_so: !hidden,
                }
            },
        )
        .collect();
    if is_enough {
        learned.support = support(&judged);
    }
    learned.threshold = threshold(&learned, &judged);
    learned
}

/// A case as it is asked, or as it would be with the sections that answer it hidden.
struct Asked<'a> {
    case: &'a Case,
    found: Vec<Found>,
    hidden: bool,
}

/// The runs of sentences for a case, each worth as much as it is like the expected answer.
fn offer(index: &Index, case: &Case, found: &[Found]) -> Option<Offer> {
    let rouge = Rouge::new(case.answer.as_deref()?);
    let mut offer = Offer {
        rows: Vec::new(),
        worth: Vec::new(),
    };
    let mut running: Option<(usize, usize, Running)> = None;
    for span in spans(index, &case.question, found) {
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
struct Judged {
    features: [f64; SUPPORT_FEATURES],
    right: bool,
    /// Whether the answer was hidden, or is not there.
    absent: bool,
    /// Whether an example says so, rather than the answer being hidden.
    asked_so: bool,
}

/// Whether the answer was taken from a section that holds it.
pub(crate) fn is_right(selection: &Selection, case: &Case) -> bool {
    let span = selection.span.as_ref();
    span.is_some_and(|span| case.gold.contains(&span.section))
}

fn support(judged: &[Judged]) -> Linear {
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
    classify(&rows, SUPPORT_PENALTY, SUPPORT_FEATURES)
}

/// The least probability at which enough of the questions without an answer are declined.
fn threshold(learned: &Learned, judged: &[Judged]) -> f64 {
    let mut absent: Vec<f64> = judged
        .iter()
        .filter(|one| one.absent)
        .map(|one| 1.0 / (1.0 + (-learned.support.value(&one.features)).exp()))
        .collect();
    absent.sort_by(f64::total_cmp);
    let at = (DECLINED * absent.len() as f64).ceil() as usize;
    match absent.get(at.min(absent.len().saturating_sub(1))) {
        Some(&probability) => (probability + 1e-9).min(1.0),
        None => learned.threshold,
    }
}
