//! Examples that an engineer should look at: answers that were wrong and sure,
//! and texts that have two labels.

use std::collections::BTreeMap;

use andon_task::example::LabelledText;
use serde::Serialize;

use crate::evaluate::Answer;

/// How many wrong answers are told.
const MOST: usize = 30;

/// A wrong answer.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Wrong {
    /// The example's position, from 1.
    pub example: usize,
    /// Its text.
    pub text: String,
    /// The label that it has.
    pub expected: String,
    /// The label that was answered.
    pub answer: String,
    /// The probability, or score, of the answer.
    pub confidence: f64,
    /// Whether the example's label is suspect rather than the answer: the answer
    /// is as sure as right answers with its label are on average (confident
    /// learning: Northcutt, Jiang and Chuang, 2021).
    pub suspect: bool,
}

/// A text that has several labels: at least one of them is wrong. Texts are the same
/// where they differ in case and blanks alone; another number is another text.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Contradiction {
    /// The text, as it stands first.
    pub text: String,
    /// Its labels, with the positions of the examples, from 1.
    pub labels: BTreeMap<String, Vec<usize>>,
}

/// The wrong answers, the surest first.
pub fn wrong(examples: &[LabelledText], answers: &[Answer], labels: &[String]) -> Vec<Wrong> {
    let mut sums = vec![(0.0, 0usize); labels.len()];
    for answer in answers.iter().filter(|answer| answer.is_right()) {
        sums[answer.best].0 += answer.confidence;
        sums[answer.best].1 += 1;
    }
    let usual = |label: usize| {
        let (sum, count) = sums[label];
        (count > 0).then(|| sum / count as f64)
    };
    let mut found: Vec<(usize, &Answer)> = answers
        .iter()
        .enumerate()
        .filter(|(_, answer)| !answer.is_right())
        .collect();
    found.sort_by(|(_, a), (_, b)| b.confidence.total_cmp(&a.confidence));
    found
        .into_iter()
        .take(MOST)
        .filter_map(|(index, answer)| {
            Some(Wrong {
                example: index + 1,
                text: examples.get(index)?.text.clone(),
                expected: labels[answer.label].clone(),
                answer: labels[answer.best].clone(),
                confidence: answer.confidence,
                suspect: usual(answer.best).is_some_and(|usual| answer.confidence >= usual),
            })
        })
        .collect()
}

/// The texts with several labels, in the order of the examples.
pub fn contradictions(examples: &[LabelledText], labels: &[String]) -> Vec<Contradiction> {
    let mut by_text: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (index, example) in examples.iter().enumerate() {
        let lower = example.text.to_lowercase();
        let words: Vec<&str> = lower.split_whitespace().collect();
        by_text.entry(words.join(" ")).or_default().push(index);
    }
    let mut found: Vec<(usize, Contradiction)> = by_text
        .into_values()
        .filter_map(|indices| {
            let mut of_text: BTreeMap<String, Vec<usize>> = BTreeMap::new();
            for &index in &indices {
                let label = labels.get(examples[index].label)?;
                of_text.entry(label.clone()).or_default().push(index + 1);
            }
            let first = indices[0];
            let text = examples[first].text.clone();
            let contradiction = Contradiction {
                text,
                labels: of_text,
            };
            (contradiction.labels.len() > 1).then_some((first, contradiction))
        })
        .collect();
    found.sort_by_key(|&(first, _)| first);
    found.into_iter().map(|(_, found)| found).collect()
}

#[cfg(test)]
mod tests;
