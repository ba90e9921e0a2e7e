//! Instructions of Arm processors for which the oldest Rust that builds this
//! has no stable functions.

use std::arch::aarch64::*;
use std::arch::asm;

/// Adds to each of four sums the products of four neighbours of `weights` and the
/// four of `activations` that `LANE` names.
#[inline]
#[target_feature(enable = "neon,dotprod")]
pub(crate) fn sdot_lane<const LANE: usize>(
    mut sums: int32x4_t,
    weights: int8x16_t,
    activations: int8x16_t,
) -> int32x4_t {
    // SAFETY: registers alone.
    unsafe {
        asm!(
            "sdot {sums:v}.4s, {weights:v}.16b, {activations:v}.4b[{lane}]",
            sums = inlateout(vreg) sums,
            weights = in(vreg) weights,
            activations = in(vreg) activations,
            lane = const LANE,
            options(pure, nomem, nostack, preserves_flags),
        );
    }
    sums
}

/// Adds the product of two rows of eight and two columns of eight: row 0 with
/// columns 0 and 1, then row 1 with both.
#[inline]
#[target_feature(enable = "neon,i8mm")]
pub(crate) fn smmla(mut sums: int32x4_t, rows: int8x16_t, columns: int8x16_t) -> int32x4_t {
    // SAFETY: registers alone.
    unsafe {
        asm!(
            "smmla {sums:v}.4s, {rows:v}.16b, {columns:v}.16b",
            sums = inlateout(vreg) sums,
            rows = in(vreg) rows,
            columns = in(vreg) columns,
            options(pure, nomem, nostack, preserves_flags),
        );
    }
    sums
}

/// Four halves as floats.
///
/// # Safety
/// There are 8 bytes at `halves`.
#[inline]
#[target_feature(enable = "neon")]
pub(crate) unsafe fn load_halves(halves: *const u8) -> float32x4_t {
    // SAFETY: 8 bytes by contract; loads of bytes ask for no alignment.
    let halves = unsafe { vld1_u8(halves) };
    let floats;
    // SAFETY: registers alone.
    unsafe {
        asm!(
            "fcvtl {floats:v}.4s, {halves:v}.4h",
            floats = lateout(vreg) floats,
            halves = in(vreg) halves,
            options(pure, nomem, nostack, preserves_flags),
        );
    }
    floats
}

/// Asks for the line that `place` is in, which need not exist.
#[inline(always)]
pub(crate) fn prefetch(place: *const u8) {
    // SAFETY: a prefetch reads nothing and cannot fault.
    unsafe {
        asm!("prfm pldl1keep, [{}]", in(reg) place, options(nostack, preserves_flags, readonly));
    }
}
