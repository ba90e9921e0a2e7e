//! The product of packed weights and quantised activations.
//!
//! Integer products are summed over a group, exactly; then the sums of the
//! groups are added as floats, in the order of the columns. Neither the number
//! of tokens, nor that of threads, nor the form of the kernel changes a bit.

use crate::Kernels;
use crate::activation::{Activations, GROUP, Group};
use crate::isa::{Form, Isa};
use crate::matrix::{Format, Matrix, PANEL};
use crate::share::Rows;

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod scalar;

/// How far apart rows of `columns` floats are best put: not a multiple of a
/// kilobyte, which would send all rows to the same few places of the caches.
pub fn row_stride(columns: usize) -> usize {
    if columns.is_multiple_of(256) {
        columns + 16
    } else {
        columns
    }
}

/// What becomes of the products.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// They replace what was there.
    Replace,
    /// They are added to what was there.
    Add,
}

impl Kernels {
    /// Multiplies: `out[token][row] = matrix[row] · activations[token]`, plus
    /// the matrix' bias. `out` has `stride` numbers a token, of which the first
    /// `matrix.rows()` are written.
    ///
    /// # Panics
    /// If the shapes do not fit.
    pub fn matmul(
        &self,
        matrix: &Matrix,
        activations: &Activations,
        output: Output,
        out: &mut [f32],
        stride: usize,
    ) {
        let tokens = activations.tokens();
        assert_eq!(
            activations.columns(),
            matrix.groups() * GROUP,
            "as many columns in the activations as in the matrix"
        );
        let out = Rows::spaced(out, tokens, stride, matrix.rows());
        let rows = activations.rows();
        let passes = activations.passes();
        let panels = matrix.panels();
        let per_turn = (panels / 48).max(1);
        self.pool.for_each_turn(panels.div_ceil(per_turn), &|turn| {
            let end = panels.min((turn.chunk + 1) * per_turn);
            for panel in turn.chunk * per_turn..end {
                let after = match panel + 1 {
                    after if after < end => Some(after),
                    _ => turn.next.map(|next| next * per_turn),
                };
                let first = panel * PANEL;
                let count = PANEL.min(matrix.rows() - first);
                let bias = matrix.bias().map(|bias| &bias[first..first + count]);
                let job = Job {
                    format: matrix.format(),
                    panel: matrix.panel(panel),
                    next: after.map_or(&[], |after| matrix.panel(after)),
                    rows: &rows,
                };
                job.run(self.isa, |row, values| {
                    let (token, pass) = (row / passes, row % passes);
                    // SAFETY: the panel belongs to this turn alone, and so do
                    // these `count` places of each token's row.
                    let places =
                        unsafe { std::slice::from_raw_parts_mut(out.at(token, first), count) };
                    let mode = if pass == 0 { output } else { Output::Add };
                    write(places, values, mode);
                    if let Some(bias) = bias.filter(|_| pass == 0) {
                        add(places, bias);
                    }
                });
            }
        });
    }
}

#[inline(always)]
fn write(places: &mut [f32], values: &[f32; PANEL], output: Output) {
    match (output, places.first_chunk_mut::<PANEL>()) {
        (Output::Replace, Some(places)) => *places = *values,
        (Output::Replace, None) => places.copy_from_slice(&values[..places.len()]),
        (Output::Add, Some(places)) => add(places, values),
        (Output::Add, None) => add(places, values),
    }
}

#[inline(always)]
fn add(places: &mut [f32], values: &[f32]) {
    places.iter_mut().zip(values).for_each(|(to, x)| *to += x);
}

/// One panel against all rows of the activations.
struct Job<'a> {
    format: Format,
    panel: &'a [u8],
    /// The panel that this thread is likely to take next.
    next: &'a [u8],
    rows: &'a [&'a [Group]],
}

impl Job<'_> {
    /// Calls `emit(row, products)` for every row of the activations, in order.
    fn run(&self, isa: Isa, emit: impl FnMut(usize, &[f32; PANEL])) {
        match isa.0 {
            #[cfg(target_arch = "x86_64")]
            // SAFETY: an `Isa` exists only where its instructions do; the
            // shapes were checked by `matmul`.
            Form::Avx512 => unsafe { avx512::run(self, emit) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: as above.
            Form::Avx2 => unsafe { avx2::run(self, emit) },
            Form::Scalar => scalar::run(self, emit),
        }
    }
}
