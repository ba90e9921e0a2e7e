//! Scaled dot-product attention over blocks of keys and values, with grouped
//! queries (Ainslie et al. 2023).

use std::ops::Range;

use half::f16;

use crate::Kernels;
use crate::activation::GROUP;
use crate::cap::soft_cap;
#[cfg(target_arch = "x86_64")]
use crate::isa::Form;
use crate::isa::{Isa, dispatch};
use crate::kv::{BLOCK, Layer};
use crate::lanes::{LANES, Lanes};
use crate::share::Rows;

/// Queries that share the loads of keys and values, at most.
#[cfg(target_arch = "x86_64")]
const TILE: usize = 12;
/// The same where registers are few or narrow.
const NARROW_TILE: usize = 6;
/// Queries that are few.
const FEW: usize = 3;

fn tile(isa: Isa) -> usize {
    match isa.0 {
        #[cfg(target_arch = "x86_64")]
        Form::Avx512 => TILE,
        _ => NARROW_TILE,
    }
}

/// What one token sees.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// The blocks of its sequence, in order.
    pub blocks: &'a [u32],
    /// The first token that it sees: 0, unless there is a window.
    pub from: usize,
    /// The first token that it does not see any more: for causal attention its
    /// position plus one, for an encoder the length of the text.
    pub visible: usize,
}

/// The queries of a batch.
#[derive(Clone, Copy, Debug)]
pub struct Queries<'a> {
    /// The buffer, from the first token's queries on, the heads one after the other.
    pub rows: &'a [f32],
    /// From a token's queries to those of the next.
    pub stride: usize,
    /// What the products with the keys are multiplied by.
    pub scale: f32,
    /// What they are softly kept below (Bello et al. 2016), where anything.
    pub cap: Option<f32>,
}

impl Kernels {
    /// Writes for each token and head the mean of the values that the token
    /// sees, weighted by the softmax of queries and keys. Tokens of the same
    /// sequence that follow each other are computed together. `out` has
    /// `heads.queries * heads.size` numbers a token.
    ///
    /// # Panics
    /// If the shapes do not fit, or a token sees nothing.
    pub fn attention(
        &self,
        layer: &Layer,
        queries: Queries<'_>,
        views: &[View<'_>],
        out: &mut [f32],
    ) {
        let heads = layer.heads();
        let width = heads.queries * heads.size;
        if views.is_empty() {
            return;
        }
        assert!(
            (views.len() - 1) * queries.stride + width <= queries.rows.len(),
            "queries for every token"
        );
        for view in views {
            assert!(view.from < view.visible, "a token sees at least itself");
            assert!(view.visible <= view.blocks.len() * BLOCK, "blocks for all");
        }
        let group = heads.queries / heads.keys;
        let tile = tile(self.isa);
        let tiles = tiles(views, (tile / group).max(1));
        let out = Rows::new(&mut out[..views.len() * width], width);
        self.pool.for_each(tiles.len() * heads.keys, &|chunk| {
            let (first, count) = tiles[chunk / heads.keys];
            let head = chunk % heads.keys;
            let rows: Vec<(usize, usize)> = (first..first + count)
                .flat_map(|token| (0..group).map(move |member| (token, head * group + member)))
                .collect();
            let mut scores = Vec::new();
            for rows in rows.chunks(tile) {
                let job = Job {
                    layer,
                    head,
                    queries,
                    views,
                    rows,
                    out: &out,
                };
                // SAFETY: the shapes were checked above; a token's head is in
                // one row of one chunk, whose places in `out` are its alone.
                unsafe { attend(self.isa, &job, &mut scores) };
            }
        });
    }
}

/// Runs of at most `most` tokens of one sequence: first token and count.
fn tiles(views: &[View<'_>], most: usize) -> Vec<(usize, usize)> {
    let mut tiles: Vec<(usize, usize)> = Vec::new();
    for (token, view) in views.iter().enumerate() {
        match tiles.last_mut() {
            Some((first, count))
                if *count < most && std::ptr::eq(views[*first].blocks, view.blocks) =>
            {
                *count += 1;
            }
            _ => tiles.push((token, 1)),
        }
    }
    tiles
}

/// Some queries against one head of keys and values.
struct Job<'a> {
    layer: &'a Layer,
    head: usize,
    queries: Queries<'a>,
    views: &'a [View<'a>],
    /// Token and head of each query.
    rows: &'a [(usize, usize)],
    out: &'a Rows<'a, f32>,
}

