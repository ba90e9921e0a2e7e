//! What is known of the answers to a `decide` task: figures with intervals over
//! graded answers.

use std::time::Duration;

use andon_task::calibration::expected_calibration_error;
use andon_task::certificate::Thresholds;
use andon_task::label::Label;
use serde::{Deserialize, Serialize};

use crate::bootstrap;
use crate::interval::{Estimate, wilson};

mod answer;
mod part;
mod reliability;
mod selective;

pub use answer::Answer;
pub use part::{Confused, OfLabel, OfLanguage};
pub use reliability::Bin;
pub use selective::{AtError, ERRORS, Point};
pub(crate) use selective::{Ranked, curve};

/// How a set of examples is answered. Proportions have Wilson's interval, the
/// other figures a bootstrap interval.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// How many examples were answered.
    pub n: usize,
    /// The share of right answers.
    pub accuracy: Estimate,
    /// The share of examples whose right label is among the best three.
    pub top3_accuracy: Estimate,
    /// The share of answers of the right branch, where labels have branches: a label
    /// `pump/seal` is of the branch `pump`. `None` where none has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent_accuracy: Option<Estimate>,
    /// The share of second labels that were named rightly among those that were named;
    /// `None` where none was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub second_precision: Option<Estimate>,
    /// The share of examples with two labels for which both were named; `None` where no
    /// example has two.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub second_recall: Option<Estimate>,
    /// The mean over the labels of the harmonic mean of precision and recall.
    pub macro_f1: Estimate,
    /// The expected calibration error of the probability of the best label.
    pub ece: Estimate,
    /// What `ece` is on average for as many answers of the same confidences whose
    /// probabilities hold exactly: chance alone fills the bins unevenly, so with few
    /// answers no `ece` is far below this.
    #[serde(default)]
    pub ece_by_chance: f64,
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
    /// How much could be accepted with few errors, by hindsight.
    #[serde(default)]
    pub coverage_at_error: Vec<AtError>,
    /// The risk–coverage curve at every twentieth of coverage.
    #[serde(default)]
    pub risk_coverage: Vec<Point>,
    /// Confidence beside accuracy, in bins.
    #[serde(default)]
    pub reliability: Vec<Bin>,
    /// Labels that were answered for others, the most frequent first.
    #[serde(default)]
    pub confusion: Vec<Confused>,
    /// The answers themselves, in the order of the examples; they are not kept
    /// with the figures.
    #[serde(skip)]
    pub answers: Vec<Answer>,
}

impl Evaluation {
    /// The same with the thresholds of a certificate, `labels` being the task's.
    /// Where no threshold was had, nothing is accepted.
    pub fn at_certified(mut self, thresholds: &Thresholds, labels: &[Label]) -> Self {
        let accepts = |answer: &Answer| {
            let judged = answer.judged(labels);
            thresholds.accept(judged.said, judged.confidence)
        };
        if let Some((coverage, selective_error)) = accepted(&self.answers, accepts) {
            (self.coverage, self.selective_error) = (coverage, selective_error);
            self.accept = thresholds.ordinary.or(thresholds.critical).unwrap_or(1.0);
            self.certified = true;
        }
        self
    }

    /// The mean time of one answer.
    pub fn mean_time(&self) -> Duration {
        let count = u32::try_from(self.answers.len()).unwrap_or(u32::MAX);
        let total: Duration = self.answers.iter().map(|answer| answer.took).sum();
        total.checked_div(count).unwrap_or_default()
    }
}

/// The figures of graded answers; `None` where there are none.
pub(crate) fn evaluate(answers: &[Answer], labels: &[String], accept: f64) -> Option<Evaluation> {
    let n = answers.len();
    let count = |holds: &dyn Fn(&Answer) -> bool| answers.iter().filter(|a| holds(a)).count();
    let (coverage, selective_error) = accepted(answers, |answer| answer.confidence >= accept)?;
    let mut took: Vec<Duration> = answers.iter().map(|answer| answer.took).collect();
    took.sort_unstable();
    Some(Evaluation {
        n,
        accuracy: wilson(count(&Answer::is_right), n)?,
        top3_accuracy: wilson(count(&|answer| answer.above < 3), n)?,
        parent_accuracy: part::parent_accuracy(answers, labels),
        second_precision: wilson(count(&named_rightly), count(&|a| a.second.is_some())),
        second_recall: wilson(
            count(&|a| a.also.is_some() && named_rightly(a)),
            count(&|a| a.also.is_some()),
        ),
        macro_f1: bootstrap::estimate(n, |weights| macro_f1(answers, weights, labels.len()))?,
        ece: bootstrap::estimate(n, |weights| ece(answers, weights))?,
        ece_by_chance: reliability::ece_by_chance(answers),
        auroc: selective::auroc(answers),
        accept,
        certified: false,
        coverage,
        selective_error,
        p50_ms: percentile_ms(&took, 0.5),
        p99_ms: percentile_ms(&took, 0.99),
        per_label: part::per_label(answers, labels),
        per_language: part::per_language(answers),
        coverage_at_error: selective::at_errors(answers),
        risk_coverage: selective::thinned(answers),
        reliability: reliability::bins(answers),
        confusion: part::confusion(answers, labels),
        answers: answers.to_vec(),
    })
}

fn named_rightly(answer: &Answer) -> bool {
    answer.second == Some(true)
}

/// The share of accepted answers, and of wrong ones among them.
fn accepted(
    answers: &[Answer],
    accepts: impl Fn(&Answer) -> bool,
) -> Option<(Estimate, Option<Estimate>)> {
    let accepted = answers.iter().filter(|&answer| accepts(answer));
    let wrong = accepted.clone().filter(|answer| !answer.is_right()).count();
    let accepted = accepted.count();
    Some((wilson(accepted, answers.len())?, wilson(wrong, accepted)))
}

/// The expected calibration error where each answer counts as often as its
/// weight says.
pub(crate) fn ece(answers: &[Answer], weights: &[f64]) -> Option<f64> {
    let graded = answers.iter().map(Answer::graded);
    expected_calibration_error(graded.zip(weights.iter().copied()))
}

/// Over the labels that are right or answered anywhere.
pub(crate) fn macro_f1(answers: &[Answer], weights: &[f64], labels: usize) -> Option<f64> {
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

/// The smallest time that at least `share` of the answers did not exceed.
fn percentile_ms(sorted: &[Duration], share: f64) -> f64 {
    let rank = (share * sorted.len() as f64).ceil() as usize;
    sorted
        .get(rank.saturating_sub(1))
        .map_or(0.0, |took| took.as_secs_f64() * 1e3)
}

#[cfg(test)]
mod tests;
