//! Training of the ranker: stochastic gradients with a step for each weight (AdaGrad;
//! Duchi, Hazan and Singer, 2011).

use andon_task::calibration::probabilities;
use andon_task::normalise::{Features, Ranker, Reader, Scene};

use super::pair::{Pair, memory};
use crate::random::Random;

const ROUNDS: usize = 6;
const STEP: f32 = 0.05;
const SEED: u64 = 7;

/// A reader and a ranker of these pairs.
pub(super) fn train(pairs: &[&Pair<'_>]) -> (Reader, Ranker) {
    let reader = Reader::new(memory(pairs.iter().copied()));
    let scenes: Vec<Scene<'_>> = pairs
        .iter()
        .map(|pair| reader.read_held_out(pair.text, &pair.targets))
        .collect();
    let mut ranker = Ranker::default();
    let mut state = State {
        weights: vec![1e-2; ranker.weights.len()],
        numbers: [1e-2; 6],
        features: Vec::new(),
    };
    let mut order: Vec<usize> = (0..pairs.len()).collect();
    let mut random = Random::seeded(SEED);
    let mut sum = Ranker::default();
    for round in 0..ROUNDS {
        random.shuffle(&mut order);
        for &text in &order {
            let mut previous = "";
            for (at, target) in pairs[text].targets.iter().enumerate() {
                state.learn(&mut ranker, &scenes[text], at, (previous, target));
                previous = target;
            }
        }
        if round >= ROUNDS / 2 {
            add(&mut sum, &ranker, (ROUNDS - ROUNDS / 2) as f32);
        }
    }
    (reader, sum)
}

/// Adds a share of the weights of a round: the mean of several errs less than the last.
fn add(sum: &mut Ranker, ranker: &Ranker, rounds: f32) {
    let weights = sum.weights.iter_mut().zip(&ranker.weights);
    let numbers = sum.numbers.iter_mut().zip(&ranker.numbers);
    for (sum, weight) in weights.chain(numbers) {
        *sum += weight / rounds;
    }
}

/// The sums of squared gradients, and room for features.
struct State {
    weights: Vec<f32>,
    numbers: [f32; 6],
    features: Vec<Features>,
}

impl State {
    /// Takes a step towards what became of a token.
    fn learn(
        &mut self,
        ranker: &mut Ranker,
        scene: &Scene<'_>,
        at: usize,
        (previous, target): (&str, &str),
    ) {
        let Some(right) = scene.candidates(at).position(|other| other == target) else {
            // It cannot be had: nothing is to be learnt from it.
            return;
        };
        let count = scene.candidates(at).len();
        self.features
            .resize_with(count.max(self.features.len()), Features::default);
        let mut scores = Vec::with_capacity(count);
        for candidate in 0..count {
            let features = &mut self.features[candidate];
            scene.features((at, candidate), previous, features);
            scores.push(ranker.score(features));
        }
        let shares = probabilities(&scores, 1.0);
        for (candidate, share) in shares.into_iter().enumerate() {
            let gradient = share as f32 - f32::from(u8::from(candidate == right));
            if gradient.abs() < 1e-4 {
                continue;
            }
            let features = &self.features[candidate];
            for &place in &features.places {
                let place = place as usize;
                self.weights[place] += gradient * gradient;
                ranker.weights[place] -= STEP * gradient / self.weights[place].sqrt();
            }
            for (at, number) in features.numbers.iter().enumerate() {
                let gradient = gradient * number;
                self.numbers[at] += gradient * gradient;
                ranker.numbers[at] -= STEP * gradient / self.numbers[at].sqrt();
            }
        }
    }
}
