//! What models are made of, as steps that candle differentiates.
//!
//! Each step has two forms. On a processor it is one operation with a backward pass of
//! its own: candle's graph would keep every intermediate result, compute gradients of
//! weights that are not trained, and read memory once for each small step. On any other
//! device, and in tests, it is put together from candle's own operations, which are
//! what the first form must agree with.

use candle_core::{CpuStorage, Layout, Result, Storage, Tensor, bail};

mod attention;
mod dropout;
mod gate;
mod linear;
mod loss;
mod norm;
#[cfg(test)]
mod tests;
mod vocabulary;

pub(crate) use attention::{Attention, Turn};
pub(crate) use dropout::Dropout;
pub(crate) use gate::{gated, gelu};
pub(crate) use linear::{Frozen, LowRank, trained};
pub(crate) use loss::{Choice, choices_loss, cross_entropy};
pub(crate) use norm::{LayerNorm, RmsNorm};
pub(crate) use vocabulary::{ROWS, Vocabulary};

/// The numbers of a tensor that lie one after the other on the processor.
pub(crate) fn floats<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    let numbers = storage.as_slice::<f32>()?;
    match layout.contiguous_offsets() {
        Some((start, end)) => Ok(&numbers[start..end]),
        None => bail!("a step got a tensor with gaps: {layout:?}"),
    }
}

/// Calls `work` with the numbers of tensors on the processor.
fn with_floats<const N: usize, R>(
    tensors: [&Tensor; N],
    work: impl FnOnce([&[f32]; N]) -> Result<R>,
) -> Result<R> {
    let tensors = tensors
        .iter()
        .map(|tensor| tensor.contiguous())
        .collect::<Result<Vec<_>>>()?;
    let held: Vec<_> = tensors.iter().map(Tensor::storage_and_layout).collect();
    let mut slices = [&[][..]; N];
    for (slice, (storage, layout)) in slices.iter_mut().zip(&held) {
        *slice = match &**storage {
            Storage::Cpu(storage) => floats(storage, layout)?,
            Storage::Cuda(_) | Storage::Metal(_) => bail!("a tensor is not on the processor"),
        };
    }
    work(slices)
}
