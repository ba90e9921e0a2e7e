//! The form for AVX2: `vpmaddubsw` and `vpmaddwd` take four columns of eight rows.

use std::arch::x86_64::*;

use super::Job;
use crate::activation::{GROUP, Group};
use crate::matrix::{Format, PANEL};

/// Tokens of a tile, and rows of half a panel: 2 × 16 rows need 4 integer and 4
/// float accumulators of the sixteen registers.
const TILE: usize = 2;
const HALF: usize = PANEL / 2;

/// # Safety
/// The processor has the instructions; rows have as many groups as the matrix.
#[target_feature(enable = "avx2,f16c,fma")]
pub(super) unsafe fn run(job: &Job<'_>) {
    let panel = job.panel;
    let groups = panel.len() / job.format.group_bytes();
    for (index, rows) in job.rows.chunks(TILE).enumerate() {
        let mut products = [[0.0; PANEL]; TILE];
        for half in 0..2 {
            macro_rules! tile {
                ($tokens:literal) => {{
                    let rows: &[&[Group]; $tokens] =
                        rows.first_chunk().expect("a tile of this many tokens");
                    // SAFETY: the panel has `groups` groups, and so has every row.
                    unsafe {
                        match job.format {
                            Format::Int8 => int8(panel, groups, half, rows, &mut products),
                            Format::Int4 => int4(panel, groups, half, rows, &mut products),
                        }
                    }
                }};
            }
            match rows.len() {
                1 => tile!(1),
                _ => tile!(2),
            }
        }
        for (token, products) in products.iter().take(rows.len()).enumerate() {
            job.put(index * TILE + token, products);
        }
    }
}

/// # Safety
/// There are four bytes at `codes`.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn broadcast(codes: *const i8) -> __m256i {
    // SAFETY: four bytes by contract.
    _mm256_set1_epi32(unsafe { codes.cast::<i32>().read_unaligned() })
}

/// # Safety
/// There are 32 bytes at `bytes`.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn codes(bytes: *const u8) -> __m256i {
    // SAFETY: 32 bytes by contract.
    unsafe { _mm256_loadu_si256(bytes.cast()) }
}

/// Eight halves as floats.
///
/// # Safety
/// There are 16 bytes at `bytes`.
#[inline]
#[target_feature(enable = "avx2,f16c")]
unsafe fn halves(bytes: *const u8) -> __m256 {
    // SAFETY: 16 bytes by contract.
    _mm256_cvtph_ps(unsafe { _mm_loadu_si128(bytes.cast()) })
}

/// `sum` plus the products of unsigned and signed bytes, four neighbours each.
/// No pair of products may pass 32,767.
#[inline]
#[target_feature(enable = "avx2")]
fn dot(sum: __m256i, unsigned: __m256i, signed: __m256i) -> __m256i {
    let pairs = _mm256_maddubs_epi16(unsigned, signed);
    _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)))
}

/// # Safety
/// `panel` has `groups` groups of 8 bits, every row as many.
#[target_feature(enable = "avx2,f16c,fma")]
unsafe fn int8<const T: usize>(
    panel: &[u8],
    groups: usize,
    half: usize,
    rows: &[&[Group]; T],
    products: &mut [[f32; PANEL]; TILE],
) {
    let mut totals = [[_mm256_setzero_ps(); 2]; T];
    let flip = _mm256_set1_epi8(-128);
    for group in 0..groups {
        // SAFETY: the contract's sizes.
        unsafe {
            let bytes = panel.as_ptr().add(group * Format::Int8.group_bytes());
            let tokens: [&Group; T] = std::array::from_fn(|t| rows[t].get_unchecked(group));
            let mut sums = [[_mm256_setzero_si256(); 2]; T];
            for quad in 0..GROUP / 4 {
                for part in 0..2 {
                    let weights = codes(bytes.add(quad * 128 + half * 64 + part * 32));
                    let weights = _mm256_xor_si256(weights, flip);
                    // |w| · (a with w's sign): at most 2 · 128 · 127 a pair.
                    let magnitudes = _mm256_abs_epi8(weights);
                    for t in 0..T {
                        let four = broadcast(tokens[t].codes.as_ptr().add(quad * 4));
                        let signed = _mm256_sign_epi8(four, weights);
                        sums[t][part] = dot(sums[t][part], magnitudes, signed);
                    }
                }
            }
            let scales = bytes.add(Format::Int8.code_bytes() + half * 2 * HALF);
            for t in 0..T {
                let scale = _mm256_set1_ps(tokens[t].scale);
                for part in 0..2 {
                    let weights = halves(scales.add(part * 16));
                    let sum = _mm256_mul_ps(_mm256_cvtepi32_ps(sums[t][part]), weights);
                    totals[t][part] = _mm256_fmadd_ps(sum, scale, totals[t][part]);
                }
            }
        }
    }
    store(&totals, half, products);
}

/// # Safety
/// `panel` has `groups` groups of 4 bits, every row as many.
#[target_feature(enable = "avx2,f16c,fma")]
unsafe fn int4<const T: usize>(
    panel: &[u8],
    groups: usize,
    half: usize,
    rows: &[&[Group]; T],
    products: &mut [[f32; PANEL]; TILE],
) {
    let mut totals = [[_mm256_setzero_ps(); 2]; T];
    let nibble = _mm256_set1_epi8(0x0f);
    for group in 0..groups {
        // SAFETY: the contract's sizes.
        unsafe {
            let bytes = panel.as_ptr().add(group * Format::Int4.group_bytes());
            let tokens: [&Group; T] = std::array::from_fn(|t| rows[t].get_unchecked(group));
            let mut sums = [[_mm256_setzero_si256(); 2]; T];
            for quad in 0..GROUP / 8 {
                for part in 0..2 {
                    let pair = codes(bytes.add(quad * 128 + half * 64 + part * 32));
                    let low = _mm256_and_si256(pair, nibble);
                    let high = _mm256_and_si256(_mm256_srli_epi16::<4>(pair), nibble);
                    for t in 0..T {
                        let at = tokens[t].codes.as_ptr().add(quad * 4);
                        let sum = dot(sums[t][part], low, broadcast(at));
                        sums[t][part] = dot(sum, high, broadcast(at.add(16)));
                    }
                }
            }
            let scales = bytes.add(Format::Int4.code_bytes() + half * 2 * HALF);
            let minima = scales.add(2 * PANEL);
            for t in 0..T {
                let offset = _mm256_set1_ps(tokens[t].offset);
                let scale = _mm256_set1_ps(tokens[t].scale);
                for part in 0..2 {
                    let weights = halves(scales.add(part * 16));
                    let sum = _mm256_mul_ps(_mm256_cvtepi32_ps(sums[t][part]), weights);
                    let total = _mm256_fmadd_ps(sum, scale, totals[t][part]);
                    totals[t][part] = _mm256_fmadd_ps(halves(minima.add(part * 16)), offset, total);
                }
            }
        }
    }
    store(&totals, half, products);
}

#[inline]
#[target_feature(enable = "avx2")]
fn store<const T: usize>(
    totals: &[[__m256; 2]; T],
    half: usize,
    products: &mut [[f32; PANEL]; TILE],
) {
    for (totals, products) in totals.iter().zip(products) {
        // SAFETY: sixteen floats from the beginning of the half.
        unsafe {
            let to = products.as_mut_ptr().add(half * HALF);
            _mm256_storeu_ps(to, totals[0]);
            _mm256_storeu_ps(to.add(8), totals[1]);
        }
    }
}
