//! Norms.

use candle_core::{CpuStorage, CustomOp1, CustomOp3, D, Layout, Result, Shape, Tensor};

use super::{floats, with_floats};
use crate::kernel::rows;

/// A norm by the mean square, whose weight is not trained.
#[derive(Clone, Debug)]
pub(crate) struct RmsNorm {
    pub(crate) weight: Vec<f32>,
    pub(crate) epsilon: f32,
}

impl RmsNorm {
    /// Normalises each row.
    pub(crate) fn apply(&self, input: &Tensor) -> Result<Tensor> {
        match input.device().is_cpu() {
            true => input.apply_op1(self.clone()),
            false => self.composed(input),
        }
    }

    pub(super) fn composed(&self, input: &Tensor) -> Result<Tensor> {
        let square = (input.sqr()?.mean_keepdim(D::Minus1)? + f64::from(self.epsilon))?;
        let weight = Tensor::from_slice(&self.weight, self.weight.len(), input.device())?;
        input.broadcast_div(&square.sqrt()?)?.broadcast_mul(&weight)
    }
}

impl CustomOp1 for RmsNorm {
    fn name(&self) -> &'static str {
        "rms-norm"
    }

    fn cpu_fwd(&self, input: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let input = floats(input, layout)?;
        let mut out = vec![0.0; input.len()];
        rows::rms_norm(input, &self.weight, self.epsilon, &mut out);
        Ok((CpuStorage::F32(out), layout.shape().clone()))
    }

    fn bwd(&self, input: &Tensor, _: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        let mut out = vec![0.0; input.elem_count()];
        with_floats([input, gradient], |[input, gradient]| {
            rows::rms_norm_back(input, &self.weight, self.epsilon, gradient, &mut out);
            Ok(())
        })?;
        Ok(Some(Tensor::from_vec(out, input.shape(), input.device())?))
    }
}

/// A norm by mean and variance, whose weight and bias are trained.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LayerNorm {
    pub(crate) epsilon: f32,
}

impl LayerNorm {
    /// Normalises each row.
    pub(crate) fn apply(self, input: &Tensor, weight: &Tensor, bias: &Tensor) -> Result<Tensor> {
        match input.device().is_cpu() {
            true => input.apply_op3(weight, bias, self),
            false => self.composed(input, weight, bias),
        }
    }

    pub(super) fn composed(self, input: &Tensor, weight: &Tensor, bias: &Tensor) -> Result<Tensor> {
        let centred = input.broadcast_sub(&input.mean_keepdim(D::Minus1)?)?;
        let variance = (centred.sqr()?.mean_keepdim(D::Minus1)? + f64::from(self.epsilon))?;
        let normal = centred.broadcast_div(&variance.sqrt()?)?;
        normal.broadcast_mul(weight)?.broadcast_add(bias)
    }
}

impl CustomOp3 for LayerNorm {
    fn name(&self) -> &'static str {
        "layer-norm"
    }

    fn cpu_fwd(
        &self,
        input: &CpuStorage,
        layout: &Layout,
        weight: &CpuStorage,
        weight_layout: &Layout,
        bias: &CpuStorage,
        bias_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let input = floats(input, layout)?;
        let (weight, bias) = (floats(weight, weight_layout)?, floats(bias, bias_layout)?);
        let mut out = vec![0.0; input.len()];
        rows::layer_norm(input, weight, bias, self.epsilon, &mut out);
        Ok((CpuStorage::F32(out), layout.shape().clone()))
    }

    fn bwd(
        &self,
        input: &Tensor,
        weight: &Tensor,
        bias: &Tensor,
        _: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let mut back = vec![0.0; input.elem_count()];
        let mut weights = vec![0.0; weight.elem_count()];
        let mut biases = vec![0.0; bias.elem_count()];
        with_floats([input, weight, gradient], |[input, weight, gradient]| {
            rows::layer_norm_back(input, weight, self.epsilon, gradient, &mut back);
            rows::layer_norm_weights(input, self.epsilon, gradient, &mut weights, &mut biases);
            Ok(())
        })?;
        let device = input.device();
        Ok((
            Some(Tensor::from_vec(back, input.shape(), device)?),
            Some(Tensor::from_vec(weights, weight.shape(), device)?),
            Some(Tensor::from_vec(biases, bias.shape(), device)?),
        ))
    }
}
