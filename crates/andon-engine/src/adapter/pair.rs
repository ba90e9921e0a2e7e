//! The two matrices that an adapter has for one of a model.

use std::collections::BTreeMap;

use super::layout::Place;
use crate::error::{LoadError, damaged, foreign};

/// Two matrices whose product, times a factor, is added to one of the model.
#[derive(Clone, Debug)]
pub(super) struct Pair {
    pub(super) place: Place,
    pub(super) rank: usize,
    /// The first, `rank` rows of as many columns as the model's matrix.
    pub(super) down: Vec<f32>,
    /// The second, as many rows as the model's matrix of `rank` columns.
    pub(super) up: Vec<f32>,
    /// What the product is multiplied by.
    pub(super) factor: f32,
}

/// Which of the two a tensor is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Half {
    Down,
    Up,
}

/// A tensor as a file has it.
pub(super) struct Found {
    pub(super) rows: usize,
    pub(super) columns: usize,
    pub(super) numbers: Vec<f32>,
}

/// The tensors of an adapter while they find together, under the names that
/// both of a pair have in common.
#[derive(Default)]
pub(super) struct Pairing(BTreeMap<String, Halves>);

struct Halves {
    place: Place,
    down: Option<Found>,
    up: Option<Found>,
}

impl Pairing {
    /// Takes a tensor whose shape fits the model.
    pub(super) fn take(
        &mut self,
        name: &str,
        half: Half,
        place: Place,
        found: Found,
    ) -> Result<(), LoadError> {
        let (wanted, has, what) = match half {
            Half::Down => (place.columns, found.columns, "columns"),
            Half::Up => (place.rows, found.rows, "rows"),
        };
        if wanted != has {
            return Err(foreign!("'{name}' has {has} {what}, not {wanted}"));
        }
        if let Some(number) = found.numbers.iter().find(|number| !number.is_finite()) {
            return Err(damaged!("the adapter's tensor '{name}' holds a {number}"));
        }
        let halves = self.0.entry(name.to_owned()).or_insert(Halves {
            place,
            down: None,
            up: None,
        });
        let free = match half {
            Half::Down => &mut halves.down,
            Half::Up => &mut halves.up,
        };
        *free = Some(found);
        Ok(())
    }

    /// The pairs, each with the factor that its rank gives.
    pub(super) fn finish(self, factor: impl Fn(usize) -> f32) -> Result<Vec<Pair>, LoadError> {
        if self.0.is_empty() {
            return Err(damaged!("the adapter holds no matrices"));
        }
        let pairs = self.0.into_iter().map(|(name, halves)| {
            let (Some(down), Some(up)) = (halves.down, halves.up) else {
                return Err(damaged!(
                    "the adapter has only one of the two matrices of '{name}'"
                ));
            };
            let rank = down.rows;
            if rank == 0 || up.columns != rank {
                return Err(damaged!(
                    "the matrices of '{name}' have {rank} rows and {} columns, which must be as many",
                    up.columns
                ));
            }
            let factor = factor(rank);
            if !factor.is_finite() {
                return Err(damaged!("the adapter's strength for '{name}' is {factor}"));
            }
            Ok(Pair {
                place: halves.place,
                rank,
                down: down.numbers,
                up: up.numbers,
                factor,
            })
        });
        pairs.collect()
    }
}
