//! Attention over sequences that share a beginning, forward and backward.
//!
//! Tokens of all sequences lie one after the other: first the beginning that they have
//! in common, then the rest of each, a branch. A token sees the beginning and what its
//! branch has before it, so the beginning is computed once for all. Probabilities are
//! computed anew on the way back (Dao et al. 2022).

use std::ops::Range;

use super::math::{exp, tanh};
use super::{LANES, dot, widest};

/// Query tokens that are computed together.
const BLOCK: usize = 4;

/// Which tokens see which.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sight {
    /// The first tokens, which all branches see.
    pub(crate) shared: usize,
    /// The tokens of each branch, one after the other, behind the shared ones.
    pub(crate) branches: Vec<Range<usize>>,
    /// Whether a token sees those after it in its branch.
    pub(crate) order: Order,
}

/// In which directions a token sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// Itself and what is before it.
    Causal,
    /// All of its branch.
    Both,
}

/// The sizes of an attention.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Sizes {
    /// Tokens.
    pub(crate) tokens: usize,
    /// Numbers in a head; a multiple of 16.
    pub(crate) head: usize,
    /// What the products of queries and keys are multiplied by.
    pub(crate) scale: f32,
    /// What those products are softly kept below.
    pub(crate) cap: Option<f32>,
    /// How many tokens back a token sees; `None`: all.
    pub(crate) window: Option<usize>,
}

impl Sizes {
    /// From a row of a transposed matrix to the next: whole registers may be read
    /// from any token.
    fn stride(&self) -> usize {
        self.tokens.next_multiple_of(LANES) + LANES
    }
}

/// The keys or values of a head, both ways.
pub(crate) struct Both {
    /// `[token][head]`.
    rows: Vec<f32>,
    /// `[head][token]`, the rows filled up with zeros.
    columns: Vec<f32>,
}

impl Both {
    pub(crate) fn new(rows: Vec<f32>, sizes: &Sizes) -> Self {
        let stride = sizes.stride();
        let mut columns = vec![0.0; sizes.head * stride];
        for (token, row) in rows.chunks_exact(sizes.head).enumerate() {
            for (place, &number) in row.iter().enumerate() {
                columns[place * stride + token] = number;
            }
        }
        Self { rows, columns }
    }
}

/// The gradients of a head, `[token][head]` each.
pub(crate) struct Gradients {
    pub(crate) queries: Vec<f32>,
    pub(crate) keys: Vec<f32>,
    pub(crate) values: Vec<f32>,
}

/// What a head attends to, `[token][head]`.
pub(crate) fn forward(
    sizes: &Sizes,
    sight: &Sight,
    queries: &[f32],
    keys: &Both,
    values: &Both,
) -> Vec<f32> {
    let mut out = vec![0.0; queries.len()];
    let mut work = Work::new(sizes);
    for block in sight.blocks(sizes.window) {
        widest(
            #[inline(always)]
            || {
                work.weigh(sizes, &block, queries, keys);
                let rows = &mut out[block.tokens.start * sizes.head..];
                work.mix(sizes, &block, &values.rows, rows);
            },
        );
    }
    out
}

/// How a loss changes with a head's queries, keys and values, from how it changes with
/// what the head attended to.
pub(crate) fn backward(
    sizes: &Sizes,
    sight: &Sight,
    queries: &[f32],
    keys: &Both,
    values: &Both,
    gradient: &[f32],
) -> Gradients {
    let zeros = || vec![0.0; queries.len()];
    let mut found = Gradients {
        queries: zeros(),
        keys: zeros(),
        values: zeros(),
    };
    let mut work = Work::new(sizes);
    for block in sight.blocks(sizes.window) {
        widest(
            #[inline(always)]
            || {
                work.weigh(sizes, &block, queries, keys);
                work.add_outer(sizes, &block, gradient, &mut found.values);
                work.differentiate(sizes, &block, gradient, values);
                work.add_outer(sizes, &block, queries, &mut found.keys);
                let rows = &mut found.queries[block.tokens.start * sizes.head..];
                work.mix(sizes, &block, &keys.rows, rows);
            },
        );
    }
    found
}

/// Some neighbouring tokens of a branch and the keys that any of them sees.
#[derive(Debug)]
struct Block {
    tokens: Range<usize>,
    /// Of the beginning, and of the branch.
    runs: [Range<usize>; 2],
    /// What each token sees of the two.
    seen: [[Range<usize>; 2]; BLOCK],
}

impl Block {
    fn keys(&self) -> usize {
        self.runs[0].len() + self.runs[1].len()
    }
}

