//! Where a decision goes, as a function of what is known about it.

use serde::{Deserialize, Serialize};

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
    /// The probability reaches the task's threshold.
    Confident,
    /// The probability is below the task's threshold.
    BelowThreshold,
    /// There is no calibrated probability to compare with the threshold.
    NotCalibrated,
}

/// The route of a decision whose best answer has `probability` (`None`: it is
/// an uncalibrated score), and why.
pub fn decide(task: &Task, probability: Option<f64>) -> (Route, Reason) {
    let reason = match probability {
        Some(probability) if probability >= task.accept => return (Route::Edge, Reason::Confident),
        Some(_) => Reason::BelowThreshold,
        None => Reason::NotCalibrated,
    };
    // This version has no upstream: `cloud` in `escalate` passes to the next,
    // and a person is the last resort of every task.
    (Route::Human, reason)
}
