//! How long answers took.

use std::time::Duration;

use serde::Serialize;

/// Quantiles of the times of answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Summary {
    /// Half of the answers took at most this, in milliseconds.
    pub p50_ms: f64,
    /// Of a hundred answers all but one did.
    pub p99_ms: f64,
}

impl Summary {
    /// The quantiles of these times; nothing of none.
    pub fn of(times: &[Duration]) -> Self {
        let mut sorted: Vec<f64> = times.iter().map(|t| 1000.0 * t.as_secs_f64()).collect();
        sorted.sort_by(f64::total_cmp);
        let quantile = |share: f64| {
            let place = (share * sorted.len() as f64).ceil() as usize;
            sorted.get(place.saturating_sub(1)).copied().unwrap_or(0.0)
        };
        Self {
            p50_ms: quantile(0.5),
            p99_ms: quantile(0.99),
        }
    }
}