dispatch!(fn attend(job: &Job<'_>, scores: &mut Vec<f32>) = attend_lanes);

#[inline(always)]
unsafe fn attend_lanes<L: Lanes>(job: &Job<'_>, scores: &mut Vec<f32>) {
    // SAFETY: `TILE` rows at most, each within the shapes that were checked.
    unsafe {
        match job.rows.len() {
            1 => attend_tile::<L, 1>(job, scores),
            2 => attend_tile::<L, 2>(job, scores),
            3 => attend_tile::<L, 3>(job, scores),
            4 => attend_tile::<L, 4>(job, scores),
            5 => attend_tile::<L, 5>(job, scores),
            6 => attend_tile::<L, 6>(job, scores),
            7 => attend_tile::<L, 7>(job, scores),
            8 => attend_tile::<L, 8>(job, scores),
            9 => attend_tile::<L, 9>(job, scores),
            10 => attend_tile::<L, 10>(job, scores),
            11 => attend_tile::<L, 11>(job, scores),
            _ => attend_tile::<L, 12>(job, scores),
        }
    }
}

/// # Safety
/// `job.rows` has at least `R` rows of one sequence, within the shapes.
#[inline(always)]
unsafe fn attend_tile<L: Lanes, const R: usize>(job: &Job<'_>, scores: &mut Vec<f32>) {
    let size = job.layer.heads().size;
    let query: [&[f32]; R] = std::array::from_fn(|r| {
        let (token, head) = job.rows[r];
        &job.queries.rows[token * job.queries.stride + head * size..][..size]
    });
    let views: [View<'_>; R] = std::array::from_fn(|r| job.views[job.rows[r].0]);
    // Blocks that no row sees are left out: their weights would be zero.
    let skipped = views.iter().map(|view| view.from).min().unwrap_or(0) / BLOCK;
    let from = views.map(|view| view.from - skipped * BLOCK);
    let visible = views.map(|view| view.visible - skipped * BLOCK);
    let most = visible.iter().copied().max().unwrap_or(0);
    let blocks = &views[0].blocks[skipped..][..most.div_ceil(BLOCK)];
    let length = blocks.len() * BLOCK;
    scores.resize(R * length, 0.0);

    // SAFETY: a block of a head has `size` times sixteen numbers, a row of
    // scores `length`, and every query `size`.
    unsafe {
        let scale = L::splat(job.queries.scale);
        for (index, &block) in blocks.iter().enumerate() {
            let keys = job.layer.keys(block, job.head);
            let (codes, scales) = (keys.codes.as_ptr(), keys.scales.as_ptr());
            let mut sums = [L::splat(0.0); R];
            let mut group = 0;
            while group * GROUP < size {
                let first = group * GROUP;
                // Few queries are too few additions at a time, unless two groups are
                // summed side by side.
                if R <= FEW && first + 2 * GROUP <= size {
                    score_groups::<L, R, 2>(codes, scales, &query, group, GROUP, &mut sums);
                    group += 2;
                } else {
                    let length = GROUP.min(size - first);
                    score_groups::<L, R, 1>(codes, scales, &query, group, length, &mut sums);
                    group += 1;
                }
            }
            for r in 0..R {
                let mut sum = sums[r].mul(scale);
                if let Some(cap) = job.queries.cap {
                    sum = soft_cap(sum, cap);
                }
                sum.store(scores.as_mut_ptr().add(r * length + index * BLOCK));
            }
        }
        let mut shares = [L::splat(0.0); R];
        for r in 0..R {
            let (seen, unseen) =
                scores[r * length..][..length].split_at_mut(visible[r].next_multiple_of(BLOCK));
            shares[r] = L::splat(1.0 / softmax::<L>(seen, from[r]..visible[r]));
            // Another row of the tile may see a block more.
            unseen.fill(0.0);
        }
        let mut number = 0;
        while number + 2 * LANES <= size {
            weigh::<L, R, 2>(job, blocks, &visible, scores, &shares, number);
            number += 2 * LANES;
        }
        if number < size {
            weigh::<L, R, 1>(job, blocks, &visible, scores, &shares, number);
        }
    }
}

/// Adds the products of queries and keys over `G` groups of `length` numbers, each
/// summed by itself in the order of its numbers, to the sums.
///
/// # Safety
/// The groups are within the keys of a block and the queries.
#[inline(always)]
unsafe fn score_groups<L: Lanes, const R: usize, const G: usize>(
    codes: *const i8,
    scales: *const f16,
    query: &[&[f32]; R],
    group: usize,
    length: usize,
    sums: &mut [L; R],
) {
    // SAFETY: the contract's sizes.
    unsafe {
        let mut products = [[L::splat(0.0); R]; G];
        for number in 0..length {
            for g in 0..G {
                let number = (group + g) * GROUP + number;
                let key = L::load_bytes(codes.add(number * BLOCK));
                for r in 0..R {
                    let x = L::splat(*query[r].get_unchecked(number));
                    products[g][r] = x.mul_add(key, products[g][r]);
                }
            }
        }
        for g in 0..G {
            let scale = L::load_half(scales.add((group + g) * BLOCK));
            for r in 0..R {
                sums[r] = products[g][r].mul_add(scale, sums[r]);
            }
        }
    }
}

/// Replaces the scores of those who are seen by their exponentials, relative to the
/// largest, the rest by zero; returns the sum.
///
/// # Safety
/// `scores` are whole blocks.
#[inline(always)]
unsafe fn softmax<L: Lanes>(scores: &mut [f32], seen: Range<usize>) -> f32 {
    let Range { start, end } = seen;
    // SAFETY: sixteen numbers from every multiple of sixteen.
    unsafe {
        scores[..start].fill(f32::NEG_INFINITY);
        scores[end..].fill(f32::NEG_INFINITY);
        let mut largest = L::splat(f32::NEG_INFINITY);
        for at in (0..scores.len()).step_by(LANES) {
            largest = largest.max(L::load(scores.as_ptr().add(at)));
        }
        let largest = L::splat(largest.maximum());
        let last = scores.len() - LANES;
        let mut sum = L::splat(0.0);
        for at in (0..scores.len()).step_by(LANES) {
            let to = scores.as_mut_ptr().add(at);
            L::load(to).sub(largest).exp().store(to);
            if at < start {
                scores[at..start.min(at + LANES)].fill(0.0);
            }
            if at == last {
                scores[end..].fill(0.0);
            }
            sum = sum.add(L::load(scores.as_ptr().add(at)));
        }
        sum.sum()
    }
}

/// Writes `16 * D` numbers of the weighted means, from `number` on.
///
/// # Safety
/// As [`attend_tile`]; `scores` holds the weights of each row, zero beyond what
/// the row sees.
#[inline(always)]
unsafe fn weigh<L: Lanes, const R: usize, const D: usize>(
    job: &Job<'_>,
    blocks: &[u32],
    visible: &[usize; R],
    scores: &[f32],
    shares: &[L; R],
    number: usize,
) {
    let size = job.layer.heads().size;
    let length = blocks.len() * BLOCK;
    let most = visible.iter().copied().max().unwrap_or(0);
    // SAFETY: the contract's sizes.
    unsafe {
        let mut sums = [[L::splat(0.0); D]; R];
        for (index, &block) in blocks.iter().enumerate() {
            let values = job.layer.values(block, job.head);
            let codes = values.codes.as_ptr().add(number);
            // One scale serves the numbers of a slot: the weights take it on.
            let scale = L::load_half(values.scales.as_ptr().add(number / GROUP * BLOCK));
            let mut weights = [[0.0f32; BLOCK]; R];
            for r in 0..R {
                let seen = L::load(scores.as_ptr().add(r * length + index * BLOCK));
                seen.mul(scale).store(weights[r].as_mut_ptr());
            }
            // Beyond `most` lie numbers of nobody, perhaps not even finite.
            let slots = BLOCK.min(most - index * BLOCK);
            // One vector of a slot after the other: both at once are too many sums
            // for the registers of most processors.
            for d in 0..D {
                let mut totals = [L::splat(0.0); R];
                for r in 0..R {
                    totals[r] = sums[r][d];
                }
                for slot in 0..slots {
                    let value = L::load_bytes(codes.add(slot * size + d * LANES));
                    for r in 0..R {
                        totals[r] = L::splat(weights[r][slot]).mul_add(value, totals[r]);
                    }
                }
                for r in 0..R {
                    sums[r][d] = totals[r];
                }
            }
        }
        for r in 0..R {
            let (token, head) = job.rows[r];
            for d in 0..D {
                let to = job.out.at(token, head * size + number + d * LANES);
                sums[r][d].mul(shares[r]).store(to);
            }
        }
    }
}
