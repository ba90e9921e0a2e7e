//! The forms for 256 bits: AVX2, where `vpmaddubsw` and `vpmaddwd` take four
//! columns of eight rows, and AVX-VNNI, where `vpdpbusd` does so alone.

use std::arch::x86_64::*;

use super::Job;
use crate::activation::{BIAS, GROUP, Group};
use crate::matrix::{Format, PANEL};

/// Rows that one register has sums of.
const EIGHT: usize = 8;
/// Such eights in a panel.
const PARTS: usize = PANEL / EIGHT;
/// Tokens of the largest tile: eight integer accumulators, those of four tokens and
/// sixteen rows, leave half of the registers for weights, activations and the steps of a
/// product. One or two tokens take all rows at once.
const MOST: usize = 4;
/// Bytes that come from memory together.
const LINE: usize = 64;

/// How products of bytes are added up.
trait Dot {
    /// Where sums of 8-bit weights begin.
    fn start(token: &Group) -> i32;
    /// `sum` plus the products of weights, as they are packed in 8 bits, and
    /// activations, four neighbours each.
    unsafe fn biased(sum: __m256i, weights: __m256i, activations: __m256i) -> __m256i;
    /// Where the sum of a group of weights from 0 to 15 begins.
    unsafe fn small_start() -> __m256i;
    /// That sum plus the products of four neighbours each.
    unsafe fn small(sum: __m256i, weights: __m256i, activations: __m256i) -> __m256i;
    /// That sum, when the group is over, as [`Dot::biased`] has it.
    unsafe fn small_end(sum: __m256i) -> __m256i;
}

struct Avx2;

// SAFETY of the blocks below: the processor has AVX2 where this is run.
#[allow(
    clippy::undocumented_unsafe_blocks,
    reason = "one reason, stated above, for all"
)]
impl Dot for Avx2 {
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
            let pairs = _mm256_maddubs_epi16(_mm256_abs_epi8(weights), signed);
            _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)))
        }
    }

    #[inline(always)]
    unsafe fn small_start() -> __m256i {
        unsafe { _mm256_setzero_si256() }
    }

    /// A pair is at most 2 · 15 · 127, so the eight of a group fit in 16 bits, and half
    /// of the multiplications that pairs of them would take are saved.
    #[inline(always)]
    unsafe fn small(sum: __m256i, weights: __m256i, activations: __m256i) -> __m256i {
        unsafe { _mm256_add_epi16(sum, _mm256_maddubs_epi16(weights, activations)) }
    }

    #[inline(always)]
    unsafe fn small_end(sum: __m256i) -> __m256i {
        unsafe {
            let start = _mm256_set1_epi32(BIAS.to_bits() as i32);
            _mm256_add_epi32(start, _mm256_madd_epi16(sum, _mm256_set1_epi16(1)))
        }
    }
}

// Pairs of neighbours in a group, each of which is one addition of `Avx2::small`.
const _: () = assert!(GROUP / 4 * 2 * 15 * 127 <= i16::MAX as usize);

struct AvxVnni;

// SAFETY of the blocks below: the processor has AVX-VNNI where this is run.
#[allow(
    clippy::undocumented_unsafe_blocks,
    reason = "one reason, stated above, for all"
)]
impl Dot for AvxVnni {
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
    unsafe fn small_start() -> __m256i {
        unsafe { _mm256_set1_epi32(BIAS.to_bits() as i32) }
    }

    #[inline(always)]
    unsafe fn small(sum: __m256i, weights: __m256i, activations: __m256i) -> __m256i {
        unsafe { _mm256_dpbusd_avx_epi32(sum, weights, activations) }
    }

