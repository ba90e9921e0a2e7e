//! Soft caps: numbers that come near a bound are held below it.

use crate::Kernels;
use crate::isa::dispatch;
use crate::lanes::{LANES, Lanes};
use crate::share::Rows;

impl Kernels {
    /// Replaces every number by `cap * tanh(number / cap)` (Bello et al. 2016).
    pub fn soft_cap(&self, numbers: &mut [f32], cap: f32) {
        const PIECE: usize = 1 << 12;
        let whole = numbers.len() / PIECE;
        let pieces = Rows::new(numbers, PIECE);
        self.pool.for_each(whole, &|chunk| {
            // SAFETY: each piece is given to one chunk.
            unsafe { cap_all(self.isa, pieces.row(chunk), cap) };
        });
        // SAFETY: nothing is asked but the instructions.
        unsafe { cap_all(self.isa, &mut numbers[whole * PIECE..], cap) };
    }
}

dispatch!(fn cap_all(numbers: &mut [f32], cap: f32) = cap_lanes);

#[inline(always)]
unsafe fn cap_lanes<L: Lanes>(numbers: &mut [f32], cap: f32) {
    let whole = numbers.len() / LANES * LANES;
    // SAFETY: sixteen numbers from every multiple of sixteen, the last filled up.
    unsafe {
        for at in (0..whole).step_by(LANES) {
            let place = numbers.as_mut_ptr().add(at);
            soft_cap(L::load(place), cap).store(place);
        }
        let rest = &mut numbers[whole..];
        let mut copy = [0.0; LANES];
        copy[..rest.len()].copy_from_slice(rest);
        soft_cap(L::load(copy.as_ptr()), cap).store(copy.as_mut_ptr());
        rest.copy_from_slice(&copy[..rest.len()]);
    }
}

/// `cap * tanh(x / cap)`, to about 1e-7 of the cap.
#[inline(always)]
pub(crate) unsafe fn soft_cap<L: Lanes>(x: L, cap: f32) -> L {
    // SAFETY: the lanes are the caller's.
    unsafe {
        let (one, two) = (L::splat(1.0), L::splat(2.0));
        // tanh y = 1 - 2 / (exp 2y + 1)
        let e = x.mul(L::splat(2.0 / cap)).exp();
        one.sub(two.div(e.add(one))).mul(L::splat(cap))
    }
}
