//! Folds for cross-validation: stratified by label, and texts that are the same
//! but for case, accents, digits and blanks, or mean the same by the glossary,
//! always together, so that no copy of a held-out example is trained on.

use std::collections::BTreeMap;

use andon_task::example::LabelledText;
use andon_task::glossary::Glossary;
use andon_task::head::fold as fold_text;

use crate::random::Random;

/// How many folds, where there are texts enough.
pub(crate) const FOLDS: usize = 5;

/// The order within a label is shuffled with this seed.
const SEED: u64 = 0;

/// The fold of each example, and how many folds there are: five, or as many as
/// there are distinct texts.
pub fn assign(examples: &[LabelledText], glossary: &Glossary) -> (Vec<usize>, usize) {
    let mut groups: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (index, example) in examples.iter().enumerate() {
        let folded = fold_text(glossary.read(&example.text).text());
        let words: Vec<&str> = folded.split_whitespace().collect();
        groups.entry(words.join(" ")).or_default().push(index);
    }
    let folds = FOLDS.min(groups.len());
    let mut by_label: BTreeMap<usize, Vec<Vec<usize>>> = BTreeMap::new();
    for group in groups.into_values() {
        by_label
            .entry(examples[group[0]].label)
            .or_default()
            .push(group);
    }
    let mut random = Random::seeded(SEED);
    let mut assigned = vec![0; examples.len()];
    // Dealt on from label to label, so that the folds are of one size.
    let mut dealt = 0;
    for mut groups in by_label.into_values() {
        random.shuffle(&mut groups);
        for group in groups {
            for index in group {
                assigned[index] = dealt % folds;
            }
            dealt += 1;
        }
    }
    (assigned, folds)
}

#[cfg(test)]
mod tests;
