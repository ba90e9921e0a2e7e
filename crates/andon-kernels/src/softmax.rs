//! The logarithm of the softmax' denominator.

use crate::Kernels;
use crate::isa::dispatch;
use crate::lanes::{LANES, Lanes};

impl Kernels {
    /// `ln(Σ exp(logit))`, computed relative to the largest. Sums of sixteen
    /// lanes are kept in double precision.
    ///
    /// # Panics
    /// If there are no logits.
    pub fn log_sum_exp(&self, logits: &[f32]) -> f64 {
        assert!(!logits.is_empty(), "at least one logit");
        // SAFETY: nothing is asked but the instructions.
        unsafe { log_sum_exp(self.isa, logits) }
    }
}

dispatch!(fn log_sum_exp(logits: &[f32]) -> f64 = log_sum_exp_lanes);

#[inline(always)]
unsafe fn log_sum_exp_lanes<L: Lanes>(logits: &[f32]) -> f64 {
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    // SAFETY: chunks of sixteen, the last filled with what adds nothing.
    unsafe {
        let shift = L::splat(largest);
        let mut total = 0.0f64;
        for chunk in logits.chunks(LANES * 64) {
            let mut sum = L::splat(0.0);
            let mut whole = chunk.chunks_exact(LANES);
            for lanes in &mut whole {
                sum = sum.add(L::load(lanes.as_ptr()).sub(shift).exp());
            }
            total += f64::from(sum.sum());
            for logit in whole.remainder() {
                total += f64::from(logit - largest).exp();
            }
        }
        f64::from(largest) + total.ln()
    }
}
