//! Which examples a language model is shown.

use std::collections::BTreeSet;

use andon_task::extract::{Fields, Gold};
use serde_json::Value;

/// The most examples.
const MOST: usize = 3;

/// The most bytes of their texts and objects: they are read again with every prompt that is not
/// in the cache.
const MOST_BYTES: usize = 3_000;

/// One of so many examples is shown at most: the others are to learn from.
const ONE_OF: usize = 8;

/// The places of a few short examples that show between them which fields may be absent, and
/// the choices.
pub(super) fn choose(fields: &Fields, examples: &[(&str, &Value)], golds: &[Gold]) -> Vec<usize> {
    let size = |index: usize| examples[index].0.len() + examples[index].1.to_string().len();
    let mut order: Vec<usize> = (0..examples.len()).collect();
    order.sort_by_key(|&index| (size(index), index));
    // The shortest ones are scraps.
    let order = &order[order.len() / 4..order.len() - order.len() / 4];
    let mut chosen: Vec<usize> = Vec::new();
    let mut seen: BTreeSet<String> = BTreeSet::new();
    let mut left = MOST_BYTES;
    while chosen.len() < MOST.min(examples.len() / ONE_OF) {
        let fits = |index: &&usize| !chosen.contains(index) && size(**index) <= left;
        let news = |index: usize| facts(fields, &golds[index]).difference(&seen).count();
        let best = order
            .iter()
            .filter(fits)
            .max_by_key(|&&index| (news(index), std::cmp::Reverse((size(index), index))));
        let Some(&best) = best else {
            break;
        };
        seen.extend(facts(fields, &golds[best]));
        left -= size(best);
        chosen.push(best);
    }
    chosen
}

/// What an example shows: which fields have values, which have none, and the choices.
fn facts(fields: &Fields, gold: &Gold) -> BTreeSet<String> {
    let one = |(number, field): (usize, &andon_task::extract::Field)| {
        let path = &field.path;
        match field.list {
            Some(list) => format!("{path} {}", gold.items[list].len().min(2)),
            None => match &gold.values[number] {
                Some(value) if !field.choices.is_empty() => format!("{path} {value}"),
                Some(_) => format!("{path} some"),
                None => format!("{path} none"),
            },
        }
    };
    fields.all().iter().enumerate().map(one).collect()
}
