//! Learning a `normalise` task: folds for the figures and the calibration, then the model
//! on all examples.

use andon_task::calibration::{self, Scored};
use andon_task::normalise::{
    Calibration, Decoded, Normalised, Normaliser, Ranker, Reader, align, decode, log_odds, tokens,
};

use super::evaluate::{Figures, Outcome, evaluate};
use super::pair::{Pair, pairs};
use super::train::train;
use crate::LearnError;

/// Parts that are held out in turn; fewer where examples abound.
const FOLDS: usize = 5;
const FEW_FOLDS: usize = 3;
/// From how many examples on there are fewer folds.
const MANY: usize = 3_000;

/// What was learned, and how well it answers texts that it was not trained on.
#[derive(Clone, Debug)]
pub struct Learned {
    /// The model of all examples.
    pub normaliser: Normaliser,
    /// The outcome of each example, held out.
    pub outcomes: Vec<Outcome>,
    /// Their figures.
    pub figures: Figures,
}

/// Learns to turn each text into its normalised text.
pub fn learn(
    task: &str,
    examples: &[(&str, &str)],
    progress: &mut dyn FnMut(usize, usize),
) -> Result<Learned, LearnError> {
    let count = if examples.len() < MANY {
        FOLDS
    } else {
        FEW_FOLDS
    };
    if examples.len() < 2 * count {
        return Err(LearnError::FewExamples {
            task: task.to_owned(),
            examples: examples.len(),
            needed: 2 * count,
        });
    }
    let pairs = pairs(examples);
    let mut held_out: Vec<Vec<Decoded>> = vec![Vec::new(); pairs.len()];
    // Texts that are the same must not stand on both sides.
    let mut fold_of = std::collections::BTreeMap::new();
    let folds: Vec<usize> = pairs
        .iter()
        .map(|pair| {
            let next = fold_of.len() % count;
            *fold_of.entry(pair.text.to_lowercase()).or_insert(next)
        })
        .collect();
    for fold in 0..count {
        progress(fold, count + 1);
        let chosen: Vec<&Pair<'_>> = pairs
            .iter()
            .zip(&folds)
            .filter_map(|(pair, of)| (*of != fold).then_some(pair))
            .collect();
        let (reader, ranker) = train(&chosen);
        for (at, pair) in pairs.iter().enumerate() {
            if folds[at] == fold {
                held_out[at] = decode(&reader.read(pair.text), &ranker);
            }
        }
    }
    let calibration = calibrate(&pairs, &held_out);
    let outcomes: Vec<Outcome> = pairs
        .iter()
        .zip(&held_out)
        .map(|(pair, decoded)| held_out_outcome(pair, decoded, calibration))
        .collect();
    progress(count, count + 1);
    let all: Vec<&Pair<'_>> = pairs.iter().collect();
    let (reader, ranker): (Reader, Ranker) = train(&all);
    progress(count + 1, count + 1);
    let figures = evaluate(&outcomes).ok_or_else(|| LearnError::NoExamples {
        task: task.to_owned(),
    })?;
    Ok(Learned {
        normaliser: Normaliser::new(&reader.memory, &ranker, calibration),
        outcomes,
        figures,
    })
}

/// What a normaliser made of a text, token by token. Which words each token should have
/// become is found by alignment, in the light of the model's own memory; where the whole
/// text is right, every token is.
pub fn outcome(
    normaliser: &Normaliser,
    (text, expected): (&str, &str),
    normalised: &Normalised,
) -> Outcome {
    let tokens = tokens(text);
    let answered = normalised.tokens.iter().map(|token| token.target.clone());
    let answered: Vec<String> = answered.collect();
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let targets = match words(expected) == words(&normalised.text) {
        true => answered.clone(),
        false => align(&tokens, expected, Some(normaliser.memory()), &[]),
    };
    let tokens = tokens.iter().zip(targets).zip(answered);
    Outcome {
        tokens: tokens
            .map(|((token, target), answered)| [token.text.to_owned(), target, answered])
            .collect(),
        probability: normalised.probability,
    }
}

fn held_out_outcome(pair: &Pair<'_>, decoded: &[Decoded], calibration: Calibration) -> Outcome {
    let tokens = pair.tokens.iter().zip(&pair.targets).zip(decoded);
    let tokens = tokens.map(|((token, target), decoded)| {
        [
            token.text.to_owned(),
            target.clone(),
            decoded.target.clone(),
        ]
    });
    let confidences = decoded
        .iter()
        .map(|decoded| decoded.confidence(calibration.temperature));
    Outcome {
        tokens: tokens.collect(),
        probability: calibration.whole(confidences),
    }
}

/// A temperature for tokens, and a line through the log-odds of texts (Platt, 1999).
fn calibrate(pairs: &[Pair<'_>], held_out: &[Vec<Decoded>]) -> Calibration {
    // What stands among no candidate is wrong at any temperature: a further candidate
    // that is never chosen stands for it.
    let scored: Vec<Scored> = pairs
        .iter()
        .zip(held_out)
        .flat_map(|(pair, decoded)| pair.targets.iter().zip(decoded))
        .map(|(target, decoded)| decoded.scored(target))
        .collect();
    let temperature = calibration::temperature(&scored);
    let points: Vec<(f64, f64)> = pairs
        .iter()
        .zip(held_out)
        .map(|(pair, decoded)| {
            let right = pair
                .targets
                .iter()
                .zip(decoded)
                .all(|(t, d)| *t == d.target);
            let confidences = decoded.iter().map(|d| d.confidence(temperature));
            (log_odds(confidences), f64::from(u8::from(right)))
        })
        .collect();
    let (slope, intercept) = line(&points);
    Calibration {
        temperature,
        slope,
        intercept,
    }
}

/// Slope and intercept of a logistic regression on one number, by Newton's method, held
/// near slope 1 and intercept 0 where there is little to go by.
fn line(points: &[(f64, f64)]) -> (f64, f64) {
    let (mut slope, mut intercept) = (1.0, 0.0);
    for _ in 0..30 {
        let (mut gradient, mut curvature) = ([slope - 1.0, intercept], [1.0, 0.0, 1.0]);
        for &(x, y) in points {
            let share = 1.0 / (1.0 + (-(slope * x + intercept)).exp());
            let (error, weight) = (share - y, share * (1.0 - share));
            gradient[0] += error * x;
            gradient[1] += error;
            curvature[0] += weight * x * x;
            curvature[1] += weight * x;
            curvature[2] += weight;
        }
        let determinant = curvature[0] * curvature[2] - curvature[1] * curvature[1];
        let step = [
            (curvature[2] * gradient[0] - curvature[1] * gradient[1]) / determinant,
            (curvature[0] * gradient[1] - curvature[1] * gradient[0]) / determinant,
        ];
        slope -= step[0].clamp(-1.0, 1.0);
        intercept -= step[1].clamp(-1.0, 1.0);
    }
    (slope.max(0.01), intercept)
}
