//! Figures of an `extract` task.

use std::collections::BTreeMap;

use andon_task::extract::Fields;
use serde::{Deserialize, Serialize};

use super::grade::Graded;
use crate::bootstrap;
use crate::evaluate::{Answer, Evaluation, evaluate};
use crate::interval::{Estimate, wilson};

/// How well records are read. An answer is a whole record: its probability is that all of it
/// is right.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Extraction {
    /// How many records were read.
    pub n: usize,
    /// The share of fields that are right, over all records. A field of a list is right
    /// where all its values are.
    pub field_accuracy: Estimate,
    /// The harmonic mean of the shares of right values among those that were read and among
    /// those that the examples have.
    pub micro_f1: Option<Estimate>,
    /// The share of records all of whose fields are right.
    pub record_accuracy: Estimate,
    /// The expected calibration error of the records' probabilities.
    pub ece: Estimate,
    /// What `ece` is on average for as many records whose probabilities hold exactly.
    pub ece_by_chance: f64,
    /// How well the records' probabilities tell right ones from wrong ones.
    pub auroc: Option<Estimate>,
    /// The expected calibration error of the fields' confidences.
    pub field_ece: Option<f64>,
    /// A record is accepted at the edge from this probability on.
    pub accept: f64,
    /// Whether `accept` carries a certificate.
    pub certified: bool,
    /// The share of accepted records.
    pub coverage: Estimate,
    /// The share of wrong ones among the accepted.
    pub selective_error: Option<Estimate>,
    /// The median time of one reading, in milliseconds.
    pub p50_ms: f64,
    /// The 99th percentile of the same.
    pub p99_ms: f64,
    /// The share of records of which each field is right.
    pub per_field: BTreeMap<String, Estimate>,
    /// The share of values, among those that were read, that the text says as they stand.
    pub verbatim: Option<Estimate>,
}

/// The micro-averaged F1 of values over readings with weights; `None` where there are none.
fn f1_of(graded: &[Graded], weights: &[f64]) -> Option<f64> {
    let (mut right, mut all) = (0.0, 0.0);
    for (graded, weight) in graded.iter().zip(weights) {
        let matches = graded.matches;
        right += weight * matches.right as f64;
        all += weight * (matches.read + matches.wanted) as f64;
    }
    (all > 0.0).then(|| 2.0 * right / all)
}

/// The same over all of them.
pub(super) fn f1(graded: &[Graded]) -> f64 {
    f1_of(graded, &vec![1.0; graded.len()]).unwrap_or(0.0)
}

/// The figures of graded readings, and the same as a decision whether a record is right, by
/// which candidates are compared. `None` where there are none.
pub fn figures(
    fields: &Fields,
    graded: &[Graded],
    accept: f64,
) -> Option<(Extraction, Evaluation)> {
    let answers: Vec<Answer> = graded
        .iter()
        .map(|graded| Answer {
            label: usize::from(!graded.is_right()),
            also: None,
            second: None,
            best: 0,
            confidence: graded.probability,
            above: usize::from(!graded.is_right()),
            language: None,
            took: graded.took,
        })
        .collect();
    let of_records = evaluate(&answers, &["right".to_owned(), "wrong".to_owned()], accept)?;
    let n = graded.len();
    let count = fields.all().len();
    // Records are drawn, not fields: those of one record are right or wrong together.
    let share = |weights: &[f64]| {
        let right: f64 = (graded.iter().zip(weights))
            .map(|(graded, weight)| {
                weight * graded.right.iter().filter(|&&right| right).count() as f64
            })
            .sum();
        let total: f64 = weights.iter().sum::<f64>() * count as f64;
        (total > 0.0).then(|| right / total)
    };
    let per_field = fields
        .all()
        .iter()
        .enumerate()
        .filter_map(|(number, field)| {
            let right = graded.iter().filter(|graded| graded.right[number]).count();
            Some((field.path.clone(), wilson(right, n)?))
        });
    let confidences = graded.iter().flat_map(|graded| {
        (graded.confidence.iter().zip(&graded.right)).map(|(&confidence, &right)| {
            (andon_task::calibration::Graded { confidence, right }, 1.0)
        })
    });
    let values = graded.iter().filter_map(|graded| graded.reading.as_ref());
    let values = values
        .flat_map(|reading| &reading.fields)
        .filter(|pointed| pointed.value.is_some());
    let verbatim = values.clone().filter(|pointed| pointed.verbatim).count();
    let extraction = Extraction {
        n,
        field_accuracy: bootstrap::estimate(n, share)?,
        micro_f1: bootstrap::estimate(n, |weights| f1_of(graded, weights)),
        record_accuracy: of_records.accuracy,
        ece: of_records.ece,
        ece_by_chance: of_records.ece_by_chance,
        auroc: of_records.auroc,
        field_ece: andon_task::calibration::expected_calibration_error(confidences),
        accept,
        certified: false,
        coverage: of_records.coverage,
        selective_error: of_records.selective_error,
        p50_ms: of_records.p50_ms,
        p99_ms: of_records.p99_ms,
        per_field: per_field.collect(),
        verbatim: wilson(verbatim, values.count()),
    };
    Some((extraction, of_records))
}