    #[inline(always)]
    unsafe fn small_end(sum: __m256i) -> __m256i {
        sum
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
    let groups = job.panel.len() / job.format.group_bytes();
    let mut products = [[0.0; PANEL]; MOST];
    let mut rest = job.rows;
    while !rest.is_empty() {
        // Tiles as even as may be: one of a token takes longer than its share.
        let (rows, after) = rest.split_at(rest.len().div_ceil(rest.len().div_ceil(MOST)));
        let first = job.rows.len() - rest.len();
        rest = after;
        // The next panel comes closer with every tile of this one.
        let share = |rows: usize| job.next.len() / LINE * rows / job.rows.len() * LINE;
        let ahead = &job.next[share(first)..share(first + rows.len())];
        macro_rules! tile {
            ($tokens:literal x $parts:literal) => {{
                let rows: &[&[Group]; $tokens] =
                    rows.first_chunk().expect("a tile of this many tokens");
                for (pass, ahead) in split(ahead, PARTS / $parts).enumerate() {
                    let tile = Tile {
                        panel: job.panel,
                        groups,
                        first: pass * $parts,
                        ahead,
                        pace: (ahead.len() / LINE).div_ceil(groups) * LINE,
                    };
                    // SAFETY: the panel has `groups` groups, and so has every row.
                    unsafe {
                        match job.format {
                            Format::Int8 => {
                                tile.int8::<D, $parts, $tokens>(rows, &mut products);
                            }
                            Format::Int4 => {
                                tile.int4::<D, $parts, $tokens>(rows, &mut products);
                            }
                        }
                    }
                }
            }};
        }
        match rows.len() {
            1 => tile!(1 x 4),
            2 => tile!(2 x 4),
            3 => tile!(3 x 2),
            _ => tile!(4 x 2),
        }
        for (row, products) in products.iter().take(rows.len()).enumerate() {
            job.put(first + row, products);
        }
    }
}

/// `bytes` in so many pieces of whole lines, some of them empty.
fn split(bytes: &[u8], pieces: usize) -> impl Iterator<Item = &[u8]> {
    let lines = bytes.len() / LINE;
    (0..pieces).map(move |piece| {
        &bytes[lines * piece / pieces * LINE..lines * (piece + 1) / pieces * LINE]
    })
}

/// Some of the eights of rows of a panel, against some tokens.
struct Tile<'a> {
    panel: &'a [u8],
    groups: usize,
    /// The first eight.
    first: usize,
    /// What will be wanted after this.
    ahead: &'a [u8],
    /// How many bytes of that are asked for with each group.
    pace: usize,
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

/// Says that the sums are needed now, in registers. Without it the compiler puts the
/// quads of a group in an order of its own, and keeps in memory what then does not fit
/// into registers: a third of the speed is lost.
///
/// # Safety
/// The processor has AVX2.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn settle<const P: usize, const T: usize>(sums: &mut [[__m256i; T]; P]) {
    for sum in sums.as_flattened_mut() {
        // SAFETY: no instruction at all.
        unsafe {
            std::arch::asm!(
                "/* {0} */",
                inout(ymm_reg) * sum,
                options(pure, nomem, nostack, preserves_flags)
            );
        }
    }
}

