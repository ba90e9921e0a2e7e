//! Where a decision goes, as a function of what is known about it.

use serde::{Deserialize, Serialize};

use crate::certificate::{Certificate, Mark, Severity};
use crate::digest::Digest;
use crate::drift;
use crate::run::Guarantee;
use crate::task::Task;

/// Where a run was answered, or waits to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Route {
    /// Answered here.
    Edge,
    /// To a larger model elsewhere.
    Cloud,
    /// To a person.
    Human,
}

/// Why a run took its route.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The probability reaches the threshold.
    Confident,
    /// The probability is below the threshold.
    BelowThreshold,
    /// There is no calibrated probability to compare with the threshold.
    NotCalibrated,
    /// The answer would have been accepted, and was drawn to be checked by a
    /// person: this is how an error that certificates promise not to make is found.
    SpotCheck,
    /// The answer was computed, and everything in it was checked against what it rests on.
    Checked,
}

/// What a task answered, as far as routing looks at it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Answered<'a> {
    /// The text that was decided.
    pub text: &'a str,
    /// The probability of the answer, or its score.
    pub confidence: f64,
    /// Whether `confidence` is a calibrated probability.
    pub calibrated: bool,
    /// What kind of label was answered.
    pub said: Severity,
}

/// Whether a certificate speaks for an answer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Standing<'a> {
    /// None does.
    Uncertified,
    /// One did, and was suspended.
    Suspended(&'a Certificate),
    /// This one does, known by its digest.
    Certified(&'a Certificate, Digest),
}

/// Where a decision goes, why, and what stands behind it.
///
/// By a certificate an answer is accepted from its threshold on, but for those
/// that are drawn as spot checks. Without one the task's own rule decides. While
/// one is suspended both have to accept, so that doubt never lets more through.
pub fn decide(
    task: &Task,
    answered: Answered<'_>,
    standing: Standing<'_>,
) -> (Route, Reason, Guarantee) {
    let by_task = || match answered.calibrated {
        true if answered.confidence >= task.accept => Reason::Confident,
        true => Reason::BelowThreshold,
        false => Reason::NotCalibrated,
    };
    let by_certificate = |certificate: &Certificate| match certificate
        .thresholds
        .accept(answered.said, answered.confidence)
    {
        true => Reason::Confident,
        false => Reason::BelowThreshold,
    };
    let (reason, guarantee) = match standing {
        Standing::Uncertified => (by_task(), Guarantee::Uncertified),
        Standing::Suspended(certificate) => {
            let reason = match by_task() {
                Reason::Confident => by_certificate(certificate),
                other => other,
            };
            (reason, Guarantee::Suspended)
        }
        Standing::Certified(certificate, id) => {
            let mark = Mark::of(certificate, id, answered.said);
            let reason = match by_certificate(certificate) {
                Reason::Confident
                    if drift::is_spot_check(&task.name, answered.text, task.spot_check) =>
                {
                    Reason::SpotCheck
                }
                reason => reason,
            };
            (reason, Guarantee::Certified(mark))
        }
    };
    // This version has no upstream: `cloud` in `escalate` passes to the next,
    // and a person is the last resort of every task.
    let route = match reason {
        Reason::Confident => Route::Edge,
        _ => Route::Human,
    };
    (route, reason, guarantee)
}

#[cfg(test)]
mod tests;
