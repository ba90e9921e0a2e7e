//! Numbers that are left out at random while a model learns (Srivastava et al. 2014).

use candle_core::{Result, Tensor};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

/// What leaves numbers out; the same seed leaves out the same.
#[derive(Debug)]
pub(crate) struct Dropout {
    share: f32,
    random: ChaCha8Rng,
}

impl Dropout {
    /// Leaves out this share of all numbers.
    pub(crate) fn new(share: f32, seed: u64) -> Self {
        Self {
            share,
            random: ChaCha8Rng::seed_from_u64(seed),
        }
    }

    /// Leaves out some numbers and makes up for them with the others.
    pub(crate) fn apply(&mut self, input: &Tensor) -> Result<Tensor> {
        if self.share == 0.0 {
            return Ok(input.clone());
        }
        let count = input.elem_count();
        let kept = 1.0 / (1.0 - self.share);
        let below = (self.share * 65_536.0) as u32;
        let mut mask = Vec::with_capacity(count + 3);
        while mask.len() < count {
            let drawn = self.random.next_u64();
            for part in 0..4 {
                let number = (drawn >> (16 * part)) as u32 & 0xffff;
                mask.push(if number < below { 0.0 } else { kept });
            }
        }
        mask.truncate(count);
        input * Tensor::from_vec(mask, input.shape(), input.device())?
    }
}
