//! Rotary position embeddings (Su et al. 2021).

use crate::Kernels;
use crate::share::Rows;

/// Which numbers of a head are rotated together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pairing {
    /// Neighbours: 0 with 1, 2 with 3.
    Neighbours,
    /// The first half with the second.
    Halves,
}

/// Cosine and sine of every pair's angle at the positions of a batch.
#[derive(Debug, Default)]
pub struct Angles {
    pairs: usize,
    /// `[token][pair]`.
    rotations: Vec<(f32, f32)>,
}

impl Angles {
    /// The angles at `positions`: pair `i` turns by `frequencies[i]` a token, and
    /// becomes `length` times as long.
    pub fn new(
        positions: impl IntoIterator<Item = usize>,
        frequencies: &[f64],
        length: f64,
    ) -> Self {
        let rotations = positions
            .into_iter()
            .flat_map(|position| {
                frequencies.iter().map(move |frequency| {
                    let (sin, cos) = (position as f64 * frequency).sin_cos();
                    ((length * cos) as f32, (length * sin) as f32)
                })
            })
            .collect();
        Self {
            pairs: frequencies.len(),
            rotations,
        }
    }
}

/// Heads to rotate, at the beginning of each row of a buffer.
#[derive(Clone, Copy, Debug)]
pub struct Span {
    /// From a row to the next.
    pub stride: usize,
    /// Heads, one after the other.
    pub heads: usize,
    /// Numbers in a head.
    pub size: usize,
}

impl Kernels {
    /// Rotates the heads of every row by its token's angles.
    ///
    /// # Panics
    /// If the shapes do not fit.
    pub fn rope(&self, rows: &mut [f32], span: Span, pairing: Pairing, angles: &Angles) {
        let tokens = rows.len() / span.stride;
        assert!(2 * angles.pairs <= span.size, "pairs within a head");
        assert!(
            angles.rotations.len() >= tokens * angles.pairs,
            "angles for every token"
        );
        let rows = Rows::new(rows, span.stride);
        let per_chunk = tokens.div_ceil(4 * self.threads()).max(4);
        self.pool.for_each(tokens.div_ceil(per_chunk), &|chunk| {
            for token in chunk * per_chunk..tokens.min((chunk + 1) * per_chunk) {
                let rotations = &angles.rotations[token * angles.pairs..][..angles.pairs];
                // SAFETY: each token is given to one chunk.
                let row = unsafe { rows.row(token) };
                for head in row[..span.heads * span.size].chunks_exact_mut(span.size) {
                    rotate(head, pairing, rotations);
                }
            }
        });
    }
}

fn rotate(head: &mut [f32], pairing: Pairing, rotations: &[(f32, f32)]) {
    let turn =
        |(x, y): (f32, f32), &(cos, sin): &(f32, f32)| (x * cos - y * sin, x * sin + y * cos);
    match pairing {
        Pairing::Neighbours => {
            for (pair, rotation) in head.chunks_exact_mut(2).zip(rotations) {
                (pair[0], pair[1]) = turn((pair[0], pair[1]), rotation);
            }
        }
        Pairing::Halves => {
            let (first, second) = head[..2 * rotations.len()].split_at_mut(rotations.len());
            for ((x, y), rotation) in first.iter_mut().zip(second).zip(rotations) {
                (*x, *y) = turn((*x, *y), rotation);
            }
        }
    }
}
