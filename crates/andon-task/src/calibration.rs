//! Calibration: from a classifier's logits to probabilities that hold.
//!
//! Temperature scaling as in Guo et al., "On Calibration of Modern Neural
//! Networks" (2017): one number, fitted on answers to examples that the
//! classifier was not trained on, divides all logits.

/// The range in which a temperature is sought.
const TEMPERATURES: (f64, f64) = (0.05, 20.0);

/// Bins of equal width in which confidence and accuracy are compared.
const BINS: usize = 15;

/// Logits and the position of the right label, for one example.
#[derive(Clone, Debug, PartialEq)]
pub struct Scored {
    /// One logit a label.
    pub logits: Vec<f32>,
    /// Position of the right label.
    pub label: usize,
}

/// An answer's probability and whether the answer was right.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Graded {
    /// The probability of the best label.
    pub confidence: f64,
    /// Whether the best label is the right one.
    pub right: bool,
}

/// Probabilities over the labels at a temperature; they add up to one.
pub fn probabilities(logits: &[f32], temperature: f64) -> Vec<f64> {
    let top = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut shares: Vec<f64> = logits
        .iter()
        .map(|&logit| (f64::from(logit - top) / temperature).exp())
        .collect();
    let total: f64 = shares.iter().sum();
    for share in &mut shares {
        *share /= total;
    }
    shares
}

/// The temperature under which the right labels of `held_out` are most
/// probable; 1 where there are none. The examples must not be among those that
/// the classifier was trained on.
pub fn temperature(held_out: &[Scored]) -> f64 {
    if held_out.is_empty() {
        return 1.0;
    }
    // The loss is convex in 1/T, so it has one valley in ln T as well.
    let ratio = (5f64.sqrt() - 1.0) / 2.0;
    let (mut low, mut high) = (TEMPERATURES.0.ln(), TEMPERATURES.1.ln());
    let at = |point: f64| log_loss(held_out, point.exp());
    let (mut left, mut right) = (high - ratio * (high - low), low + ratio * (high - low));
    let (mut left_loss, mut right_loss) = (at(left), at(right));
    while high - low > 1e-4 {
        if left_loss <= right_loss {
            (high, right, right_loss) = (right, left, left_loss);
            left = high - ratio * (high - low);
            left_loss = at(left);
        } else {
            (low, left, left_loss) = (left, right, right_loss);
            right = low + ratio * (high - low);
            right_loss = at(right);
        }
    }
    f64::midpoint(low, high).exp()
}

/// The sum of the negative logarithms of what the right labels are given at a
/// temperature.
pub fn log_loss(examples: &[Scored], temperature: f64) -> f64 {
    examples
        .iter()
        .map(|example| {
            let top = example
                .logits
                .iter()
                .copied()
                .fold(f32::NEG_INFINITY, f32::max);
            let scaled = |logit: f32| f64::from(logit - top) / temperature;
            let total: f64 = example
                .logits
                .iter()
                .map(|&logit| scaled(logit).exp())
                .sum();
            total.ln() - scaled(example.logits[example.label])
        })
        .sum()
}

/// The expected calibration error: the mean distance between confidence and
/// accuracy over 15 bins of equal width, each weighted by its answers.
/// Each answer comes with how often it counts. `None` without answers.
pub fn expected_calibration_error(answers: impl IntoIterator<Item = (Graded, f64)>) -> Option<f64> {
    let mut gaps = [0.0; BINS];
    let mut total = 0.0;
    for (answer, weight) in answers {
        let bin = ((answer.confidence * BINS as f64) as usize).min(BINS - 1);
        gaps[bin] += weight * (answer.confidence - f64::from(u8::from(answer.right)));
        total += weight;
    }
    (total > 0.0).then(|| gaps.iter().map(|gap: &f64| gap.abs()).sum::<f64>() / total)
}

#[cfg(test)]
mod tests;
