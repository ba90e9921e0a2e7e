//! Figures of parts of the examples: of a label, of a language, of two labels
//! that are taken for each other.

use std::collections::BTreeMap;

use andon_task::label::parent;
use serde::{Deserialize, Serialize};

use super::Answer;
use crate::interval::{Estimate, Interval, wilson};

/// How one label is answered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OfLabel {
    /// The label.
    pub label: String,
    /// The share of right answers among those that gave this label; `None`
    /// where no answer did.
    pub precision: Option<f64>,
    /// The share of right answers among its examples; `None` without examples.
    pub recall: Option<f64>,
    /// How many examples it has.
    pub support: usize,
    /// How many answers gave it.
    #[serde(default)]
    pub answered: usize,
    /// The 95 % interval of the precision.
    #[serde(default)]
    pub precision_interval: Option<Interval>,
    /// The 95 % interval of the recall.
    #[serde(default)]
    pub recall_interval: Option<Interval>,
}

/// How one language is answered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OfLanguage {
    /// The language, as the examples name it.
    pub language: String,
    /// How many examples it has.
    pub n: usize,
    /// The share of right answers.
    pub accuracy: Estimate,
    /// The share of examples whose right label is among the best three.
    pub top3_accuracy: Estimate,
}

/// A label that was answered for another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confused {
    /// The right label.
    pub expected: String,
    /// The label that was answered.
    pub answered: String,
    /// How often.
    pub n: usize,
}

/// Answers of the right branch; `None` where no label has branches.
pub(super) fn parent_accuracy(answers: &[Answer], labels: &[String]) -> Option<Estimate> {
    let branch = |label: usize| parent(&labels[label]);
    let branches = labels.iter().any(|label| parent(label) != label);
    let right = |answer: &&Answer| {
        let rights = [Some(answer.label), answer.also];
        let mut rights = rights.into_iter().flatten();
        rights.any(|label| branch(label) == branch(answer.best))
    };
    branches
        .then(|| wilson(answers.iter().filter(right).count(), answers.len()))
        .flatten()
}

/// Every label, in the order of the task.
pub(super) fn per_label(answers: &[Answer], labels: &[String]) -> Vec<OfLabel> {
    let mut counts = vec![(0usize, 0usize, 0usize); labels.len()];
    for answer in answers {
        counts[answer.label].0 += 1;
        counts[answer.best].1 += 1;
        if answer.is_right() {
            counts[answer.label].2 += 1;
        }
    }
    labels
        .iter()
        .zip(counts)
        .map(|(label, (support, answered, hits))| {
            let (precision, recall) = (wilson(hits, answered), wilson(hits, support));
            OfLabel {
                label: label.clone(),
                precision: precision.map(|estimate| estimate.value),
                recall: recall.map(|estimate| estimate.value),
                support,
                answered,
                precision_interval: precision.map(Interval::from),
                recall_interval: recall.map(Interval::from),
            }
        })
        .collect()
}

/// Every language that is named.
pub(super) fn per_language(answers: &[Answer]) -> Vec<OfLanguage> {
    let mut by_language: BTreeMap<&str, Vec<&Answer>> = BTreeMap::new();
    for answer in answers {
        if let Some(language) = &answer.language {
            by_language.entry(language).or_default().push(answer);
        }
    }
    by_language
        .into_iter()
        .filter_map(|(language, answers)| {
            let n = answers.len();
            let rights = answers.iter().filter(|answer| answer.is_right()).count();
            let top3 = answers.iter().filter(|answer| answer.above < 3).count();
            Some(OfLanguage {
                language: language.to_owned(),
                n,
                accuracy: wilson(rights, n)?,
                top3_accuracy: wilson(top3, n)?,
            })
        })
        .collect()
}

/// The pairs of labels that were confused, the most frequent first.
pub(super) fn confusion(answers: &[Answer], labels: &[String]) -> Vec<Confused> {
    let mut counts: BTreeMap<(usize, usize), usize> = BTreeMap::new();
    for answer in answers.iter().filter(|answer| !answer.is_right()) {
        *counts.entry((answer.label, answer.best)).or_default() += 1;
    }
    let mut cells: Vec<((usize, usize), usize)> = counts.into_iter().collect();
    cells.sort_by_key(|&(cell, n)| (std::cmp::Reverse(n), cell));
    cells
        .into_iter()
        .map(|((expected, answered), n)| Confused {
            expected: labels[expected].clone(),
            answered: labels[answered].clone(),
            n,
        })
        .collect()
}
