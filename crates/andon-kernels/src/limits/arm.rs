//! The loops of multiply-adds for Arm.

use std::arch::aarch64::*;
use std::hint::black_box;

use crate::arm::{sdot_lane, smmla};

/// Sums that do not wait for each other: enough to keep all units busy.
pub(super) const CHAINS: usize = 20;

/// # Safety
/// The processor has the instructions.
#[target_feature(enable = "neon,i8mm")]
pub(super) unsafe fn i8mm(rounds: usize) {
    let factor = black_box(vdupq_n_s8(3));
    let mut sums = [vdupq_n_s32(0); CHAINS];
    for _ in 0..rounds {
        for sum in &mut sums {
            *sum = smmla(*sum, factor, factor);
        }
    }
    black_box(sums);
}

/// # Safety
/// The processor has the instructions.
#[target_feature(enable = "neon,dotprod")]
pub(super) unsafe fn dotprod(rounds: usize) {
    let factor = black_box(vdupq_n_s8(3));
    let mut sums = [vdupq_n_s32(0); CHAINS];
    for _ in 0..rounds {
        for sum in &mut sums {
            *sum = sdot_lane::<0>(*sum, factor, factor);
        }
    }
    black_box(sums);
}

/// # Safety
/// The processor has the instructions.
#[target_feature(enable = "neon")]
pub(super) unsafe fn neon(rounds: usize) {
    let factor = black_box(vdupq_n_s8(3));
    let mut sums = [vdupq_n_s32(0); CHAINS];
    for _ in 0..rounds {
        for sum in &mut sums {
            // The sum is a factor, so that no product can be kept for the next round.
            let bytes = vreinterpretq_s8_s32(*sum);
            let low = vmull_s8(vget_low_s8(bytes), vget_low_s8(factor));
            let high = vmull_high_s8(bytes, factor);
            *sum = vpadalq_s16(*sum, vpaddq_s16(low, high));
        }
    }
    black_box(sums);
}
