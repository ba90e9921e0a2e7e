use andon_task::glossary::Glossary;
use andon_task::head::Vocabulary;

use super::*;

/// The loss of training, without blocks and in f64.
fn plain_loss(design: &Design, weights: &[f32]) -> f64 {
    let count = design.labels;
    let n = design.rows.len() as f64;
    let squares: f64 = weights
        .iter()
        .map(|&weight| f64::from(weight).powi(2))
        .sum();
    let losses = design.rows.iter().map(|row| {
        let logit = |label: usize| {
            let grams = row.grams.iter().map(|&(column, value)| {
                f64::from(value) * f64::from(weights[column as usize * count + label])
            });
            let dense = row.dense.iter().enumerate().map(|(feature, &value)| {
                f64::from(value) * f64::from(weights[(design.grams + feature) * count + label])
            });
            grams.chain(dense).sum::<f64>()
        };
        let total: f64 = (0..count).map(|label| logit(label).exp()).sum();
        let other = row.also.unwrap_or(row.label);
        total.ln() - f64::midpoint(logit(row.label), logit(other))
    });
    losses.sum::<f64>() / n + 0.5 * design.penalty * squares
}

#[test]
fn the_slope_is_that_of_the_loss() {
    // Eleven rows and seven dense features: neither fills its blocks.
    let texts = ["hot pump", "noise", "leaks oil", "hot"];
    let glossary = Glossary::default();
    let readings = texts.map(|text| glossary.read(text));
    let vocabulary = Vocabulary::of(Unit::Characters, &readings, 1, usize::MAX);
    let rows: Vec<Row> = (0..11)
        .map(|i| Row {
            grams: vocabulary.weigh(&readings[i % 4]),
            dense: (0..7)
                .map(|j| ((i * 7 + j) % 5) as f32 * 0.3 - 0.5)
                .collect(),
            label: i % 3,
            also: (i % 4 == 0).then_some((i + 1) % 3),
        })
        .collect();
    let design = Design {
        rows,
        grams: vocabulary.len(),
        labels: 3,
        penalty: 0.01,
    };
    let length = (vocabulary.len() + 7) * 3;
    let mut weights: Vec<f32> = (0..length)
        .map(|i| ((i * 37) % 11) as f32 * 0.1 - 0.5)
        .collect();
    let mut slope = vec![0.0; length];
    let loss = design.loss(&weights, &mut slope);
    assert!((loss - plain_loss(&design, &weights)).abs() < 1e-5);
    for at in (0..length).step_by(5) {
        let mut moved = |by: f32| {
            let kept = weights[at];
            weights[at] = kept + by;
            let loss = plain_loss(&design, &weights);
            weights[at] = kept;
            loss
        };
        let expected = (moved(1e-2) - moved(-1e-2)) / 2e-2;
        assert!(
            (f64::from(slope[at]) - expected).abs() < 1e-4,
            "weight {at}"
        );
    }
}
