//! What is known of a head: figures with intervals over graded answers.

use std::collections::BTreeMap;
use std::time::Duration;

use andon_task::calibration::{Graded, expected_calibration_error};
use andon_task::certificate::{Judged, Severity};
use andon_task::label::Label;
use serde::{Deserialize, Serialize};

use crate::bootstrap;
use crate::interval::{Estimate, wilson};

/// How a head answers a set of examples. Proportions have Wilson's interval,
/// the other figures a bootstrap interval.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// How many examples were answered.
    pub n: usize,
    /// The share of right answers.
    pub accuracy: Estimate,
    /// The share of examples whose right label is among the best three.
    pub top3_accuracy: Estimate,
    /// The mean over the labels of the harmonic mean of precision and recall.
    pub macro_f1: Estimate,
    /// The expected calibration error of the probability of the best label.
    pub ece: Estimate,
    /// How well that probability tells right answers from wrong ones; `None`
    /// where all are right or all wrong.
    pub auroc: Option<Estimate>,
    /// An answer is accepted at the edge from this probability on.
    pub accept: f64,
    /// Whether `accept` carries a certificate.
    pub certified: bool,
    /// The share of accepted answers.
    pub coverage: Estimate,
    /// The share of wrong ones among the accepted; `None` where none is.
    pub selective_error: Option<Estimate>,
    /// The median time of one answer with its embedding, in milliseconds.
    pub p50_ms: f64,
    /// The 99th percentile of the same.
    pub p99_ms: f64,
    /// Every label of the task, in its order.
    pub per_label: Vec<OfLabel>,
    /// Every language that the examples name; empty where they name none.
    pub per_language: Vec<OfLanguage>,
}

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

/// One graded answer.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Answer {
    /// Position of the right label.
    pub(crate) label: usize,
    /// Position of the label that was answered.
    pub(crate) best: usize,
    /// The probability of the answer.
    pub(crate) confidence: f64,
    /// How many labels were more probable than the right one.
    pub(crate) above: usize,
    pub(crate) language: Option<String>,
    pub(crate) took: Duration,
}

impl Answer {
    /// Grades the probabilities that a head gave to an example of `label`.
    pub(crate) fn grade(
        probabilities: &[f64],
        label: usize,
        language: Option<String>,
        took: Duration,
    ) -> Self {
        // Of equal probabilities the first label is the answer, here and in a run.
        let beats = |a: usize, b: usize| {
            probabilities[a] > probabilities[b] || (probabilities[a] == probabilities[b] && a < b)
        };
        let best = (0..probabilities.len()).fold(
            0,
            |best, other| {
                if beats(other, best) { other } else { best }
            },
        );
        let above = (0..probabilities.len()).filter(|&other| beats(other, label));
        Self {
            label,
            best,
            confidence: probabilities[best],
            above: above.count(),
            language,
            took,
        }
    }

    pub(crate) fn is_right(&self) -> bool {
        self.best == self.label
    }

    /// The answer as certificates look at it.
    pub(crate) fn judged(&self, labels: &[Label]) -> Judged {
        let severity = |label: usize| match labels[label].critical {
            true => Severity::Critical,
            false => Severity::Ordinary,
        };
        Judged {
            confidence: self.confidence,
            right: self.is_right(),
            said: severity(self.best),
            meant: severity(self.label),
        }
    }

    fn graded(&self) -> Graded {
        Graded {
            confidence: self.confidence,
            right: self.is_right(),
        }
    }
}

