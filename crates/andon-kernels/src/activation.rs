//! Activations in int8, a scale for each group of 32.

use crate::Kernels;
use crate::isa::{Isa, dispatch};
use crate::lanes::{LANES, Lanes};
use crate::share::Rows;

/// Numbers that share a scale, in weights and activations alike.
pub const GROUP: usize = 32;

/// The rows of a batch, one a token, quantised: `value = scale * code`.
#[derive(Debug, Default)]
pub struct Activations {
    /// Rows.
    tokens: usize,
    /// Numbers in a row, filled with zeros to a whole number of groups.
    columns: usize,
    /// Quantised rows of a token.
    passes: usize,
    groups: Vec<Group>,
}

/// Integer sums may start at the bits of this float, whose last place is one: as
/// long as a sum stays below 2^22 its bits are those of this float plus the sum,
/// and it needs no conversion.
pub(crate) const BIAS: f32 = 12_582_912.0;

/// A group of a quantised row, with what products need beside the codes: all in
/// one place, so that a kernel follows one pointer a row.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C, align(16))]
pub(crate) struct Group {
    pub(crate) codes: [i8; GROUP],
    pub(crate) scale: f32,
    /// The sum of the codes times the scale: what a minimum is multiplied by.
    pub(crate) offset: f32,
    /// The sum of the codes times -128, which takes back the 128 that 8-bit
    /// weights are too large, plus the bits of [`BIAS`].
    pub(crate) biased_start: i32,
}

/// What is done to a row before it is quantised.
#[derive(Clone, Copy, Debug)]
pub enum Transform<'a> {
    /// Nothing: rows of `columns` numbers.
    None,
    /// Root-mean-square norm (Zhang and Sennrich 2019), times `weight`.
    RmsNorm {
        /// One factor a column.
        weight: &'a [f32],
        /// Added to the mean square.
        epsilon: f32,
    },
    /// SwiGLU (Shazeer 2020): rows have twice the columns, gate before up;
    /// `gate * sigmoid(gate) * up`.
    SwiGlu,
    /// GeGLU (Shazeer 2020): rows have twice the columns, gate before up;
    /// `gelu(gate) * up`, with the approximation of GELU by the hyperbolic tangent.
    GeGlu,
    /// GELU with the error function (Hendrycks and Gimpel 2016).
    Gelu,
}

/// How exactly activations are quantised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precision {
    /// To eight bits.
    Single,
    /// To eight bits, and what that leaves over to eight bits more: products
    /// cost twice the arithmetic, but read the weights once.
    Double,
}

impl Activations {
    /// Fills this with the quantised form of `input`: `tokens` rows that begin
    /// every `stride` numbers and give `columns` numbers each after `transform`.
    ///
    /// # Panics
    /// If `input` or the transform's weights are too short.
    pub fn fill(
        &mut self,
        kernels: &Kernels,
        input: Input<'_>,
        transform: Transform<'_>,
        precision: Precision,
    ) {
        let Kernels { isa, pool } = kernels;
        let Input {
            rows,
            tokens,
            stride,
            columns: given,
        } = input;
        let width = match transform {
            Transform::SwiGlu | Transform::GeGlu => 2 * given,
            _ => given,
        };
        assert!(
            tokens == 0 || (tokens - 1) * stride + width <= rows.len(),
            "the input has {} numbers, too few for {tokens} rows of {width} every {stride}",
            rows.len()
        );
        if let Transform::RmsNorm { weight, .. } = transform {
            assert!(weight.len() >= given, "one weight a column");
        }
        self.tokens = tokens;
        self.columns = given.next_multiple_of(GROUP);
        self.passes = match precision {
            Precision::Single => 1,
            Precision::Double => 2,
        };
        let (columns, passes) = (self.columns, self.passes);
        let groups = columns / GROUP;
        self.groups
            .resize(tokens * passes * groups, Group::default());
        let quantised = Rows::new(&mut self.groups, groups);
        // A row costs about a microsecond; fewer are not worth a second thread.
        let per_chunk = tokens.div_ceil(4 * pool.threads()).max(4);
        pool.for_each(tokens.div_ceil(per_chunk), &|chunk| {
            let mut buffer = vec![0.0; columns];
            for token in chunk * per_chunk..tokens.min((chunk + 1) * per_chunk) {
                let row = &rows[token * stride..token * stride + width];
                // SAFETY: the lengths were checked above; each token is given
                // to one chunk, so its rows are this call's alone.
                unsafe {
                    transform_row(*isa, row, transform, &mut buffer[..given]);
                    for row in token * passes..(token + 1) * passes {
                        let groups = quantised.row(row);
                        quantise_row(*isa, &buffer, groups);
                        if passes > 1 {
                            subtract(&mut buffer, groups);
                        }
                    }
                }
            }
        });
    }

