//! Sixteen floats at once: the vocabulary in which every float kernel is
//! written once and compiled for each instruction set.
//!
//! All forms compute each lane with the same operations in the same order, so
//! that they agree to the last bit.

use half::f16;

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "aarch64")]
mod neon;
mod scalar;

#[cfg(target_arch = "x86_64")]
pub(crate) use avx2::Avx2;
#[cfg(target_arch = "x86_64")]
pub(crate) use avx512::Avx512;
#[cfg(target_arch = "aarch64")]
pub(crate) use neon::Neon;
pub(crate) use scalar::Scalar;

/// Floats in one value of [`Lanes`].
pub(crate) const LANES: usize = 16;

/// Sixteen floats.
///
/// # Safety
/// Every method needs the instructions of its form; pointers must be valid for
/// sixteen elements, with no alignment asked.
pub(crate) trait Lanes: Copy {
    unsafe fn splat(value: f32) -> Self;
    unsafe fn load(from: *const f32) -> Self;
    unsafe fn store(self, to: *mut f32);
    unsafe fn load_half(from: *const f16) -> Self;
    unsafe fn load_bytes(from: *const i8) -> Self;
    unsafe fn add(self, other: Self) -> Self;
    unsafe fn sub(self, other: Self) -> Self;
    unsafe fn mul(self, other: Self) -> Self;
    unsafe fn div(self, other: Self) -> Self;
    unsafe fn max(self, other: Self) -> Self;
    unsafe fn min(self, other: Self) -> Self;
    /// `self * factor + addend`, rounded once.
    unsafe fn mul_add(self, factor: Self, addend: Self) -> Self;
    /// To the nearest integer, halves to even.
    unsafe fn round(self) -> Self;
    /// Two to the power of each lane, an integer from -126 to 127.
    unsafe fn power_of_two(self) -> Self;
    /// Rounds numbers from -127 to 127 to the nearest integers, halves to even,
    /// stores them as 32 bytes and returns their sum.
    unsafe fn store_bytes(low: Self, high: Self, to: *mut i8) -> i32;
    /// The sum: lane i with i + 8, then with i + 4, i + 2, i + 1.
    unsafe fn sum(self) -> f32;
    /// The largest lane.
    unsafe fn maximum(self) -> f32;

    /// The natural exponential, to about 2e-7 of its value; below -87 that of -87.
    ///
    /// Range reduction by ln 2 in two parts, then a polynomial of degree 6
    /// (as in Cephes' `expf`).
    #[inline(always)]
    unsafe fn exp(self) -> Self {
        // SAFETY: the caller's contract is this method's.
        unsafe {
            let x = self.max(Self::splat(-87.0)).min(Self::splat(88.0));
            let n = x.mul(Self::splat(std::f32::consts::LOG2_E)).round();
            let r = n.mul_add(Self::splat(-0.693_359_4), x);
            let r = n.mul_add(Self::splat(2.121_944_4e-4), r);
            let mut p = Self::splat(1.987_569_1e-4);
            for c in [
                1.398_199_9e-3,
                8.333_452e-3,
                4.166_579_6e-2,
                1.666_666_5e-1,
                0.5,
            ] {
                p = p.mul_add(r, Self::splat(c));
            }
            let p = p.mul_add(r.mul(r), r).add(Self::splat(1.0));
            p.mul(n.power_of_two())
        }
    }

    /// The absolute value.
    #[inline(always)]
    unsafe fn abs(self) -> Self {
        // SAFETY: the caller's contract is this method's.
        unsafe { self.max(Self::splat(0.0).sub(self)) }
    }
}
