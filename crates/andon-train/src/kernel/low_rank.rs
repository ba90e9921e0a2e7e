//! Products with matrices of few rows: what an adapter costs beside its model.
//!
//! gemm is made for large matrices; with eight rows it is bound by what it packs. Here
//! each row of activations is read once, in one pass with what it is added to.

use rayon::prelude::*;

use super::{LANES, dot, widest};

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
                || {
                    let input = span.of(input);
                    let rows = few.numbers.chunks_exact(few.columns);
                    for (out, row) in out.iter_mut().zip(rows) {
                        *out = scale * dot(row, input);
                    }
                },
            );
        });
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
    let rank = out.len() / span.length;
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
    pieces
        .into_par_iter()
        .enumerate()
        .for_each(|(index, mut piece_rows)| {
            widest(
                #[inline(always)]
                || {
                    let first = span.first + index * piece;
                    let length = piece_rows[0].len();
                    let tokens = input.chunks_exact(span.stride);
                    for (input, factors) in tokens.zip(factors.chunks_exact(rank)) {
                        let input = &input[first..][..length];
                        for (out, factor) in piece_rows.iter_mut().zip(factors) {
                            for (out, input) in out.iter_mut().zip(input) {
                                *out += factor * input;
                            }
                        }
                    }
                },
            );
        });
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