    /// Fills this with some rows of others, as they are quantised there.
    ///
    /// # Panics
    /// If there is no such row.
    pub fn gather(&mut self, from: &Self, tokens: &[usize]) {
        self.tokens = tokens.len();
        self.columns = from.columns;
        self.passes = from.passes;
        self.groups.clear();
        let row = from.columns / GROUP * from.passes;
        for &token in tokens {
            let groups = &from.groups[token * row..(token + 1) * row];
            self.groups.extend_from_slice(groups);
        }
    }

    /// Tokens.
    pub fn tokens(&self) -> usize {
        self.tokens
    }

    /// Numbers in a row, with the zeros that fill the last group.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// Quantised rows of a token, whose products are added.
    pub(crate) fn passes(&self) -> usize {
        self.passes
    }

    /// All quantised rows, token after token.
    pub(crate) fn rows(&self) -> Vec<&[Group]> {
        match self.columns / GROUP {
            0 => Vec::new(),
            groups => self.groups.chunks_exact(groups).collect(),
        }
    }
}

/// Leaves of a row what its quantised form does not hold.
fn subtract(row: &mut [f32], groups: &[Group]) {
    for (values, group) in row.chunks_exact_mut(GROUP).zip(groups) {
        for (value, &code) in values.iter_mut().zip(&group.codes) {
            *value -= f32::from(code) * group.scale;
        }
    }
}

/// Rows of floats in a larger buffer.
#[derive(Clone, Copy, Debug)]
pub struct Input<'a> {
    /// The buffer, from the first row on.
    pub rows: &'a [f32],
    /// How many rows.
    pub tokens: usize,
    /// From the beginning of a row to that of the next.
    pub stride: usize,
    /// Numbers that a row gives.
    pub columns: usize,
}

impl<'a> Input<'a> {
    /// All rows of a buffer: one every `stride` numbers, of which it gives the
    /// first `columns` (or what a transform reads for as many).
    pub fn of(buffer: &'a [f32], stride: usize, columns: usize) -> Self {
        Self {
            rows: buffer,
            tokens: buffer.len() / stride,
            stride,
            columns,
        }
    }
}

/// Applies `transform` to one row.
///
/// # Safety
/// `row` has the width that the transform reads, its weights as many numbers as `out`.
unsafe fn transform_row(isa: Isa, row: &[f32], transform: Transform<'_>, out: &mut [f32]) {
    // SAFETY: the caller's contract is passed on.
    unsafe {
        match transform {
            Transform::None => out.copy_from_slice(row),
            Transform::RmsNorm { weight, epsilon } => rms_norm(isa, row, weight, epsilon, out),
            Transform::SwiGlu => swiglu(isa, row, out),
            Transform::GeGlu => geglu(isa, row, out),
            Transform::Gelu => gelu(isa, row, out),
        }
    }
}

dispatch!(fn rms_norm(row: &[f32], weight: &[f32], epsilon: f32, out: &mut [f32]) = rms_norm_lanes);
dispatch!(fn swiglu(row: &[f32], out: &mut [f32]) = swiglu_lanes);
dispatch!(fn geglu(row: &[f32], out: &mut [f32]) = geglu_lanes);
dispatch!(fn gelu(row: &[f32], out: &mut [f32]) = gelu_lanes);
dispatch!(fn quantise_row(row: &[f32], groups: &mut [Group]) = quantise_lanes);

/// Evaluates `$whole` for every sixteen columns and, where columns remain, once
/// more on copies filled with zeros.
macro_rules! by_lanes {
    ($columns:expr, [$($name:ident = $slice:expr),*], $out:expr, $whole:expr) => {{
        let columns: usize = $columns;
        let out: &mut [f32] = $out;
        let mut at = 0;
        while at + LANES <= columns {
            $(let $name = L::load($slice.as_ptr().add(at));)*
            $whole.store(out.as_mut_ptr().add(at));
            at += LANES;
        }
        if at < columns {
            let rest = columns - at;
            $(
                let mut copy = [0.0f32; LANES];
                copy[..rest].copy_from_slice(&$slice[at..columns]);
                let $name = L::load(copy.as_ptr());
            )*
            let mut result = [0.0f32; LANES];
            $whole.store(result.as_mut_ptr());
            out[at..columns].copy_from_slice(&result[..rest]);
        }
    }};
}
pub(crate) use by_lanes;

#[inline(always)]
unsafe fn rms_norm_lanes<L: Lanes>(row: &[f32], weight: &[f32], epsilon: f32, out: &mut [f32]) {
    // SAFETY: `by_lanes` stays within the slices; the lanes are the caller's.
    unsafe {
        let factor = L::splat(rms_factor::<L>(row, epsilon));
        by_lanes!(out.len(), [x = row, w = weight], out, x.mul(factor).mul(w));
    }
}

