use andon_task::glossary::Glossary;
use andon_task::head::Vocabulary;

use super::*;

/// The loss of training, of weights and rows without units, without blocks and in f64.
fn plain_loss(loss: Loss, rows: &[Row], grams: usize, count: usize, weights: &[f32]) -> f64 {
    let n = rows.len() as f64;
    let squares: f64 = weights
        .iter()
        .map(|&weight| f64::from(weight).powi(2))
        .sum();
    let losses = rows.iter().map(|row| {
        let logit = |label: usize| {
            let of_grams = row.grams.iter().map(|&(column, value)| {
                f64::from(value) * f64::from(weights[column as usize * count + label])
            });
            let dense = row.dense.iter().enumerate().map(|(feature, &value)| {
                f64::from(value) * f64::from(weights[(grams + feature) * count + label])
            });
            of_grams.chain(dense).sum::<f64>()
        };
        let other = row.also.unwrap_or(row.label);
        match loss {
            Loss::Logistic => {
                let total: f64 = (0..count).map(|label| logit(label).exp()).sum();
                total.ln() - f64::midpoint(logit(row.label), logit(other))
            }
            Loss::Hinges => (0..count)
                .map(|label| {
                    let right = label == row.label || label == other;
                    let margin = if right { logit(label) } else { -logit(label) };
                    (1.0 - margin).max(0.0).powi(2) / 2.0
                })
                .sum(),
        }
    });
    losses.sum::<f64>() / n + 0.5 * PENALTY * squares
}

const PENALTY: f64 = 0.01;

#[test]
fn the_slope_is_that_of_the_loss() {
    // Eleven rows and seven dense features: neither fills its blocks.
    let texts = ["hot pump", "noise", "leaks oil", "hot"];
    let glossary = Glossary::default();
    let readings = texts.map(|text| glossary.read(text));
    let vocabulary = Vocabulary::of(Unit::Characters, &readings, 1, usize::MAX);
    let grams = vocabulary.len();
    let rows = || -> Vec<Row> {
        (0..11)
            .map(|i| Row {
                grams: vocabulary.weigh(&readings[i % 4]),
                dense: (0..7)
                    .map(|j| ((i * 7 + j) % 5) as f32 * 0.3 - 0.5)
                    .collect(),
                label: i % 3,
                also: (i % 4 == 0).then_some((i + 1) % 3),
            })
            .collect()
    };
    for loss in [Loss::Logistic, Loss::Hinges] {
        let design = Design::of(Design {
            loss,
            rows: rows(),
            grams,
            labels: 3,
            penalty: PENALTY,
            units: Vec::new(),
        });
        let length = (grams + 7) * 3;
        let mut weights: Vec<f32> = (0..length)
            .map(|i| ((i * 37) % 11) as f32 * 0.1 - 0.5)
            .collect();
        let mut slope = vec![0.0; length];
        let reached = design.loss(&weights, &mut slope);
        let rows = rows();
        let plain = |weights: &[f32]| {
            let mut weights = weights.to_vec();
            design.in_units(&mut weights, |weight, unit| weight * unit);
            plain_loss(loss, &rows, grams, 3, &weights)
        };
        let expected = plain(&weights);
        assert!((reached - expected).abs() < 1e-5 * expected);
        for at in (0..length).step_by(5) {
            let mut moved = |by: f32| {
                let kept = weights[at];
                weights[at] = kept + by;
                let loss = plain(&weights);
                weights[at] = kept;
                loss
            };
            let expected = (moved(1e-2) - moved(-1e-2)) / 2e-2;
            assert!(
                (f64::from(slope[at]) - expected).abs() < 1e-3 * expected.abs().max(0.1),
                "weight {at}"
            );
        }
    }
}
