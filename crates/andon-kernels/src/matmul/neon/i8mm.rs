//! The form for i8mm: `smmla` takes eight columns of two rows and two tokens.

use std::arch::aarch64::*;

use super::{BLOCK, STRIP, STRIPS, ask_ahead, run_dotprod, weights};
use crate::activation::{GROUP, Group};
use crate::arm::{load_halves, smmla};
use crate::matmul::Job;
use crate::matrix::{Format, PANEL};

/// Pairs of tokens of the largest tile: twelve sums and twelve totals.
const MOST: usize = 6;
/// From this many tokens on pairs are worth their while: below, half of the weights'
/// rearrangement is for one token.
const PAIRS_FROM: usize = 4;

/// A group of two tokens, as tiles read it.
#[derive(Clone, Copy)]
#[repr(C, align(16))]
struct Pair {
    /// Eight codes of the one, then the same eight of the other.
    codes: [i8; 2 * GROUP],
    /// Of the one and the other, twice, in the order of the sums.
    scales: [f32; 4],
    offsets: [f32; 4],
}

impl Pair {
    const ZERO: Self = Self {
        codes: [0; 2 * GROUP],
        scales: [0.0; 4],
        offsets: [0.0; 4],
    };

    fn fill(&mut self, one: &Group, other: &Group) {
        let eights = one.codes.chunks_exact(8).zip(other.codes.chunks_exact(8));
        for (to, (one, other)) in self.codes.chunks_exact_mut(16).zip(eights) {
            to[..8].copy_from_slice(one);
            to[8..].copy_from_slice(other);
        }
        self.scales = [one.scale, other.scale, one.scale, other.scale];
        self.offsets = [one.offset, other.offset, one.offset, other.offset];
    }
}

/// The groups of a block of the activations, for all pairs of a tile.
type Pairs = [[Pair; BLOCK]; MOST];

/// Totals of a panel for two tokens.
type Totals = [[f32; 2]; PANEL];

/// # Safety
/// The processor has the instructions; rows have as many groups as the matrix.
#[target_feature(enable = "neon,dotprod,i8mm")]
pub(in crate::matmul) unsafe fn run_i8mm(job: &Job<'_>) {
    if job.rows.len() < PAIRS_FROM {
        // SAFETY: the caller's contract is passed on.
        return unsafe { run_dotprod(job) };
    }
    let size = job.format.group_bytes();
    let mut pairs: Pairs = [[Pair::ZERO; BLOCK]; MOST];
    let mut rest = job.rows;
    while !rest.is_empty() {
        let first = job.rows.len() - rest.len();
        // Tiles as even as may be, of whole pairs but for the last.
        let tiles = rest.len().div_ceil(2 * MOST);
        let count = rest.len().div_ceil(tiles).next_multiple_of(2);
        let (rows, after) = rest.split_at(count.min(rest.len()));
        rest = after;
        let mut totals: [Totals; MOST] = [[[0.0; 2]; PANEL]; MOST];
        for (index, block) in job.panel.chunks(BLOCK * size).enumerate() {
            for (pairs, rows) in pairs.iter_mut().zip(rows.chunks(2)) {
                // A token without another is its own.
                let (one, other) = (rows[0], rows[rows.len() - 1]);
                let groups = one.iter().zip(other).skip(index * BLOCK);
                for (pair, (one, other)) in pairs.iter_mut().zip(groups) {
                    pair.fill(one, other);
                }
            }
            macro_rules! tile {
                ($pairs:literal, $strips:literal) => {
                    for strip in (0..STRIPS).step_by($strips) {
                        if first == 0 {
                            ask_ahead(job, index, strip..strip + $strips);
                        }
                        // SAFETY: the block is of the format, and has at most `BLOCK` groups.
                        unsafe {
                            match job.format {
                                Format::Int8 => tile::<false, $pairs, $strips>(
                                    block,
                                    &pairs,
                                    strip,
                                    &mut totals,
                                ),
                                Format::Int4 => {
                                    tile::<true, $pairs, $strips>(block, &pairs, strip, &mut totals)
                                }
                            }
                        }
                    }
                };
            }
            match rows.len().div_ceil(2) {
                1 => tile!(1, 4),
                2 => tile!(2, 2),
                3 => tile!(3, 1),
                4 => tile!(4, 1),
                5 => tile!(5, 1),
                _ => tile!(6, 1),
            }
        }
        for token in 0..rows.len() {
            let products = totals[token / 2].map(|both| both[token % 2]);
            job.put(first + token, &products);
        }
    }
}

