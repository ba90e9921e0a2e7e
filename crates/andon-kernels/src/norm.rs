//! Norms of rows that stay floats.

use crate::Kernels;
use crate::activation::{by_lanes, rms_factor};
use crate::isa::dispatch;
use crate::lanes::{LANES, Lanes};
use crate::share::Rows;

/// A root-mean-square norm (Zhang and Sennrich 2019).
#[derive(Clone, Copy, Debug)]
pub struct RmsNorm<'a> {
    /// One factor a column.
    pub weight: &'a [f32],
    /// Added to the mean square.
    pub epsilon: f32,
}

/// The weights of a layer norm (Ba, Kiros and Hinton 2016).
#[derive(Clone, Copy, Debug)]
pub struct LayerNorm<'a> {
    /// One factor a column.
    pub weight: &'a [f32],
    /// One addend a column.
    pub bias: &'a [f32],
    /// Added to the variance.
    pub epsilon: f32,
}

impl Kernels {
    /// Normalises every row in place: mean 0, variance 1, then weight and bias.
    ///
    /// # Panics
    /// If the rows are not whole or the weights too few.
    pub fn layer_norm(&self, rows: &mut [f32], norm: LayerNorm<'_>) {
        let columns = norm.weight.len();
        assert_eq!(norm.bias.len(), columns, "a bias for every weight");
        assert!(rows.len().is_multiple_of(columns), "whole rows");
        let tokens = rows.len() / columns;
        let rows = Rows::new(rows, columns);
        let per_chunk = tokens.div_ceil(4 * self.threads()).max(8);
        self.pool.for_each(tokens.div_ceil(per_chunk), &|chunk| {
            for token in chunk * per_chunk..tokens.min((chunk + 1) * per_chunk) {
                // SAFETY: each token is given to one chunk; lengths as checked.
                unsafe { normalise(self.isa, rows.row(token), norm) };
            }
        });
    }

    /// Adds to every row of `states` the row of `rows` in the same place, normalised.
    ///
    /// # Panics
    /// If the rows are not whole or not as many.
    pub fn add_rms_norm(&self, rows: &[f32], norm: RmsNorm<'_>, states: &mut [f32]) {
        let columns = norm.weight.len();
        assert_eq!(rows.len(), states.len(), "a row for every state");
        assert!(rows.len().is_multiple_of(columns), "whole rows");
        let tokens = rows.len() / columns;
        let states = Rows::new(states, columns);
        let per_chunk = tokens.div_ceil(4 * self.threads()).max(8);
        self.pool.for_each(tokens.div_ceil(per_chunk), &|chunk| {
            for token in chunk * per_chunk..tokens.min((chunk + 1) * per_chunk) {
                let row = &rows[token * columns..][..columns];
                // SAFETY: each token is given to one chunk; lengths as checked.
                unsafe { add_normalised(self.isa, row, norm, states.row(token)) };
            }
        });
    }
}

dispatch!(fn add_normalised(row: &[f32], norm: RmsNorm<'_>, state: &mut [f32]) = add_normalised_lanes);

#[inline(always)]
unsafe fn add_normalised_lanes<L: Lanes>(row: &[f32], norm: RmsNorm<'_>, state: &mut [f32]) {
    let columns = row.len();
    let before = state.to_vec();
    // SAFETY: `by_lanes` stays within the slices, all of one length.
    unsafe {
        let factor = L::splat(rms_factor::<L>(row, norm.epsilon));
        by_lanes!(columns, [x = row, w = norm.weight, s = before], state, {
            x.mul(factor).mul_add(w, s)
        });
    }
}

dispatch!(fn normalise(row: &mut [f32], norm: LayerNorm<'_>) = normalise_lanes);

#[inline(always)]
unsafe fn normalise_lanes<L: Lanes>(row: &mut [f32], norm: LayerNorm<'_>) {
    let columns = row.len();
    // The mean fills the last lanes: it adds nothing to the variance.
    let mut copy = row.to_vec();
    copy.resize(columns.next_multiple_of(LANES), 0.0);
    // SAFETY: `copy` is whole lanes; `by_lanes` stays within the slices.
    unsafe {
        let mut sum = L::splat(0.0);
        for lanes in copy.chunks_exact(LANES) {
            sum = sum.add(L::load(lanes.as_ptr()));
        }
        let mean = sum.sum() / columns as f32;
        copy[columns..].fill(mean);
        let shift = L::splat(mean);
        let mut squares = L::splat(0.0);
        for lanes in copy.chunks_exact(LANES) {
            let x = L::load(lanes.as_ptr()).sub(shift);
            squares = x.mul_add(x, squares);
        }
        let factor = L::splat(1.0 / (squares.sum() / columns as f32 + norm.epsilon).sqrt());
        by_lanes!(columns, [x = copy, w = norm.weight, b = norm.bias], row, {
            x.sub(shift).mul(factor).mul_add(w, b)
        });
    }
}
