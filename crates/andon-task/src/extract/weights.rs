//! Weights by feature and field, in a table by hash (Weinberger and others, 2009).

use super::hash;

/// Bits of a weight's place.
const BITS: u32 = 21;

/// Places for weights. Several features may share one.
pub const PLACES: usize = 1 << BITS;

/// The place of the weight of a feature for a field.
pub fn place(feature: u32, field: usize) -> usize {
    let mixed = hash::mix(u64::from(feature) << 16 ^ (field as u64 + 1));
    (mixed >> (64 - BITS)) as usize
}

/// A table of weights, most of them zero. A bit for each place says which are not: the bits
/// stay in the cache, the table does not.
#[derive(Debug)]
pub struct Weights {
    values: Vec<f32>,
    some: Vec<u64>,
}

impl Default for Weights {
    fn default() -> Self {
        Self {
            values: vec![0.0; PLACES],
            some: vec![0; PLACES / 64],
        }
    }
}

impl Weights {
    /// The weights at these places; `None` where one is no number or has no place.
    pub(super) fn of(weights: &[(u32, f32)]) -> Option<Self> {
        let mut table = Self::default();
        for &(place, weight) in weights {
            let place = place as usize;
            if place >= PLACES || !weight.is_finite() {
                return None;
            }
            *table.at(place) = weight;
        }
        Some(table)
    }

    /// The weight at a place, to be changed.
    pub fn at(&mut self, place: usize) -> &mut f32 {
        self.some[place / 64] |= 1 << (place % 64);
        &mut self.values[place]
    }

    /// The sum of the weights of features for a field.
    pub fn score(&self, field: usize, features: &[u32]) -> f64 {
        let weight = |&feature: &u32| {
            let place = place(feature, field);
            match self.some[place / 64] >> (place % 64) & 1 {
                0 => 0.0,
                _ => f64::from(self.values[place]),
            }
        };
        features.iter().map(weight).sum()
    }

    /// The weights that are far enough from zero to matter, by ascending place.
    pub fn listed(&self) -> Vec<(u32, f32)> {
        let far = |(_, weight): &(u32, f32)| weight.abs() > 1e-4;
        let all = self.values.iter().enumerate();
        all.map(|(place, &weight)| (place as u32, weight))
            .filter(far)
            .collect()
    }
}
