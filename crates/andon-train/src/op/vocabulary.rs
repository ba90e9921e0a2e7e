//! How wrong answers are that may be any token of the vocabulary.
//!
//! The logits of some rows at a time are made, judged and left again: those of all rows of
//! a step would take more memory than the model.

use std::sync::{Mutex, PoisonError};

use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Storage, Tensor, bail};

use super::linear::{Frozen, product};
use crate::kernel::rows;

/// Rows whose logits are held at a time.
pub(crate) const ROWS: usize = 64;

/// The output of a model, and what it is to say.
#[derive(Debug)]
pub(crate) struct Vocabulary {
    /// A row for each token.
    pub(crate) head: Frozen,
    /// What logits are softly kept below.
    pub(crate) cap: Option<f32>,
    /// The right token of each row of states.
    pub(crate) right: Vec<u32>,
}

impl Vocabulary {
    /// The mean cross entropy over the rows of `states`.
    pub(crate) fn loss(self, states: &Tensor) -> Result<Tensor> {
        match states.device().is_cpu() {
            true => states.apply_op1(InParts {
                vocabulary: self,
                slopes: Mutex::default(),
            }),
            false => self.composed(states),
        }
    }

    pub(super) fn composed(&self, states: &Tensor) -> Result<Tensor> {
        let logits = self.head.apply(states)?;
        let logits = match self.cap {
            Some(cap) => ((logits / f64::from(cap))?.tanh()? * f64::from(cap))?,
            None => logits,
        };
        let most = logits.max_keepdim(1)?.detach();
        let logits = logits.broadcast_sub(&most)?;
        let sums = logits.exp()?.sum_keepdim(1)?.log()?;
        let right = Tensor::from_slice(&self.right, (self.right.len(), 1), states.device())?;
        (sums - logits.gather(&right, 1)?)?.mean_all()
    }
}

struct InParts {
    vocabulary: Vocabulary,
    /// How the loss changes with the states; computed with the loss, for both need the
    /// logits.
    slopes: Mutex<Vec<f32>>,
}

impl CustomOp1 for InParts {
    fn name(&self) -> &'static str {
        "vocabulary"
    }

    fn cpu_fwd(&self, states: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let Vocabulary { head, cap, right } = &self.vocabulary;
        let (count, width) = layout.shape().dims2()?;
        let (storage, weight) = head.weight().storage_and_layout();
        let Storage::Cpu(storage) = &*storage else {
            bail!("the weights are not on the processor");
        };
        let Some((start, _)) = layout.contiguous_offsets() else {
            bail!("a step got a tensor with gaps: {layout:?}");
        };
        let turned = weight.transpose(0, 1)?;
        let tokens = head.rows();
        let mut slopes = Vec::with_capacity(count * width);
        let mut loss = 0.0;
        for (part, right) in right.chunks(ROWS).enumerate() {
            let rows = right.len();
            let from = start + part * ROWS * width;
            let part = Layout::contiguous_with_offset((rows, width), from);
            let sizes = [rows, tokens, width];
            let mut logits = product((states, &part), (storage, &turned), sizes)?;
            loss += rows::cross_entropy(&mut logits, right, *cap, 1.0 / count as f32);
            let logits = CpuStorage::F32(logits);
            let part = Layout::contiguous((rows, tokens));
            let sizes = [rows, width, tokens];
            slopes.extend(product((&logits, &part), (storage, weight), sizes)?);
        }
        *self.slopes.lock().unwrap_or_else(PoisonError::into_inner) = slopes;
        Ok((CpuStorage::F32(vec![loss as f32]), ().into()))
    }

    fn bwd(&self, states: &Tensor, _: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        let slopes = self.slopes.lock().unwrap_or_else(PoisonError::into_inner);
        let slopes = Tensor::from_slice(&slopes, states.shape(), states.device())?;
        Ok(Some(slopes.broadcast_mul(&gradient.detach())?))
    }
}
