use std::arch::x86_64::*;

use half::f16;

use super::Lanes;

/// Two AVX registers: lanes 0 to 7 and 8 to 15.
#[derive(Clone, Copy)]
pub(crate) struct Avx2(__m256, __m256);

/// The upper register folded onto the lower, then halves onto halves.
macro_rules! fold {
    ($x:expr, $op256:ident, $op128:ident) => {{
        let x = $op256($x.0, $x.1);
        let x = $op128(_mm256_castps256_ps128(x), _mm256_extractf128_ps::<1>(x));
        let x = $op128(x, _mm_movehl_ps(x, x));
        let x = $op128(x, _mm_shuffle_ps::<0b01>(x, x));
        _mm_cvtss_f32(x)
    }};
}

// SAFETY of every block below: the trait's contract gives the instructions and
// the validity of the pointers; the unaligned forms of loads and stores are used.
#[allow(
    clippy::undocumented_unsafe_blocks,
    reason = "one reason, stated above, for all"
)]
impl Lanes for Avx2 {
    #[inline(always)]
    unsafe fn splat(value: f32) -> Self {
        unsafe { Self(_mm256_set1_ps(value), _mm256_set1_ps(value)) }
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        unsafe { Self(_mm256_loadu_ps(from), _mm256_loadu_ps(from.add(8))) }
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        unsafe {
            _mm256_storeu_ps(to, self.0);
            _mm256_storeu_ps(to.add(8), self.1);
        }
    }
    #[inline(always)]
    unsafe fn load_half(from: *const f16) -> Self {
        unsafe {
            Self(
                _mm256_cvtph_ps(_mm_loadu_si128(from.cast())),
                _mm256_cvtph_ps(_mm_loadu_si128(from.add(8).cast())),
            )
        }
    }
    #[inline(always)]
    unsafe fn load_bytes(from: *const i8) -> Self {
        unsafe {
            let low = _mm256_cvtepi8_epi32(_mm_loadl_epi64(from.cast()));
            let high = _mm256_cvtepi8_epi32(_mm_loadl_epi64(from.add(8).cast()));
            Self(_mm256_cvtepi32_ps(low), _mm256_cvtepi32_ps(high))
        }
    }
    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        unsafe {
            Self(
                _mm256_add_ps(self.0, other.0),
                _mm256_add_ps(self.1, other.1),
            )
        }
    }
    #[inline(always)]
    unsafe fn sub(self, other: Self) -> Self {
        unsafe {
            Self(
                _mm256_sub_ps(self.0, other.0),
                _mm256_sub_ps(self.1, other.1),
            )
        }
    }
    #[inline(always)]
    unsafe fn mul(self, other: Self) -> Self {
        unsafe {
            Self(
                _mm256_mul_ps(self.0, other.0),
                _mm256_mul_ps(self.1, other.1),
            )
        }
    }
    #[inline(always)]
    unsafe fn div(self, other: Self) -> Self {
        unsafe {
            Self(
                _mm256_div_ps(self.0, other.0),
                _mm256_div_ps(self.1, other.1),
            )
        }
    }
    #[inline(always)]
    unsafe fn max(self, other: Self) -> Self {
        unsafe {
            Self(
                _mm256_max_ps(self.0, other.0),
                _mm256_max_ps(self.1, other.1),
            )
        }
    }
    #[inline(always)]
    unsafe fn min(self, other: Self) -> Self {
        unsafe {
            Self(
                _mm256_min_ps(self.0, other.0),
                _mm256_min_ps(self.1, other.1),
            )
        }
    }
    #[inline(always)]
    unsafe fn mul_add(self, factor: Self, addend: Self) -> Self {
        unsafe {
            Self(
                _mm256_fmadd_ps(self.0, factor.0, addend.0),
                _mm256_fmadd_ps(self.1, factor.1, addend.1),
            )
        }
    }
    #[inline(always)]
    unsafe fn round(self) -> Self {
        const NEAREST: i32 = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;
        unsafe {
            Self(
                _mm256_round_ps::<NEAREST>(self.0),
                _mm256_round_ps::<NEAREST>(self.1),
            )
        }
    }
    #[inline(always)]
    unsafe fn power_of_two(self) -> Self {
        unsafe {
            let bias = _mm256_set1_epi32(127);
            let low = _mm256_add_epi32(_mm256_cvtps_epi32(self.0), bias);
            let high = _mm256_add_epi32(_mm256_cvtps_epi32(self.1), bias);
            Self(
                _mm256_castsi256_ps(_mm256_slli_epi32::<23>(low)),
                _mm256_castsi256_ps(_mm256_slli_epi32::<23>(high)),
            )
        }
    }
    #[inline(always)]
    unsafe fn store_bytes(low: Self, high: Self, to: *mut i8) -> i32 {
        unsafe {
            // Packing works within halves of a register; the permutation mends the order.
            // No closures: what they call is not compiled for these instructions.
            let low = _mm256_packs_epi32(_mm256_cvtps_epi32(low.0), _mm256_cvtps_epi32(low.1));
            let low = _mm256_permute4x64_epi64::<0b11_01_10_00>(low);
            let high = _mm256_packs_epi32(_mm256_cvtps_epi32(high.0), _mm256_cvtps_epi32(high.1));
            let high = _mm256_permute4x64_epi64::<0b11_01_10_00>(high);
            let bytes = _mm256_packs_epi16(low, high);
            let bytes = _mm256_permute4x64_epi64::<0b11_01_10_00>(bytes);
            _mm256_storeu_si256(to.cast(), bytes);
            let pairs = _mm256_add_epi16(low, high);
            let sums = _mm256_madd_epi16(pairs, _mm256_set1_epi16(1));
            let sums = _mm_add_epi32(
                _mm256_castsi256_si128(sums),
                _mm256_extracti128_si256::<1>(sums),
            );
            let sums = _mm_add_epi32(sums, _mm_shuffle_epi32::<0b01_00_11_10>(sums));
            let sums = _mm_add_epi32(sums, _mm_shuffle_epi32::<0b10_11_00_01>(sums));
            _mm_cvtsi128_si32(sums)
        }
    }
    #[inline(always)]
    unsafe fn sum(self) -> f32 {
        unsafe { fold!(self, _mm256_add_ps, _mm_add_ps) }
    }
    #[inline(always)]
    unsafe fn maximum(self) -> f32 {
        unsafe { fold!(self, _mm256_max_ps, _mm_max_ps) }
    }
}
