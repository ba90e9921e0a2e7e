use andon_task::engine::{EngineError, Prompt, Score, Usage};

/// The shares of a closed set of labels.
#[derive(Clone, Debug, PartialEq)]
pub struct Weighed {
    /// For each label, in the order given, its share: the probability that the
    /// model answers with it, given that it answers with one of them. Not
    /// calibrated.
    pub shares: Vec<f64>,
    /// What it cost.
    pub usage: Usage,
}

/// Scores `labels` as answers to `prompt` and normalises over them.
pub fn weigh(
    model: &(impl Score + ?Sized),
    prompt: &Prompt,
    labels: &[String],
) -> Result<Weighed, EngineError> {
    let scores = model.score(prompt, labels)?;
    Ok(Weighed {
        shares: softmax(&scores.log_probabilities),
        usage: scores.usage,
    })
}

/// Shares that are proportional to the exponentials of `logarithms` and add up
/// to one. Where none is finite, all are the same.
pub fn softmax(logarithms: &[f64]) -> Vec<f64> {
    let largest = logarithms.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if !largest.is_finite() {
        return vec![1.0 / logarithms.len() as f64; logarithms.len()];
    }
    let exponentials: Vec<f64> = logarithms
        .iter()
        .map(|logarithm| (logarithm - largest).exp())
        .collect();
    let sum: f64 = exponentials.iter().sum();
    exponentials.iter().map(|share| share / sum).collect()
}