/// What a row is multiplied by so that the mean of its squares becomes one.
#[inline(always)]
pub(crate) unsafe fn rms_factor<L: Lanes>(row: &[f32], epsilon: f32) -> f32 {
    // SAFETY: whole lanes of the row, the rest on a copy filled with zeros.
    unsafe {
        let mut squares = L::splat(0.0);
        let mut chunks = row.chunks_exact(LANES);
        for chunk in &mut chunks {
            let x = L::load(chunk.as_ptr());
            squares = x.mul_add(x, squares);
        }
        let mut rest = [0.0; LANES];
        rest[..chunks.remainder().len()].copy_from_slice(chunks.remainder());
        let x = L::load(rest.as_ptr());
        squares = x.mul_add(x, squares);
        let mean = squares.sum() / row.len() as f32;
        1.0 / (mean + epsilon).sqrt()
    }
}

#[inline(always)]
unsafe fn swiglu_lanes<L: Lanes>(row: &[f32], out: &mut [f32]) {
    // SAFETY: `by_lanes` stays within the slices; the lanes are the caller's.
    unsafe {
        let (gate, up) = row.split_at(out.len());
        let one = L::splat(1.0);
        by_lanes!(out.len(), [g = gate, u = up], out, {
            let denominator = one.add(L::splat(0.0).sub(g).exp());
            g.div(denominator).mul(u)
        });
    }
}

#[inline(always)]
unsafe fn geglu_lanes<L: Lanes>(row: &[f32], out: &mut [f32]) {
    // SAFETY: `by_lanes` stays within the slices; the lanes are the caller's.
    unsafe {
        let (gate, up) = row.split_at(out.len());
        let one = L::splat(1.0);
        by_lanes!(out.len(), [g = gate, u = up], out, {
            // x (1 + tanh y) / 2 is x / (1 + exp -2y), y = sqrt(2 / pi) (x + 0.044715 x^3).
            let cubic = g
                .mul(g)
                .mul_add(L::splat(-0.071_354_814), L::splat(-1.595_769));
            let denominator = one.add(g.mul(cubic).exp());
            g.div(denominator).mul(u)
        });
    }
}

#[inline(always)]
unsafe fn gelu_lanes<L: Lanes>(row: &[f32], out: &mut [f32]) {
    // SAFETY: `by_lanes` stays within the slices; the lanes are the caller's.
    unsafe {
        by_lanes!(out.len(), [x = row], out, {
            // x erf(x / sqrt 2) is even in x, so the error function of |x| suffices.
            let magnitude = x.abs();
            let e = erf_positive(magnitude.mul(L::splat(std::f32::consts::FRAC_1_SQRT_2)));
            magnitude.mul_add(e, x).mul(L::splat(0.5))
        });
    }
}

/// The error function of numbers that are not negative, to 1.5e-7
/// (Abramowitz and Stegun, Handbook of Mathematical Functions, 7.1.26).
#[inline(always)]
unsafe fn erf_positive<L: Lanes>(x: L) -> L {
    // SAFETY: the lanes are the caller's.
    unsafe {
        let one = L::splat(1.0);
        let t = one.div(x.mul_add(L::splat(0.327_591_1), one));
        let mut p = L::splat(1.061_405_4);
        for c in [-1.453_152_1, 1.421_413_8, -0.284_496_72, 0.254_829_6] {
            p = p.mul_add(t, L::splat(c));
        }
        let tail = p.mul(t).mul(L::splat(0.0).sub(x.mul(x)).exp());
        one.sub(tail)
    }
}

/// # Safety
/// `row` has as many numbers as `groups` hold.
#[inline(always)]
unsafe fn quantise_lanes<L: Lanes>(row: &[f32], groups: &mut [Group]) {
    // SAFETY: a group is 32 numbers, twice the lanes.
    unsafe {
        for (index, group) in groups.iter_mut().enumerate() {
            let from = row.as_ptr().add(index * GROUP);
            let to = group.codes.as_mut_ptr();
            let (low, high) = (L::load(from), L::load(from.add(LANES)));
            let largest = low.abs().max(high.abs()).maximum();
            // Below that the inverse overflows; such numbers are as good as zero.
            let scale = match largest * (1.0 / 127.0) {
                scale if scale < f32::MIN_POSITIVE => 0.0,
                scale => scale,
            };
            let inverse = L::splat(if scale > 0.0 { 1.0 / scale } else { 0.0 });
            let (low, high) = (low.mul(inverse), high.mul(inverse));
            let sum = L::store_bytes(low, high, to);
            group.scale = scale;
            group.offset = scale * sum as f32;
            // Where a number is not finite the sum means nothing, and may be huge.
            let excess = sum.wrapping_mul(128);
            group.biased_start = (BIAS.to_bits() as i32).wrapping_sub(excess);
        }
    }
}