/// The figures of graded answers; `None` where there are none.
pub(crate) fn evaluate(answers: &[Answer], labels: &[String], accept: f64) -> Option<Evaluation> {
    let n = answers.len();
    let count = |holds: &dyn Fn(&Answer) -> bool| answers.iter().filter(|a| holds(a)).count();
    let mut by_confidence: Vec<&Answer> = answers.iter().collect();
    by_confidence.sort_by(|a, b| a.confidence.total_cmp(&b.confidence));
    let ece = |weights: &[f64]| {
        expected_calibration_error(
            answers
                .iter()
                .map(Answer::graded)
                .zip(weights.iter().copied()),
        )
    };
    let accepted = count(&|answer| answer.confidence >= accept);
    let accepted_wrong = count(&|answer| answer.confidence >= accept && !answer.is_right());
    let mut took: Vec<Duration> = answers.iter().map(|answer| answer.took).collect();
    took.sort_unstable();
    Some(Evaluation {
        n,
        accuracy: wilson(count(&Answer::is_right), n)?,
        top3_accuracy: wilson(count(&|answer| answer.above < 3), n)?,
        macro_f1: bootstrap::estimate(n, |weights| macro_f1(answers, weights, labels.len()))?,
        ece: bootstrap::estimate(n, ece)?,
        auroc: bootstrap::estimate(n, |weights| auroc(&by_confidence, weights)),
        accept,
        certified: false,
        coverage: wilson(accepted, n)?,
        selective_error: wilson(accepted_wrong, accepted),
        p50_ms: percentile_ms(&took, 0.5),
        p99_ms: percentile_ms(&took, 0.99),
        per_label: per_label(answers, labels),
        per_language: per_language(answers),
    })
}

/// Over the labels that are right or answered anywhere.
fn macro_f1(answers: &[Answer], weights: &[f64], labels: usize) -> Option<f64> {
    let mut hits = vec![0.0; labels];
    let mut named = vec![0.0; labels];
    for (answer, weight) in answers.iter().zip(weights) {
        named[answer.label] += weight;
        named[answer.best] += weight;
        if answer.is_right() {
            hits[answer.label] += weight;
        }
    }
    let present = named.iter().filter(|&&named| named > 0.0).count();
    let total: f64 = hits
        .iter()
        .zip(&named)
        .filter(|&(_, &named)| named > 0.0)
        .map(|(hits, named)| 2.0 * hits / named)
        .sum();
    (present > 0).then(|| total / present as f64)
}

/// The chance that a right answer has a higher confidence than a wrong one,
/// equal ones counting half. `answers` by rising confidence; `weights` in the
/// same order.
fn auroc(answers: &[&Answer], weights: &[f64]) -> Option<f64> {
    let (mut pairs, mut wrong_below, mut rights) = (0.0, 0.0, 0.0);
    let mut weighted = answers.iter().zip(weights).peekable();
    while let Some((first, _)) = weighted.peek() {
        let confidence = first.confidence;
        let (mut right, mut wrong) = (0.0, 0.0);
        while let Some((answer, weight)) =
            weighted.next_if(|(answer, _)| answer.confidence == confidence)
        {
            *(if answer.is_right() {
                &mut right
            } else {
                &mut wrong
            }) += weight;
        }
        pairs += right * (wrong_below + wrong / 2.0);
        wrong_below += wrong;
        rights += right;
    }
    let all = rights * wrong_below;
    (all > 0.0).then(|| pairs / all)
}

fn per_label(answers: &[Answer], labels: &[String]) -> Vec<OfLabel> {
    let mut counts = vec![(0usize, 0usize, 0usize); labels.len()];
    for answer in answers {
        counts[answer.label].0 += 1;
        counts[answer.best].1 += 1;
        if answer.is_right() {
            counts[answer.label].2 += 1;
        }
    }
    let share = |part: usize, whole: usize| (whole > 0).then(|| part as f64 / whole as f64);
    labels
        .iter()
        .zip(counts)
        .map(|(label, (support, answered, hits))| OfLabel {
            label: label.clone(),
            precision: share(hits, answered),
            recall: share(hits, support),
            support,
        })
        .collect()
}

fn per_language(answers: &[Answer]) -> Vec<OfLanguage> {
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

/// The smallest time that at least `share` of the answers did not exceed.
fn percentile_ms(sorted: &[Duration], share: f64) -> f64 {
    let rank = (share * sorted.len() as f64).ceil() as usize;
    sorted
        .get(rank.saturating_sub(1))
        .map_or(0.0, |took| took.as_secs_f64() * 1e3)
}

#[cfg(test)]
mod tests;
