//! A log-linear model over candidates (Berger, Della Pietra and Della Pietra, 1996).

use super::feature::{BITS, Features, NUMBERS};

/// Weights of features.
#[derive(Clone, Debug, PartialEq)]
pub struct Ranker {
    /// One for each place.
    pub weights: Vec<f32>,
    /// One for each number.
    pub numbers: [f32; NUMBERS],
}

impl Default for Ranker {
    fn default() -> Self {
        Self {
            weights: vec![0.0; 1 << BITS],
            numbers: [0.0; NUMBERS],
        }
    }
}

impl Ranker {
    /// The score of a candidate, of its features.
    pub fn score(&self, features: &Features) -> f32 {
        let places = features.places.iter();
        let indicated: f32 = places.map(|&place| self.weights[place as usize]).sum();
        let numbers = self.numbers.iter().zip(&features.numbers);
        indicated + numbers.map(|(weight, number)| weight * number).sum::<f32>()
    }
}
