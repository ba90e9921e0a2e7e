//! The loops of multiply-adds for x86.

use std::arch::x86_64::*;
use std::hint::black_box;

/// Sums that do not wait for each other: enough to keep all units busy.
pub(super) const CHAINS: usize = 12;

/// # Safety
/// The processor has the instructions.
#[target_feature(enable = "avx512f,avx512vnni")]
pub(super) unsafe fn avx512(rounds: usize) {
    let factor = black_box(_mm512_set1_epi8(3));
    let mut sums = [_mm512_setzero_si512(); CHAINS];
    for _ in 0..rounds {
        for sum in &mut sums {
            *sum = _mm512_dpbusd_epi32(*sum, factor, factor);
        }
    }
    black_box(sums);
}

/// # Safety
/// The processor has the instructions.
#[target_feature(enable = "avx2,avxvnni")]
pub(super) unsafe fn avx_vnni(rounds: usize) {
    let factor = black_box(_mm256_set1_epi8(3));
    let mut sums = [_mm256_setzero_si256(); CHAINS];
    for _ in 0..rounds {
        for sum in &mut sums {
            *sum = _mm256_dpbusd_avx_epi32(*sum, factor, factor);
        }
    }
    black_box(sums);
}

/// # Safety
/// The processor has the instructions.
#[target_feature(enable = "avx2")]
pub(super) unsafe fn avx2(rounds: usize) {
    let factor = black_box(_mm256_set1_epi8(3));
    let ones = black_box(_mm256_set1_epi16(1));
    let mut sums = [_mm256_setzero_si256(); CHAINS];
    for _ in 0..rounds {
        for sum in &mut sums {
            // The sum is a factor, so that no product can be kept for the next round.
            let pairs = _mm256_maddubs_epi16(*sum, factor);
            *sum = _mm256_add_epi32(*sum, _mm256_madd_epi16(pairs, ones));
        }
    }
    black_box(sums);
}

/// # Safety
/// The processor has the instructions.
#[target_feature(enable = "avx2")]
pub(super) unsafe fn avx2_4_bits(rounds: usize) {
    let factor = black_box(_mm256_set1_epi8(3));
    let mut sums = [_mm256_setzero_si256(); CHAINS];
    for _ in 0..rounds {
        for sum in &mut sums {
            *sum = _mm256_add_epi16(*sum, _mm256_maddubs_epi16(*sum, factor));
        }
    }
    black_box(sums);
}

/// Asks for the line that `place` is in, which need not exist.
#[inline(always)]
pub(super) fn prefetch(place: *const f32) {
    // SAFETY: a prefetch reads nothing and cannot fault.
    unsafe { _mm_prefetch::<_MM_HINT_T0>(place.cast()) }
}