/// Adds the products of a block of groups to the totals of `P` pairs and `S` strips.
///
/// # Safety
/// `block` are at most `BLOCK` groups, of 4 bits if `HAS_MINIMA` and of 8 if not.
#[inline(never)]
#[target_feature(enable = "neon,dotprod,i8mm")]
unsafe fn tile<const HAS_MINIMA: bool, const P: usize, const S: usize>(
    block: &[u8],
    pairs: &Pairs,
    strip: usize,
    out: &mut [Totals; MOST],
) {
    let format = match HAS_MINIMA {
        true => Format::Int4,
        false => Format::Int8,
    };
    let row = |s: usize, two: usize| (strip + s) * STRIP + 2 * two;
    // SAFETY: the contract's sizes.
    unsafe {
        // Of two rows and two tokens each: row 0 of both tokens, then row 1.
        let mut totals: [[[float32x4_t; 2]; S]; P] = std::array::from_fn(|p| {
            std::array::from_fn(|s| {
                std::array::from_fn(|two| vld1q_f32(out[p][row(s, two)].as_ptr()))
            })
        });
        for (index, bytes) in block.chunks_exact(format.group_bytes()).enumerate() {
            let bytes = bytes.as_ptr();
            let mut sums = [[[vdupq_n_s32(0); 2]; S]; P];
            for eight in 0..GROUP / 16 {
                for s in 0..S {
                    let low = weights::<HAS_MINIMA>(bytes, 2 * eight, strip + s);
                    let high = weights::<HAS_MINIMA>(bytes, 2 * eight + 1, strip + s);
                    for half in 0..2 {
                        let low = vreinterpretq_s32_s8(low[half]);
                        let high = vreinterpretq_s32_s8(high[half]);
                        let twos = [vzip1q_s32(low, high), vzip2q_s32(low, high)];
                        for p in 0..P {
                            let codes = &pairs[p].get_unchecked(index).codes;
                            let codes = vld1q_s8(codes.as_ptr().add(half * GROUP + 16 * eight));
                            for two in 0..2 {
                                let weights = vreinterpretq_s8_s32(twos[two]);
                                sums[p][s][two] = smmla(sums[p][s][two], weights, codes);
                            }
                        }
                    }
                }
            }
            for s in 0..S {
                let scales = bytes.add(format.code_bytes() + 2 * row(s, 0));
                let scales = twice(load_halves(scales));
                for p in 0..P {
                    let factors = vld1q_f32(pairs[p].get_unchecked(index).scales.as_ptr());
                    for two in 0..2 {
                        let sum = vmulq_f32(vcvtq_f32_s32(sums[p][s][two]), scales[two]);
                        totals[p][s][two] = vfmaq_f32(totals[p][s][two], sum, factors);
                    }
                }
                if HAS_MINIMA {
                    let minima = bytes.add(format.code_bytes() + 2 * PANEL + 2 * row(s, 0));
                    let minima = twice(load_halves(minima));
                    for p in 0..P {
                        let factors = vld1q_f32(pairs[p].get_unchecked(index).offsets.as_ptr());
                        for two in 0..2 {
                            totals[p][s][two] = vfmaq_f32(totals[p][s][two], minima[two], factors);
                        }
                    }
                }
            }
        }
        for p in 0..P {
            for s in 0..S {
                for two in 0..2 {
                    vst1q_f32(out[p][row(s, two)].as_mut_ptr(), totals[p][s][two]);
                }
            }
        }
    }
}

/// Each of four numbers twice.
#[inline]
#[target_feature(enable = "neon")]
fn twice(four: float32x4_t) -> [float32x4_t; 2] {
    [vzip1q_f32(four, four), vzip2q_f32(four, four)]
}
