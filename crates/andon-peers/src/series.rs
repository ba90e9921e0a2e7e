//! Repeated measurements, none of them thrown away.

use serde::Serialize;

/// The measurements of one side of a row, as they go into the JSON.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Series {
    /// Whose they are and how they were made.
    pub(crate) name: String,
    /// The middle one; of two the mean.
    pub(crate) median: f64,
    /// The smallest.
    pub(crate) min: f64,
    /// The largest.
    pub(crate) max: f64,
    /// All, in the order in which they were made.
    pub(crate) values: Vec<f64>,
    /// Tokens of a request's prompts, where the server counts them: the mean.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) prompt_tokens: Option<f64>,
    /// Tokens that were generated for an answer, where the server counts them: the
    /// mean.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) answer_tokens: Option<f64>,
    /// What makes the number less than it seems.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) remark: Option<String>,
}

impl Series {
    /// A series of at least one measurement; `None` of none.
    pub(crate) fn new(name: impl Into<String>, values: Vec<f64>) -> Option<Self> {
        let mut sorted = values.clone();
        sorted.sort_by(f64::total_cmp);
        let (&min, &max) = (sorted.first()?, sorted.last()?);
        let middle = sorted.len() / 2;
        let median = if sorted.len() % 2 == 1 {
            sorted[middle]
        } else {
            f64::midpoint(sorted[middle - 1], sorted[middle])
        };
        Some(Self {
            name: name.into(),
            median,
            min,
            max,
            values,
            prompt_tokens: None,
            answer_tokens: None,
            remark: None,
        })
    }

    /// The same with a remark.
    pub(crate) fn remarked(mut self, remark: impl Into<String>) -> Self {
        self.remark = Some(remark.into());
        self
    }
}

/// The smallest of `values` that at least `share` of them do not exceed.
pub(crate) fn percentile(values: &[f64], share: f64) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let rank = (share * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied()
}

#[cfg(test)]
mod tests {
    use super::{Series, percentile};

    #[test]
    fn medians() {
        let check = |values: &[f64], expected: Option<f64>| {
            let series = Series::new("a", values.to_vec());
            assert_eq!(series.map(|series| series.median), expected, "{values:?}");
        };
        check(&[], None);
        check(&[3.0], Some(3.0));
        check(&[3.0, 1.0], Some(2.0));
        check(&[9.0, 1.0, 2.0], Some(2.0));
    }

    #[test]
    fn percentiles() {
        let check = |values: &[f64], share: f64, expected: Option<f64>| {
            assert_eq!(percentile(values, share), expected, "{values:?} {share}");
        };
        check(&[], 0.5, None);
        check(&[2.0, 1.0], 0.5, Some(1.0));
        check(&[2.0, 1.0], 0.99, Some(2.0));
        check(&[5.0], 0.0, Some(5.0));
    }
}
