//! Products with matrices of few rows: what an adapter costs beside its model.
//!
//! gemm is made for large matrices; with eight rows it is bound by what it packs. Here
//! each row of activations is read once, in one pass with what it is added to.

use rayon::prelude::*;

use super::lanes::total;
use super::{LANES, dot, widest};

/// Rows, or tokens, that are computed together: what they share is read once.
const TOGETHER: usize = 4;

/// Few rows, one after the other, and the columns of a wider matrix that they are for.
#[derive(Clone, Copy)]
pub(crate) struct Rows<'a> {
    /// `[row][columns]`.
    pub(crate) numbers: &'a [f32],
    /// Numbers in a row.
    pub(crate) columns: usize,
}

/// Rows of activations that are not always all of a buffer's.
#[derive(Clone, Copy)]
pub(crate) struct Span {
    /// From a row to the next.
    pub(crate) stride: usize,
    /// The first number of a row.
    pub(crate) first: usize,
    /// Numbers of a row.
    pub(crate) length: usize,
}

impl Span {
    /// All of a buffer's rows.
    pub(crate) fn whole(length: usize) -> Self {
        Self {
            stride: length,
            first: 0,
            length,
        }
    }

    #[inline(always)]
    fn of<'a>(&self, row: &'a [f32]) -> &'a [f32] {
        &row[self.first..][..self.length]
    }
}

/// `out[token][row] = few[row] · input[token]`, times `scale`.
pub(crate) fn project(input: &[f32], span: Span, few: Rows<'_>, scale: f32, out: &mut [f32]) {
    let rank = few.numbers.len() / few.columns;
    let out = out.par_chunks_mut(rank).with_min_len(8);
    out.zip(input.par_chunks(span.stride))
        .for_each(|(out, input)| {
            widest(
                #[inline(always)]
                || project_row(span.of(input), few, scale, out),
            );
        });
}

#[inline(always)]
fn project_row(input: &[f32], few: Rows<'_>, scale: f32, out: &mut [f32]) {
    let mut rows = few.numbers.chunks_exact(few.columns * TOGETHER);
    let (whole, rest) = out.as_chunks_mut::<TOGETHER>();
    for (out, rows) in whole.iter_mut().zip(&mut rows) {
        *out = dots(rows, input);
        out.iter_mut().for_each(|sum| *sum *= scale);
    }
    let rows = rows.remainder().chunks_exact(few.columns);
    for (out, row) in rest.iter_mut().zip(rows) {
        *out = scale * dot(row, input);
    }
}

/// The products of a vector with some rows, each as [`dot`] gives it.
#[inline(always)]
fn dots(rows: &[f32], input: &[f32]) -> [f32; TOGETHER] {
    let columns = input.len();
    let mut lanes = [[0.0f32; LANES]; TOGETHER];
    let (chunks, rest) = input.as_chunks::<LANES>();
    for (at, x) in chunks.iter().enumerate() {
        for (index, lanes) in lanes.iter_mut().enumerate() {
            let row = &rows[index * columns + at * LANES..][..LANES];
            for lane in 0..LANES {
                lanes[lane] += row[lane] * x[lane];
            }
        }
    }
    let mut sums = [0.0; TOGETHER];
    for (index, sum) in sums.iter_mut().enumerate() {
        let end = (index + 1) * columns;
        let row = &rows[end - rest.len()..end];
        let rest: f32 = row.iter().zip(rest).map(|(x, y)| x * y).sum();
        *sum = total(&lanes[index]) + rest;
    }
    sums
}

/// `out[token] += sum of factors[token][row] * few[row]`.
pub(crate) fn expand(factors: &[f32], few: Rows<'_>, out: &mut [f32], span: Span) {
    let rank = few.numbers.len() / few.columns;
    let out = out.par_chunks_mut(span.stride).with_min_len(8);
    out.zip(factors.par_chunks(rank))
        .for_each(|(out, factors)| {
            widest(
                #[inline(always)]
                || add_rows(factors, few, &mut out[span.first..][..span.length]),
            );
        });
}

/// `out[row] += sum of factors[token][row] * input[token]`, over the tokens in order.
pub(crate) fn gather(factors: &[f32], input: &[f32], span: Span, out: &mut [f32]) {
    // Threads divide the columns, so that each sum stays in one order.
    let piece = span.length.div_ceil(4).next_multiple_of(LANES);
    let mut rows: Vec<_> = out
        .chunks_mut(span.length)
        .map(|row| row.chunks_mut(piece))
        .collect();
    let mut pieces = Vec::new();
    loop {
        let column: Vec<&mut [f32]> = rows.iter_mut().filter_map(Iterator::next).collect();
        if column.is_empty() {
            break;
        }
        pieces.push(column);
    }
    let pieces = pieces.into_par_iter().enumerate();
    pieces.for_each(|(index, mut rows)| {
        let first = span.first + index * piece;
        widest(
            #[inline(always)]
            || gather_piece(factors, input, (span.stride, first), &mut rows),
        );
    });
}

/// What [`gather`] does for the columns of `out`, which begin at `first`.
#[inline(always)]
fn gather_piece(
    factors: &[f32],
    input: &[f32],
    (stride, first): (usize, usize),
    out: &mut [&mut [f32]],
) {
    let (rank, length) = (out.len(), out[0].len());
    let mut tokens = input.chunks_exact(stride * TOGETHER);
    let mut weights = factors.chunks_exact(rank * TOGETHER);
    for (tokens, weights) in (&mut tokens).zip(&mut weights) {
        let token = |index: usize| &tokens[index * stride + first..][..length];
        let (a, b, c, d) = (token(0), token(1), token(2), token(3));
        for (row, out) in out.iter_mut().enumerate() {
            let weight = |index: usize| weights[index * rank + row];
            let (wa, wb, wc, wd) = (weight(0), weight(1), weight(2), weight(3));
            let out = &mut out[..length];
            for at in 0..length {
                out[at] += wa * a[at] + wb * b[at] + wc * c[at] + wd * d[at];
            }
        }
    }
    let tokens = tokens.remainder().chunks_exact(stride);
    for (token, weights) in tokens.zip(weights.remainder().chunks_exact(rank)) {
        let token = &token[first..][..length];
        for (out, weight) in out.iter_mut().zip(weights) {
            out.iter_mut()
                .zip(token)
                .for_each(|(out, x)| *out += weight * x);
        }
    }
}

#[inline(always)]
fn add_rows(factors: &[f32], few: Rows<'_>, out: &mut [f32]) {
    let (chunks, rest) = out.as_chunks_mut::<LANES>();
    let whole = chunks.len() * LANES;
    for (index, out) in chunks.iter_mut().enumerate() {
        let mut sum = *out;
        let rows = few.numbers.chunks_exact(few.columns);
        for (row, factor) in rows.zip(factors) {
            let row = &row[index * LANES..][..LANES];
            for lane in 0..LANES {
                sum[lane] += factor * row[lane];
            }
        }
        *out = sum;
    }
    for (column, out) in rest.iter_mut().enumerate() {
        let rows = few.numbers.chunks_exact(few.columns);
        for (row, factor) in rows.zip(factors) {
            *out += factor * row[whole + column];
        }
    }
}
