//! The forms for Arm. A strip is four rows of a panel, whose sums one register
//! holds: `sdot` adds four columns of a strip to them, plain NEON needs four
//! instructions for that.
//!
//! A tile is some tokens and strips, whose sums and totals fit the registers. It
//! takes a block of groups before the next strips do, so that all but the first find
//! the block in the first cache.

use std::arch::aarch64::*;

use super::Job;
use crate::activation::{GROUP, Group};
use crate::arm::{load_halves, prefetch, sdot_lane};
use crate::matrix::{Format, PANEL};

mod i8mm;

pub(super) use i8mm::run_i8mm;

/// Rows of a strip.
const STRIP: usize = 4;
/// Strips of a panel.
const STRIPS: usize = PANEL / STRIP;
/// Groups of a block: up to 17 kB of weights.
const BLOCK: usize = 16;
/// Tokens of the largest tile of [`run`]: with two strips eight sums, eight totals and
/// eight registers of activations.
const MOST: usize = 4;

/// How products of bytes are added up.
trait Dot {
    /// `sums` plus the products of the strip's `weights` and the four activations
    /// of `LANE`.
    unsafe fn dot<const LANE: usize>(
        sums: int32x4_t,
        weights: int8x16_t,
        activations: int8x16_t,
    ) -> int32x4_t;
}

struct Neon;

impl Dot for Neon {
    #[inline(always)]
    unsafe fn dot<const LANE: usize>(
        sums: int32x4_t,
        weights: int8x16_t,
        activations: int8x16_t,
    ) -> int32x4_t {
        // SAFETY: every processor of this architecture has NEON. Two products are at
        // most 2 · 128 · 127, which 16 bits hold.
        unsafe {
            let fours = vreinterpretq_s32_s8(activations);
            let four = match LANE {
                0 => vdupq_laneq_s32::<0>(fours),
                1 => vdupq_laneq_s32::<1>(fours),
                2 => vdupq_laneq_s32::<2>(fours),
                _ => vdupq_laneq_s32::<3>(fours),
            };
            let four = vreinterpretq_s8_s32(four);
            let low = vmull_s8(vget_low_s8(weights), vget_low_s8(four));
            let high = vmull_high_s8(weights, four);
            vpadalq_s16(sums, vpaddq_s16(low, high))
        }
    }
}

struct Dotprod;

impl Dot for Dotprod {
    #[inline(always)]
    unsafe fn dot<const LANE: usize>(
        sums: int32x4_t,
        weights: int8x16_t,
        activations: int8x16_t,
    ) -> int32x4_t {
        // SAFETY: the processor has the instruction where this form is run.
        unsafe { sdot_lane::<LANE>(sums, weights, activations) }
    }
}

/// # Safety
/// Rows have as many groups as the matrix.
pub(super) unsafe fn run_neon(job: &Job<'_>) {
    // SAFETY: the caller's contract is passed on.
    unsafe { run::<Neon>(job) }
}

/// # Safety
/// The processor has the instructions; rows have as many groups as the matrix.
#[target_feature(enable = "neon,dotprod")]
pub(super) unsafe fn run_dotprod(job: &Job<'_>) {
    // SAFETY: the caller's contract is passed on.
    unsafe { run::<Dotprod>(job) }
}

/// # Safety
/// The processor has the instructions of `D`; rows have as many groups as the matrix.
#[inline(always)]
unsafe fn run<D: Dot>(job: &Job<'_>) {
    let size = job.format.group_bytes();
    let mut rest = job.rows;
    while !rest.is_empty() {
        let first = job.rows.len() - rest.len();
        // Tiles as even as may be: one of a token takes as long as one of two.
        let (rows, after) = rest.split_at(rest.len().div_ceil(rest.len().div_ceil(MOST)));
        rest = after;
        let mut totals = [[0.0; PANEL]; MOST];
        for (index, block) in job.panel.chunks(BLOCK * size).enumerate() {
            macro_rules! tile {
                ($tokens:literal, $strips:literal) => {{
                    let rows: [&[Group]; $tokens] =
                        std::array::from_fn(|token| &rows[token][index * BLOCK..]);
                    for strip in (0..STRIPS).step_by($strips) {
                        if first == 0 {
                            ask_ahead(job, index, strip..strip + $strips);
                        }
                        // SAFETY: every row has the groups of the block.
                        unsafe {
                            match job.format {
                                Format::Int8 => tile::<D, false, $tokens, $strips>(
                                    block,
                                    &rows,
                                    strip,
                                    &mut totals,
                                ),
                                Format::Int4 => tile::<D, true, $tokens, $strips>(
                                    block,
                                    &rows,
                                    strip,
                                    &mut totals,
                                ),
                            }
                        }
                    }
                }};
            }
            match rows.len() {
                1 => tile!(1, 8),
                2 => tile!(2, 4),
                3 => tile!(3, 2),
                _ => tile!(4, 2),
            }
        }
        for (token, totals) in totals.iter().take(rows.len()).enumerate() {
            job.put(first + token, totals);
        }
    }
}

