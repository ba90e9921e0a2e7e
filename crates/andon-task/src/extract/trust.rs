//! From what a reader weighs to probabilities that hold.

use serde::{Deserialize, Serialize};

/// Lines through log-odds: a slope and an offset (Platt, 1999).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Line {
    /// What log-odds are multiplied by.
    pub slope: f64,
    /// What is added.
    pub offset: f64,
}

impl Default for Line {
    fn default() -> Self {
        Self {
            slope: 1.0,
            offset: 0.0,
        }
    }
}

/// The calibration of a reader, learnt from texts that were held out from it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Trust {
    /// For each field.
    pub fields: Vec<Line>,
    /// For a whole record: offset, then what each of its numbers is multiplied by.
    pub record: Vec<f64>,
}

impl Trust {
    pub(super) fn field(&self, field: usize, log_odds: f64) -> f64 {
        let line = self.fields.get(field).copied().unwrap_or_default();
        logistic(line.slope * log_odds + line.offset)
    }

    /// How probable it is that all of a record is right, from what [`of_record`] says.
    pub fn record(&self, seen: [f64; 2]) -> f64 {
        match self.record.split_first() {
            None => logistic(seen[0]),
            Some((offset, slopes)) => {
                let sum: f64 = slopes
                    .iter()
                    .zip(seen)
                    .map(|(slope, seen)| slope * seen)
                    .sum();
                logistic(offset + sum)
            }
        }
    }
}

/// What a record's confidence is made of: the log-odds that all of its values are right if
/// they were independent, and those of the least sure of them. `doubt` is the logarithm of
/// how sure it is that no value of a list is missing.
pub fn of_record(confidences: impl Iterator<Item = f64> + Clone, doubt: f64) -> [f64; 2] {
    let logs = confidences
        .clone()
        .map(|confidence| confidence.max(1e-9).ln());
    let least = confidences.fold(1.0, f64::min);
    [log_odds((logs.sum::<f64>() + doubt).exp()), log_odds(least)]
}

/// The probability with these log-odds.
pub fn logistic(log_odds: f64) -> f64 {
    1.0 / (1.0 + (-log_odds).exp())
}

/// The log-odds of a probability, within ±14.
pub fn log_odds(share: f64) -> f64 {
    let share = share.clamp(1e-6, 1.0 - 1e-6);
    (share / (1.0 - share)).ln()
}
