//! The functions between the products of a feed-forward block.

use andon_task::weights::Gate;
use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};

use super::{floats, with_floats};
use crate::kernel::rows;

/// `gate(first half of a row) * second half`.
pub(crate) fn gated(input: &Tensor, gate: Gate) -> Result<Tensor> {
    match input.device().is_cpu() {
        true => input.apply_op1(Gated(gate)),
        false => gated_composed(input, gate),
    }
}

pub(super) fn gated_composed(input: &Tensor, gate: Gate) -> Result<Tensor> {
    let halves = input.chunk(2, 1)?;
    let left = match gate {
        Gate::Silu => halves[0].silu()?,
        Gate::Gelu => halves[0].gelu()?,
    };
    left * &halves[1]
}

struct Gated(Gate);

impl CustomOp1 for Gated {
    fn name(&self) -> &'static str {
        "gated"
    }

    fn cpu_fwd(&self, input: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (tokens, width) = layout.shape().dims2()?;
        let input = floats(input, layout)?;
        let mut out = vec![0.0; input.len() / 2];
        rows::gated(self.0, input, width / 2, &mut out);
        Ok((CpuStorage::F32(out), (tokens, width / 2).into()))
    }

    fn bwd(&self, input: &Tensor, _: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        let inner = input.dim(1)? / 2;
        let mut out = vec![0.0; input.elem_count()];
        with_floats([input, gradient], |[input, gradient]| {
            rows::gated_back(self.0, input, inner, gradient, &mut out);
            Ok(())
        })?;
        Ok(Some(Tensor::from_vec(out, input.shape(), input.device())?))
    }
}

/// GELU with the error function.
pub(crate) fn gelu(input: &Tensor) -> Result<Tensor> {
    match input.device().is_cpu() {
        true => input.apply_op1(Gelu),
        false => input.gelu_erf(),
    }
}

struct Gelu;

impl CustomOp1 for Gelu {
    fn name(&self) -> &'static str {
        "gelu"
    }

    fn cpu_fwd(&self, input: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (_, width) = layout.shape().dims2()?;
        let input = floats(input, layout)?;
        let mut out = vec![0.0; input.len()];
        rows::gelu(input, width, &mut out);
        Ok((CpuStorage::F32(out), layout.shape().clone()))
    }

    fn bwd(&self, input: &Tensor, _: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        let width = input.dim(1)?;
        let mut out = vec![0.0; input.elem_count()];
        with_floats([input, gradient], |[input, gradient]| {
            rows::gelu_back(input, width, gradient, &mut out);
            Ok(())
        })?;
        Ok(Some(Tensor::from_vec(out, input.shape(), input.device())?))
    }
}
