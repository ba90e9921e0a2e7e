use std::arch::aarch64::*;

use half::f16;

use super::{LANES, Lanes};
use crate::arm::load_halves;

/// Registers of four lanes.
const PARTS: usize = LANES / 4;

/// Four NEON registers, the lowest lanes first.
#[derive(Clone, Copy)]
pub(crate) struct Neon([float32x4_t; PARTS]);

impl Neon {
    #[inline(always)]
    fn with(self, other: Self, f: impl Fn(float32x4_t, float32x4_t) -> float32x4_t) -> Self {
        Self(std::array::from_fn(|part| f(self.0[part], other.0[part])))
    }

    /// Upper halves folded onto lower ones, down to one lane.
    #[inline(always)]
    fn fold(self, f: impl Fn(float32x4_t, float32x4_t) -> float32x4_t) -> f32 {
        let [a, b, c, d] = self.0;
        let four = f(f(a, c), f(b, d));
        // SAFETY: every processor of this architecture has NEON.
        unsafe {
            let two = f(four, vextq_f32::<2>(four, four));
            vgetq_lane_f32::<0>(f(two, vextq_f32::<1>(two, two)))
        }
    }
}

/// The larger of two; the second where one is no number.
#[inline(always)]
fn larger(a: float32x4_t, b: float32x4_t) -> float32x4_t {
    // SAFETY: every processor of this architecture has NEON.
    unsafe { vbslq_f32(vcgtq_f32(a, b), a, b) }
}

/// The smaller of two; the second where one is no number.
#[inline(always)]
fn smaller(a: float32x4_t, b: float32x4_t) -> float32x4_t {
    // SAFETY: every processor of this architecture has NEON.
    unsafe { vbslq_f32(vcltq_f32(a, b), a, b) }
}

// SAFETY of every block below: every processor of this architecture has NEON, and
// the trait's contract gives the validity of the pointers, of which no alignment
// is asked.
#[allow(
    clippy::undocumented_unsafe_blocks,
    reason = "one reason, stated above, for all"
)]
impl Lanes for Neon {
    #[inline(always)]
    unsafe fn splat(value: f32) -> Self {
        Self([unsafe { vdupq_n_f32(value) }; PARTS])
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        Self(std::array::from_fn(|part| unsafe {
            vld1q_f32(from.add(4 * part))
        }))
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        for (part, lanes) in self.0.into_iter().enumerate() {
            unsafe { vst1q_f32(to.add(4 * part), lanes) }
        }
    }
    #[inline(always)]
    unsafe fn load_half(from: *const f16) -> Self {
        Self(std::array::from_fn(|part| unsafe {
            load_halves(from.add(4 * part).cast())
        }))
    }
    #[inline(always)]
    unsafe fn load_bytes(from: *const i8) -> Self {
        unsafe {
            let bytes = vld1q_s8(from);
            let low = vmovl_s8(vget_low_s8(bytes));
            let high = vmovl_s8(vget_high_s8(bytes));
            let parts = [
                vget_low_s16(low),
                vget_high_s16(low),
                vget_low_s16(high),
                vget_high_s16(high),
            ];
            Self(parts.map(|part| vcvtq_f32_s32(vmovl_s16(part))))
        }
    }
    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        self.with(other, |a, b| unsafe { vaddq_f32(a, b) })
    }
    #[inline(always)]
    unsafe fn sub(self, other: Self) -> Self {
        self.with(other, |a, b| unsafe { vsubq_f32(a, b) })
    }
    #[inline(always)]
    unsafe fn mul(self, other: Self) -> Self {
        self.with(other, |a, b| unsafe { vmulq_f32(a, b) })
    }
    #[inline(always)]
    unsafe fn div(self, other: Self) -> Self {
        self.with(other, |a, b| unsafe { vdivq_f32(a, b) })
    }
    #[inline(always)]
    unsafe fn max(self, other: Self) -> Self {
        self.with(other, larger)
    }
    #[inline(always)]
    unsafe fn min(self, other: Self) -> Self {
        self.with(other, smaller)
    }
    #[inline(always)]
    unsafe fn mul_add(self, factor: Self, addend: Self) -> Self {
        Self(std::array::from_fn(|part| unsafe {
            vfmaq_f32(addend.0[part], self.0[part], factor.0[part])
        }))
    }
    #[inline(always)]
    unsafe fn round(self) -> Self {
        Self(self.0.map(|lanes| unsafe { vrndnq_f32(lanes) }))
    }
    #[inline(always)]
    unsafe fn power_of_two(self) -> Self {
        Self(self.0.map(|lanes| unsafe {
            let exponent = vaddq_s32(vcvtq_s32_f32(lanes), vdupq_n_s32(127));
            vreinterpretq_f32_s32(vshlq_n_s32::<23>(exponent))
        }))
    }
    #[inline(always)]
    unsafe fn store_bytes(low: Self, high: Self, to: *mut i8) -> i32 {
        let mut sum = 0;
        for (index, half) in [low, high].into_iter().enumerate() {
            unsafe {
                let [a, b, c, d] = half.0.map(|lanes| vqmovn_s32(vcvtnq_s32_f32(lanes)));
                let low = vqmovn_s16(vcombine_s16(a, b));
                let bytes = vcombine_s8(low, vqmovn_s16(vcombine_s16(c, d)));
                vst1q_s8(to.add(LANES * index), bytes);
                sum += i32::from(vaddlvq_s8(bytes));
            }
        }
        sum
    }
    #[inline(always)]
    unsafe fn sum(self) -> f32 {
        self.fold(|a, b| unsafe { vaddq_f32(a, b) })
    }
    #[inline(always)]
    unsafe fn maximum(self) -> f32 {
        self.fold(larger)
    }
}
