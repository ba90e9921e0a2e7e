//! Texts that stand among the examples with more than one label.

use std::collections::{BTreeMap, BTreeSet};

use andon_task::example::LabelledText;
use andon_task::task::Task;

/// A text with labels that exclude each other: at least one of them is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contradiction {
    /// The text as it stands first.
    pub text: String,
    /// Its labels, in the task's order.
    pub labels: Vec<String>,
    /// The examples that say so, by position from 1.
    pub examples: Vec<usize>,
}

/// All contradictions, in the order in which they begin. Texts are the same where
/// they differ in case and blanks alone; another number is another text. An example
/// whose label is not of the task says nothing.
pub fn contradictions(task: &Task, examples: &[LabelledText]) -> Vec<Contradiction> {
    let mut same: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (index, example) in examples.iter().enumerate() {
        let lower = example.text.to_lowercase();
        let words: Vec<&str> = lower.split_whitespace().collect();
        same.entry(words.join(" ")).or_default().push(index);
    }
    let labels = task.labels().labels();
    let mut found: Vec<Contradiction> = same
        .into_values()
        .filter_map(|same| {
            let given: BTreeSet<usize> = same.iter().map(|&index| examples[index].label).collect();
            let names = given.iter().filter_map(|&label| labels.get(label));
            let names: Vec<String> = names.map(|label| label.label.clone()).collect();
            (names.len() > 1).then(|| Contradiction {
                text: examples[same[0]].text.clone(),
                labels: names,
                examples: same.iter().map(|index| index + 1).collect(),
            })
        })
        .collect();
    found.sort_by_key(|contradiction| contradiction.examples[0]);
    found
}