impl Tile<'_> {
    /// Asks for this group's share of what is wanted after this.
    ///
    /// # Safety
    /// The processor has AVX2.
    #[inline(always)]
    unsafe fn ask_ahead(&self, group: usize) {
        let end = self.ahead.len().min((group + 1) * self.pace);
        for at in (group * self.pace..end).step_by(LINE) {
            // SAFETY: a prefetch reads nothing and cannot fault.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(self.ahead.as_ptr().add(at).cast()) };
        }
    }

    /// # Safety
    /// The panel has `groups` groups of 8 bits, every row as many; there are `P` eights
    /// from `first` on.
    #[inline(always)]
    unsafe fn int8<D: Dot, const P: usize, const T: usize>(
        &self,
        rows: &[&[Group]; T],
        products: &mut [[f32; PANEL]; MOST],
    ) {
        // SAFETY: the contract's sizes.
        unsafe {
            let mut totals = [[_mm256_setzero_ps(); T]; P];
            for group in 0..self.groups {
                self.ask_ahead(group);
                let bytes = self.panel.as_ptr().add(group * Format::Int8.group_bytes());
                let tokens: [&Group; T] = std::array::from_fn(|t| rows[t].get_unchecked(group));
                let mut sums = [[_mm256_setzero_si256(); T]; P];
                for sums in &mut sums {
                    for t in 0..T {
                        sums[t] = _mm256_set1_epi32(D::start(tokens[t]));
                    }
                }
                for quad in 0..GROUP / 4 {
                    let at = bytes.add(quad * 128 + self.first * 32);
                    for t in 0..T {
                        let four = broadcast(tokens[t].codes.as_ptr().add(quad * 4));
                        for part in 0..P {
                            let weights = codes(at.add(part * 32));
                            sums[part][t] = D::biased(sums[part][t], weights, four);
                        }
                    }
                    settle(&mut sums);
                }
                let scales = bytes.add(Format::Int8.code_bytes() + self.first * 16);
                for part in 0..P {
                    let scales = halves(scales.add(part * 16));
                    add_sums(&sums[part], scales, &tokens, &mut totals[part]);
                }
            }
            self.store(&totals, products);
        }
    }

    /// # Safety
    /// The panel has `groups` groups of 4 bits, every row as many; there are `P` eights
    /// from `first` on.
    #[inline(always)]
    unsafe fn int4<D: Dot, const P: usize, const T: usize>(
        &self,
        rows: &[&[Group]; T],
        products: &mut [[f32; PANEL]; MOST],
    ) {
        // SAFETY: the contract's sizes.
        unsafe {
            let mut totals = [[_mm256_setzero_ps(); T]; P];
            let nibble = _mm256_set1_epi8(0x0f);
            for group in 0..self.groups {
                self.ask_ahead(group);
                let bytes = self.panel.as_ptr().add(group * Format::Int4.group_bytes());
                let tokens: [&Group; T] = std::array::from_fn(|t| rows[t].get_unchecked(group));
                let mut sums = [[D::small_start(); T]; P];
                for quad in 0..GROUP / 8 {
                    let at = bytes.add(quad * 128 + self.first * 32);
                    for t in 0..T {
                        let four = tokens[t].codes.as_ptr().add(quad * 4);
                        let (first, second) = (broadcast(four), broadcast(four.add(16)));
                        for part in 0..P {
                            let pair = codes(at.add(part * 32));
                            let low = _mm256_and_si256(pair, nibble);
                            let high = _mm256_and_si256(_mm256_srli_epi16::<4>(pair), nibble);
                            let sum = D::small(sums[part][t], low, first);
                            sums[part][t] = D::small(sum, high, second);
                        }
                    }
                    settle(&mut sums);
                }
                let scales = bytes.add(Format::Int4.code_bytes() + self.first * 16);
                let minima = scales.add(2 * PANEL);
                for part in 0..P {
                    for sum in &mut sums[part] {
                        *sum = D::small_end(*sum);
                    }
                    let scales = halves(scales.add(part * 16));
                    add_sums(&sums[part], scales, &tokens, &mut totals[part]);
                    let minima = halves(minima.add(part * 16));
                    for t in 0..T {
                        let offset = _mm256_set1_ps(tokens[t].offset);
                        totals[part][t] = _mm256_fmadd_ps(minima, offset, totals[part][t]);
                    }
                }
            }
            self.store(&totals, products);
        }
    }

    /// # Safety
    /// The processor has AVX2; there are `P` eights from `first` on.
    #[inline(always)]
    unsafe fn store<const P: usize, const T: usize>(
        &self,
        totals: &[[__m256; T]; P],
        products: &mut [[f32; PANEL]; MOST],
    ) {
        for (part, totals) in totals.iter().enumerate() {
            for (total, products) in totals.iter().zip(&mut *products) {
                // SAFETY: eight floats from the beginning of the eight.
                unsafe {
                    let to = products.as_mut_ptr().add((self.first + part) * EIGHT);
                    _mm256_storeu_ps(to, *total);
                }
            }
        }
    }
}

/// Adds the sums of one group of eight rows, times its scales, to the totals.
///
/// # Safety
/// The processor has AVX2 and FMA.
#[inline(always)]
unsafe fn add_sums<const T: usize>(
    sums: &[__m256i; T],
    scales: __m256,
    tokens: &[&Group; T],
    totals: &mut [__m256; T],
) {
    // SAFETY: the contract's instructions.
    unsafe {
        let biases = _mm256_mul_ps(scales, _mm256_set1_ps(BIAS));
        for t in 0..T {
            let sum = _mm256_castsi256_ps(sums[t]);
            let sum = _mm256_fmsub_ps(sum, scales, biases);
            let scale = _mm256_set1_ps(tokens[t].scale);
            totals[t] = _mm256_fmadd_ps(sum, scale, totals[t]);
        }
    }
}
