//! The forms for 256 bits: AVX2, where `vpmaddubsw` and `vpmaddwd` take four
//! columns of eight rows, and AVX-VNNI, where `vpdpbusd` does so alone.

use std::arch::x86_64::*;

use super::Job;
use crate::activation::{BIAS, GROUP, Group};
use crate::matrix::{Format, PANEL};

/// Rows of half a panel, which a tile computes at once.
const HALF: usize = PANEL / 2;
/// Tokens of the largest tile: 3 × 16 rows need 6 integer and 6 float accumulators
/// of the sixteen registers.
const MOST: usize = 3;

/// How products of bytes are added up.
trait Dot {
    /// Tokens of a tile.
    const TILE: usize;
    /// Where sums of 8-bit weights begin.
    fn start(token: &Group) -> i32;
    /// `sum` plus the products of weights, as they are packed in 8 bits, and
    /// activations, four neighbours each.
    unsafe fn biased(sum: __m256i, weights: __m256i, activations: __m256i) -> __m256i;
    /// The same for weights from 0 to 15.
    unsafe fn small(sum: __m256i, weights: __m256i, activations: __m256i) -> __m256i;
}

struct Avx2;

// SAFETY of the blocks below: the processor has AVX2 where this is run.
#[allow(
    clippy::undocumented_unsafe_blocks,
    reason = "one reason, stated above, for all"
)]
impl Dot for Avx2 {
    /// The steps of a product take registers too.
    const TILE: usize = 2;

    #[inline(always)]
    fn start(_: &Group) -> i32 {
        BIAS.to_bits() as i32
    }

    #[inline(always)]
    unsafe fn biased(sum: __m256i, weights: __m256i, activations: __m256i) -> __m256i {
        unsafe {
            let weights = _mm256_xor_si256(weights, _mm256_set1_epi8(-128));
            // |w| · (a with w's sign): at most 2 · 128 · 127 a pair.
            let signed = _mm256_sign_epi8(activations, weights);
            Self::small(sum, _mm256_abs_epi8(weights), signed)
        }
    }

    #[inline(always)]
    unsafe fn small(sum: __m256i, weights: __m256i, activations: __m256i) -> __m256i {
        unsafe {
            let pairs = _mm256_maddubs_epi16(weights, activations);
            _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)))
        }
    }
}

struct AvxVnni;

// SAFETY of the blocks below: the processor has AVX-VNNI where this is run.
#[allow(
    clippy::undocumented_unsafe_blocks,
    reason = "one reason, stated above, for all"
)]
impl Dot for AvxVnni {
    const TILE: usize = MOST;

    #[inline(always)]
    fn start(token: &Group) -> i32 {
        // The codes of the weights are 128 too large.
        token.biased_start
    }

    #[inline(always)]
    unsafe fn biased(sum: __m256i, weights: __m256i, activations: __m256i) -> __m256i {
        unsafe { _mm256_dpbusd_avx_epi32(sum, weights, activations) }
    }

    #[inline(always)]
    unsafe fn small(sum: __m256i, weights: __m256i, activations: __m256i) -> __m256i {
        unsafe { _mm256_dpbusd_avx_epi32(sum, weights, activations) }
    }
}

/// # Safety
/// The processor has the instructions; rows have as many groups as the matrix.
#[target_feature(enable = "avx2,f16c,fma")]
pub(super) unsafe fn run_avx2(job: &Job<'_>) {
    // SAFETY: the caller's contract is passed on.
    unsafe { run::<Avx2>(job) }
}

/// # Safety
/// The processor has the instructions; rows have as many groups as the matrix.
#[target_feature(enable = "avx2,avxvnni,f16c,fma")]
pub(super) unsafe fn run_avx_vnni(job: &Job<'_>) {
    // SAFETY: the caller's contract is passed on.
    unsafe { run::<AvxVnni>(job) }
}