impl Sight {
    /// All tokens, in blocks.
    fn blocks(&self, window: Option<usize>) -> impl Iterator<Item = Block> + '_ {
        let beginning = 0..self.shared;
        std::iter::once(beginning)
            .chain(self.branches.iter().cloned())
            .flat_map(move |branch| {
                let starts = branch.clone().step_by(BLOCK);
                starts.map(move |start| {
                    let end = branch.end.min(start + BLOCK);
                    self.block(start..end, &branch, window)
                })
            })
    }

    fn block(&self, tokens: Range<usize>, branch: &Range<usize>, window: Option<usize>) -> Block {
        let shared = match branch.start == 0 {
            true => 0,
            false => self.shared,
        };
        let seen = std::array::from_fn(|index| {
            let token = tokens.start + index;
            if token >= tokens.end {
                return [0..0, branch.start..branch.start];
            }
            let position = shared + token - branch.start;
            let from = window.map_or(0, |window| (position + 1).saturating_sub(window));
            let end = match self.order {
                Order::Causal => token + 1,
                Order::Both => branch.end,
            };
            let start = branch.start + from.saturating_sub(shared);
            [from.min(shared)..shared, start..end]
        });
        let union = |run: usize| {
            let real = &seen[..tokens.len()];
            let start = real.iter().map(|seen: &[Range<usize>; 2]| seen[run].start);
            let end = real.iter().map(|seen| seen[run].end);
            start.min().unwrap_or(0)..end.max().unwrap_or(0)
        };
        Block {
            runs: [union(0), union(1)],
            tokens,
            seen,
        }
    }
}

/// Memory that one block after the other is computed in.
struct Work {
    /// `[token][key]`: scores, then probabilities.
    rows: Vec<f32>,
    /// The same for gradients.
    gradients: Vec<f32>,
    /// And for how much the soft cap lets through, where there is one.
    slopes: Vec<f32>,
    /// From a token's row to the next.
    stride: usize,
    /// `[key][token]`: what is multiplied with rows of keys, values and queries.
    columns: Vec<[f32; BLOCK]>,
    /// `[place][token]`.
    turned: Vec<[f32; BLOCK]>,
}

impl Work {
    fn new(sizes: &Sizes) -> Self {
        // Two runs, each filled up to whole registers.
        let stride = sizes.tokens + 3 * LANES;
        Self {
            rows: vec![0.0; BLOCK * stride],
            gradients: vec![0.0; BLOCK * stride],
            slopes: match sizes.cap {
                Some(_) => vec![0.0; BLOCK * stride],
                None => Vec::new(),
            },
            stride,
            columns: vec![[0.0; BLOCK]; sizes.tokens],
            turned: vec![[0.0; BLOCK]; sizes.head],
        }
    }

    /// The probabilities of a block, into `rows` and `columns`; of the former, each
    /// run begins at a whole register.
    #[inline(always)]
    fn weigh(&mut self, sizes: &Sizes, block: &Block, queries: &[f32], keys: &Both) {
        turn(sizes, block, queries, &mut self.turned);
        spread(
            sizes,
            block,
            &self.turned,
            keys,
            &mut self.rows,
            self.stride,
        );
        let second = block.runs[0].len().next_multiple_of(LANES);
        for (index, row) in self.rows.chunks_exact_mut(self.stride).enumerate() {
            let length = second + block.runs[1].len();
            let row = &mut row[..length];
            row.iter_mut().for_each(|score| *score *= sizes.scale);
            if let Some(cap) = sizes.cap {
                let slopes = &mut self.slopes[index * self.stride..][..length];
                for (score, slope) in row.iter_mut().zip(slopes) {
                    let share = tanh(*score / cap);
                    *score = cap * share;
                    *slope = 1.0 - share * share;
                }
            }
            let [first, own] = &block.seen[index];
            let hide = |row: &mut [f32], run: &Range<usize>, seen: &Range<usize>| {
                row[..seen.start - run.start].fill(f32::NEG_INFINITY);
                row[seen.end - run.start..].fill(f32::NEG_INFINITY);
            };
            if index >= block.tokens.len() {
                row.fill(0.0);
                continue;
            }
            hide(&mut row[..second], &block.runs[0], first);
            hide(&mut row[second..], &block.runs[1], own);
            let most = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let mut lanes = [0.0f32; LANES];
            for chunk in row.chunks_mut(LANES) {
                for (number, lane) in chunk.iter_mut().zip(&mut lanes) {
                    // What is hidden gives exp's smallest number, and must give none.
                    let hidden = *number == f32::NEG_INFINITY;
                    let power = exp(*number - most);
                    *number = if hidden { 0.0 } else { power };
                    *lane += *number;
                }
            }
            let whole = 1.0 / super::lanes::total(&lanes);
            row.iter_mut().for_each(|number| *number *= whole);
        }
        fill_columns(block, &self.rows, self.stride, &mut self.columns);
    }