/// Asks for the share of some strips in the block that follows block `index`, in this
/// panel or in the next.
#[inline(always)]
fn ask_ahead(job: &Job<'_>, index: usize, strips: std::ops::Range<usize>) {
    let bytes = BLOCK * job.format.group_bytes();
    let after = (index + 1) * bytes;
    let next = match job.panel.get(after..) {
        Some(rest) if !rest.is_empty() => rest,
        _ => job.next,
    };
    let share = |strip: usize| next.len().min(bytes) * strip / STRIPS;
    for line in next[share(strips.start)..share(strips.end)].chunks(64) {
        prefetch(line.as_ptr());
    }
}

/// Weights of a strip: four columns, `quad` of the first sixteen of a group and the
/// same of the last sixteen.
///
/// # Safety
/// `group` are the bytes of a group, in 4 bits if `HAS_MINIMA`.
#[inline(always)]
unsafe fn weights<const HAS_MINIMA: bool>(
    group: *const u8,
    quad: usize,
    strip: usize,
) -> [int8x16_t; 2] {
    // SAFETY: the contract's sizes; every processor of this architecture has NEON.
    unsafe {
        let first = group.add(quad * 128 + strip * 16);
        if HAS_MINIMA {
            let pair = vld1q_u8(first);
            let low = vandq_u8(pair, vdupq_n_u8(0x0f));
            let high = vshrq_n_u8::<4>(pair);
            [vreinterpretq_s8_u8(low), vreinterpretq_s8_u8(high)]
        } else {
            let last = first.add(4 * 128);
            [vld1q_s8(first.cast()), vld1q_s8(last.cast())]
        }
    }
}

/// Adds the products of a block of groups to the totals of `T` tokens and `S` strips.
///
/// # Safety
/// The processor has the instructions of `D`; `block` are groups of 4 bits if
/// `HAS_MINIMA` and of 8 if not, and every row has as many.
#[inline(always)]
unsafe fn tile<D: Dot, const HAS_MINIMA: bool, const T: usize, const S: usize>(
    block: &[u8],
    rows: &[&[Group]; T],
    strip: usize,
    out: &mut [[f32; PANEL]; MOST],
) {
    let format = match HAS_MINIMA {
        true => Format::Int4,
        false => Format::Int8,
    };
    let place = |s: usize| (strip + s) * STRIP;
    // SAFETY: the contract's sizes.
    unsafe {
        let mut totals: [[float32x4_t; S]; T] = std::array::from_fn(|t| {
            std::array::from_fn(|s| vld1q_f32(out[t].as_ptr().add(place(s))))
        });
        for (index, bytes) in block.chunks_exact(format.group_bytes()).enumerate() {
            let bytes = bytes.as_ptr();
            let tokens: [&Group; T] = std::array::from_fn(|t| rows[t].get_unchecked(index));
            let mut sums = [[vdupq_n_s32(0); S]; T];
            let codes: [[int8x16_t; 2]; T] = std::array::from_fn(|t| {
                let codes = tokens[t].codes.as_ptr();
                [vld1q_s8(codes), vld1q_s8(codes.add(GROUP / 2))]
            });
            // Written out: the lane must be known when this is compiled.
            macro_rules! quads {
                ($($quad:literal)*) => {
                    $(for s in 0..S {
                        let [first, last] = weights::<HAS_MINIMA>(bytes, $quad, strip + s);
                        for t in 0..T {
                            sums[t][s] = D::dot::<$quad>(sums[t][s], first, codes[t][0]);
                            sums[t][s] = D::dot::<$quad>(sums[t][s], last, codes[t][1]);
                        }
                    })*
                };
            }
            quads!(0 1 2 3);
            for s in 0..S {
                let scales = bytes.add(format.code_bytes() + 2 * place(s));
                let scale = load_halves(scales);
                for t in 0..T {
                    let sum = vmulq_f32(vcvtq_f32_s32(sums[t][s]), scale);
                    totals[t][s] = vfmaq_n_f32(totals[t][s], sum, tokens[t].scale);
                }
                if HAS_MINIMA {
                    let minima = load_halves(scales.add(2 * PANEL));
                    for t in 0..T {
                        totals[t][s] = vfmaq_n_f32(totals[t][s], minima, tokens[t].offset);
                    }
                }
            }
        }
        for t in 0..T {
            for s in 0..S {
                vst1q_f32(out[t].as_mut_ptr().add(place(s)), totals[t][s]);
            }
        }
    }
}