/// # Safety
/// The processor has the instructions of `D`; rows have as many groups as the matrix.
#[inline(always)]
unsafe fn run<D: Dot>(job: &Job<'_>) {
    let panel = job.panel;
    let groups = panel.len() / job.format.group_bytes();
    let mut products = [[0.0; PANEL]; MOST];
    for (index, rows) in job.rows.chunks(D::TILE).enumerate() {
        for half in 0..2 {
            macro_rules! tile {
                ($tokens:literal) => {{
                    let rows: &[&[Group]; $tokens] =
                        rows.first_chunk().expect("a tile of this many tokens");
                    // SAFETY: the panel has `groups` groups, and so has every row.
                    unsafe {
                        match job.format {
                            Format::Int8 => int8::<D, _>(panel, groups, half, rows, &mut products),
                            Format::Int4 => int4::<D, _>(panel, groups, half, rows, &mut products),
                        }
                    }
                }};
            }
            match rows.len() {
                1 => tile!(1),
                2 => tile!(2),
                _ => tile!(3),
            }
        }
        for (token, products) in products.iter().take(rows.len()).enumerate() {
            job.put(index * D::TILE + token, products);
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

/// # Safety
/// `panel` has `groups` groups of 8 bits, every row as many.
#[inline(always)]
unsafe fn int8<D: Dot, const T: usize>(
    panel: &[u8],
    groups: usize,
    half: usize,
    rows: &[&[Group]; T],
    products: &mut [[f32; PANEL]; MOST],
) {
    // SAFETY: the contract's sizes.
    unsafe {
        let mut totals = [[_mm256_setzero_ps(); 2]; T];
        for group in 0..groups {
            let bytes = panel.as_ptr().add(group * Format::Int8.group_bytes());
            let tokens: [&Group; T] = std::array::from_fn(|t| rows[t].get_unchecked(group));
            let mut sums: [[__m256i; 2]; T] =
                std::array::from_fn(|t| [_mm256_set1_epi32(D::start(tokens[t])); 2]);
            for quad in 0..GROUP / 4 {
                for part in 0..2 {
                    let weights = codes(bytes.add(quad * 128 + half * 64 + part * 32));
                    for t in 0..T {
                        let four = broadcast(tokens[t].codes.as_ptr().add(quad * 4));
                        sums[t][part] = D::biased(sums[t][part], weights, four);
                    }
                }
            }
            let scales = bytes.add(Format::Int8.code_bytes() + half * 2 * HALF);
            for part in 0..2 {
                add_sums(&sums, part, scales, &tokens, &mut totals);
            }
        }
        store(&totals, half, products);
    }
}

/// # Safety
/// `panel` has `groups` groups of 4 bits, every row as many.
#[inline(always)]
unsafe fn int4<D: Dot, const T: usize>(
    panel: &[u8],
    groups: usize,
    half: usize,
    rows: &[&[Group]; T],
    products: &mut [[f32; PANEL]; MOST],
) {
    // SAFETY: the contract's sizes.
    unsafe {
        let mut totals = [[_mm256_setzero_ps(); 2]; T];
        let nibble = _mm256_set1_epi8(0x0f);
        for group in 0..groups {
            let bytes = panel.as_ptr().add(group * Format::Int4.group_bytes());
            let tokens: [&Group; T] = std::array::from_fn(|t| rows[t].get_unchecked(group));
            let mut sums = [[_mm256_set1_epi32(BIAS.to_bits() as i32); 2]; T];
            for quad in 0..GROUP / 8 {
                for part in 0..2 {
                    let pair = codes(bytes.add(quad * 128 + half * 64 + part * 32));
                    let low = _mm256_and_si256(pair, nibble);
                    let high = _mm256_and_si256(_mm256_srli_epi16::<4>(pair), nibble);
                    for t in 0..T {
                        let at = tokens[t].codes.as_ptr().add(quad * 4);
                        let sum = D::small(sums[t][part], low, broadcast(at));
                        sums[t][part] = D::small(sum, high, broadcast(at.add(16)));
                    }
                }
            }
            let scales = bytes.add(Format::Int4.code_bytes() + half * 2 * HALF);
            let minima = scales.add(2 * PANEL);
            for part in 0..2 {
                add_sums(&sums, part, scales, &tokens, &mut totals);
                let minima = halves(minima.add(part * 16));
                for t in 0..T {
                    let offset = _mm256_set1_ps(tokens[t].offset);
                    totals[t][part] = _mm256_fmadd_ps(minima, offset, totals[t][part]);
                }
            }
        }
        store(&totals, half, products);
    }
}

/// Adds the sums of one group, times its scales, to the totals of eight rows.
///
/// # Safety
/// There are 16 bytes for each part at `scales`.
#[inline(always)]
unsafe fn add_sums<const T: usize>(
    sums: &[[__m256i; 2]; T],
    part: usize,
    scales: *const u8,
    tokens: &[&Group; T],
    totals: &mut [[__m256; 2]; T],
) {
    // SAFETY: the contract's sizes.
    unsafe {
        let scales = halves(scales.add(part * 16));
        let biases = _mm256_mul_ps(scales, _mm256_set1_ps(BIAS));
        for t in 0..T {
            let sum = _mm256_castsi256_ps(sums[t][part]);
            let sum = _mm256_fmsub_ps(sum, scales, biases);
            let scale = _mm256_set1_ps(tokens[t].scale);
            totals[t][part] = _mm256_fmadd_ps(sum, scale, totals[t][part]);
        }
    }
}

/// # Safety
/// The processor has AVX2.
#[inline(always)]
unsafe fn store<const T: usize>(
    totals: &[[__m256; 2]; T],
    half: usize,
    products: &mut [[f32; PANEL]; MOST],
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