    /// From probabilities in `rows` to the gradients of the products of queries and
    /// keys in `columns`.
    #[inline(always)]
    fn differentiate(&mut self, sizes: &Sizes, block: &Block, gradient: &[f32], values: &Both) {
        turn(sizes, block, gradient, &mut self.turned);
        let stride = self.stride;
        spread(
            sizes,
            block,
            &self.turned,
            values,
            &mut self.gradients,
            stride,
        );
        let length = block.runs[0].len().next_multiple_of(LANES) + block.runs[1].len();
        let mut slopes = self.slopes.chunks_exact(stride);
        let rows = self.rows.chunks_exact(stride);
        for (row, gradients) in rows.zip(self.gradients.chunks_exact_mut(stride)) {
            let (row, gradients) = (&row[..length], &mut gradients[..length]);
            let mean = dot(row, gradients);
            for (gradient, &probability) in gradients.iter_mut().zip(row) {
                *gradient = sizes.scale * probability * (*gradient - mean);
            }
            if sizes.cap.is_some() {
                let slopes = slopes.next().expect("a row of slopes for each of scores");
                let pairs = gradients.iter_mut().zip(slopes);
                pairs.for_each(|(gradient, slope)| *gradient *= slope);
            }
        }
        fill_columns(block, &self.gradients, stride, &mut self.columns);
    }

    /// `out[token] += sum of columns[key][token] * rows[key]`.
    #[inline(always)]
    fn mix(&self, sizes: &Sizes, block: &Block, rows: &[f32], out: &mut [f32]) {
        let head = sizes.head;
        for at in (0..head).step_by(LANES) {
            let mut sums = [[0.0f32; LANES]; BLOCK];
            let mut columns = self.columns.iter();
            for run in &block.runs {
                let rows = rows[run.start * head..run.end * head].chunks_exact(head);
                for (row, factors) in rows.zip(&mut columns) {
                    let row = &row[at..][..LANES];
                    for (sums, factor) in sums.iter_mut().zip(factors) {
                        for lane in 0..LANES {
                            sums[lane] += factor * row[lane];
                        }
                    }
                }
            }
            for (index, sums) in sums.iter().enumerate().take(block.tokens.len()) {
                out[index * head + at..][..LANES].copy_from_slice(sums);
            }
        }
    }

    /// `out[key] += sum of columns[key][token] * rows[token]`.
    #[inline(always)]
    fn add_outer(&self, sizes: &Sizes, block: &Block, rows: &[f32], out: &mut [f32]) {
        let head = sizes.head;
        let mut own = [&[][..]; BLOCK];
        for (index, own) in own.iter_mut().enumerate() {
            // Where a block is not whole, its factors are 0.
            let token = (block.tokens.start + index).min(block.tokens.end - 1);
            *own = &rows[token * head..][..head];
        }
        let mut columns = self.columns.iter();
        for run in &block.runs {
            let out = out[run.start * head..run.end * head].chunks_exact_mut(head);
            for (out, factors) in out.zip(&mut columns) {
                for (at, out) in out.as_chunks_mut::<LANES>().0.iter_mut().enumerate() {
                    let mut sums = *out;
                    for (row, factor) in own.iter().zip(factors) {
                        let row = &row[at * LANES..][..LANES];
                        for lane in 0..LANES {
                            sums[lane] += factor * row[lane];
                        }
                    }
                    *out = sums;
                }
            }
        }
    }
}

/// The rows of a block's tokens, place by place.
#[inline(always)]
fn turn(sizes: &Sizes, block: &Block, rows: &[f32], out: &mut [[f32; BLOCK]]) {
    for index in 0..BLOCK {
        let token = (block.tokens.start + index).min(block.tokens.end - 1);
        let row = &rows[token * sizes.head..][..sizes.head];
        for (out, &number) in out.iter_mut().zip(row) {
            out[index] = number;
        }
    }
}

/// `out[token][key] = sum of turned[place][token] * columns[place][key]`.
#[inline(always)]
fn spread(
    sizes: &Sizes,
    block: &Block,
    turned: &[[f32; BLOCK]],
    keys: &Both,
    out: &mut [f32],
    out_stride: usize,
) {
    let stride = sizes.stride();
    let second = block.runs[0].len().next_multiple_of(LANES);
    for (run, first) in block.runs.iter().zip([0, second]) {
        for at in (0..run.len()).step_by(LANES) {
            let mut sums = [[0.0f32; LANES]; BLOCK];
            for (row, factors) in keys.columns.chunks_exact(stride).zip(turned) {
                let row = &row[run.start + at..][..LANES];
                for (sums, factor) in sums.iter_mut().zip(factors) {
                    for lane in 0..LANES {
                        sums[lane] += factor * row[lane];
                    }
                }
            }
            for (index, sums) in sums.iter().enumerate() {
                out[index * out_stride + first + at..][..LANES].copy_from_slice(sums);
            }
        }
    }
}

/// Turns rows of a block into columns without gaps.
#[inline(always)]
fn fill_columns(block: &Block, rows: &[f32], stride: usize, out: &mut [[f32; BLOCK]]) {
    let second = block.runs[0].len().next_multiple_of(LANES);
    let (first, rest) = out[..block.keys()].split_at_mut(block.runs[0].len());
    for (index, row) in rows.chunks_exact(stride).enumerate() {
        for (out, &number) in first.iter_mut().zip(row) {
            out[index] = number;
        }
        for (out, &number) in rest.iter_mut().zip(&row[second..]) {
            out[index] = number;
        }
    }
}
