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
#[cfg(target_arch = "aarch64")]
mod neon;
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
        let panels = Panels::All(matrix.panels());
        self.multiply(matrix, activations, panels, output, out, stride);
    }

    /// As [`Kernels::matmul`], but only for the given panels: the other places of
    /// `out` stay as they are. Panel `p` has rows `PANEL * p` and following.
    ///
    /// # Panics
    /// If the shapes do not fit, or panels are not in order or not of the matrix.
    pub fn matmul_panels(
        &self,
        matrix: &Matrix,
        activations: &Activations,
        panels: &[usize],
        output: Output,
        out: &mut [f32],
        stride: usize,
    ) {
        assert!(
            panels.is_sorted_by(|a, b| a < b) && panels.last().is_none_or(|&p| p < matrix.panels()),
            "panels of the matrix, each once"
        );
        let panels = Panels::Some(panels);
        self.multiply(matrix, activations, panels, output, out, stride);
    }

    fn multiply(
        &self,
        matrix: &Matrix,
        activations: &Activations,
        chosen: Panels<'_>,
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
        if tokens == 0 {
            return;
        }
        let rows = activations.rows();
        let passes = activations.passes();
        let panels = chosen.count();
        // Few panels are halved, so that no thread waits long for another's last.
        let parts = match self.pool.threads() > 1 && panels < 48 && rows.len() >= 48 {
            true => 2,
            false => 1,
        };
        // The passes of a token are added one after the other, by one thread.
        let rows_of = |part: usize| tokens * part / parts * passes;
        let units = panels * parts;
        let per_turn = (units / 48).max(1);
        self.pool.for_each_turn(units.div_ceil(per_turn), &|turn| {
            let end = units.min((turn.chunk + 1) * per_turn);
            for unit in turn.chunk * per_turn..end {
                let (panel, part) = (chosen.number(unit / parts), unit % parts);
                let after = match unit + 1 {
                    after if after < end => Some(after / parts),
                    _ => turn.next.map(|next| next * per_turn / parts),
                };
                let after = after.map(|after| chosen.number(after));
                let first = panel * PANEL;
                let count = PANEL.min(matrix.rows() - first);
                let job = Job {
                    format: matrix.format(),
                    panel: matrix.panel(panel),
                    next: match after {
                        Some(after) if after != panel => matrix.panel(after),
                        _ => &[],
                    },
                    rows: &rows[rows_of(part)..rows_of(part + 1)],
                    first_row: rows_of(part),
                    passes,
                    output,
                    bias: matrix.bias().map(|bias| &bias[first..first + count]),
                    columns: (first, count),
                    out: &out,
                };
                job.run(self.isa);
            }
        });
    }
}

/// Which panels of a matrix are multiplied.
#[derive(Clone, Copy)]
enum Panels<'a> {
    /// All, as many as these.
    All(usize),
    /// These.
    Some(&'a [usize]),
}

impl Panels<'_> {
    fn count(self) -> usize {
        match self {
            Self::All(count) => count,
            Self::Some(panels) => panels.len(),
        }
    }

    /// The panel in this place.
    fn number(self, place: usize) -> usize {
        match self {
            Self::All(_) => place,
            Self::Some(panels) => panels[place],
        }
    }
}

/// Some rows of the activations against one panel.
struct Job<'a> {
    format: Format,
    panel: &'a [u8],
    /// The panel that this thread is likely to take next.
    next: &'a [u8],
    rows: &'a [&'a [Group]],
    /// The number of the first of them among all.
    first_row: usize,
    /// Rows of a token, whose products are added.
    passes: usize,
    output: Output,
    bias: Option<&'a [f32]>,
    /// Where the panel's products begin in a token's output, and how many they are.
    columns: (usize, usize),
    out: &'a Rows<'a, f32>,
}

/// Where the products of one row go.
struct Place<'a> {
    to: *mut f32,
    /// How many of the panel's products there are.
    count: usize,
    /// Whether the products are added to what is there.
    adds: bool,
    /// What is added after that, `count` numbers.
    bias: Option<&'a [f32]>,
}

impl Job<'_> {
    fn run(&self, isa: Isa) {
        match isa.0 {
            #[cfg(target_arch = "x86_64")]
            // SAFETY: an `Isa` exists only where its instructions do; the
            // shapes were checked by `matmul`.
            Form::Avx512 => unsafe { avx512::run(self) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: as above.
            Form::AvxVnni => unsafe { avx2::run_avx_vnni(self) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: as above.
            Form::Avx2 => unsafe { avx2::run_avx2(self) },
            #[cfg(target_arch = "aarch64")]
            // SAFETY: as above.
            Form::I8mm => unsafe { neon::run_i8mm(self) },
            #[cfg(target_arch = "aarch64")]
            // SAFETY: as above.
            Form::Dotprod => unsafe { neon::run_dotprod(self) },
            #[cfg(target_arch = "aarch64")]
            // SAFETY: as above.
            Form::Neon => unsafe { neon::run_neon(self) },
            Form::Scalar => scalar::run(self),
        }
    }

    /// The place of the products of one of the job's rows. Nobody else has it:
    /// a panel of a token belongs to one job, and its passes are in order.
    #[inline(always)]
    fn place(&self, row: usize) -> Place<'_> {
        let row = self.first_row + row;
        let (token, pass) = (row / self.passes, row % self.passes);
        let (first, count) = self.columns;
        Place {
            // SAFETY: the places of this panel and token are this job's alone.
            to: unsafe { self.out.at(token, first) },
            count,
            adds: pass > 0 || self.output == Output::Add,
            bias: self.bias.filter(|_| pass == 0),
        }
    }

    /// Writes the products of one of the job's rows to their place.
    fn put(&self, row: usize, products: &[f32; PANEL]) {
        let Place {
            to,
            count,
            adds,
            bias,
        } = self.place(row);
        // SAFETY: `place` gives `count` places that are this job's alone.
        let places = unsafe { std::slice::from_raw_parts_mut(to, count) };
        for (place, product) in places.iter_mut().zip(products) {
            *place = if adds { *place + product } else { *product };
        }
        for (place, bias) in places.iter_mut().zip(bias.unwrap_or(&[])) {
            *place += bias;
        }
    }
}
