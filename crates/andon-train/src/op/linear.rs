//! Products with weights: frozen ones with an adapter beside them, and trained ones.

use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CustomOp1, CustomOp3, Layout, Result, Shape, Storage, Tensor, bail};

use super::{floats, with_floats};
use crate::kernel::low_rank::{self, Rows, Span};

/// Weights that are not trained: `[rows][columns]`.
#[derive(Clone, Debug)]
pub(crate) struct Frozen {
    weight: Tensor,
    bias: Option<Vec<f32>>,
    /// Rows that have one adapter: the parts of a matrix that files keep apart.
    parts: Vec<usize>,
}

/// An adapter's matrices beside frozen ones (Hu et al. 2021).
#[derive(Clone, Copy, Debug)]
pub(crate) struct LowRank<'a> {
    /// `[parts * rank][columns]`.
    pub(crate) down: &'a Tensor,
    /// `[rank][rows]`, the parts side by side.
    pub(crate) up: &'a Tensor,
    /// What their product is multiplied by.
    pub(crate) scale: f32,
}

impl Frozen {
    /// Weights with one adapter for each of `parts`, which say how many rows it is for.
    pub(crate) fn new(weight: Tensor, bias: Option<Vec<f32>>, parts: Vec<usize>) -> Self {
        Self {
            weight,
            bias,
            parts,
        }
    }

    pub(super) fn weight(&self) -> &Tensor {
        &self.weight
    }

    /// Outputs.
    pub(crate) fn rows(&self) -> usize {
        self.weight.dims()[0]
    }

    /// Inputs.
    pub(crate) fn columns(&self) -> usize {
        self.weight.dims()[1]
    }

    /// `weight · input + bias` for each row of `input`.
    pub(crate) fn apply(&self, input: &Tensor) -> Result<Tensor> {
        match input.device().is_cpu() {
            true => input.apply_op1(Plain(self.clone())),
            false => self.composed(input),
        }
    }

    /// The same, with what an adapter adds.
    pub(crate) fn apply_with(&self, input: &Tensor, adapter: LowRank<'_>) -> Result<Tensor> {
        if !input.device().is_cpu() {
            return self.composed_with(input, adapter);
        }
        let op = Adapted {
            frozen: self.clone(),
            scale: adapter.scale,
        };
        input.apply_op3(adapter.down, adapter.up, op)
    }

    pub(super) fn composed(&self, input: &Tensor) -> Result<Tensor> {
        let product = input.matmul(&self.weight.t()?)?;
        match &self.bias {
            None => Ok(product),
            Some(bias) => {
                let bias = Tensor::from_slice(bias, bias.len(), input.device())?;
                product.broadcast_add(&bias)
            }
        }
    }

    pub(super) fn composed_with(&self, input: &Tensor, adapter: LowRank<'_>) -> Result<Tensor> {
        let between = (input.matmul(&adapter.down.t()?)? * f64::from(adapter.scale))?;
        let rank = adapter.up.dims()[0];
        let mut row = 0;
        let mut added = Vec::new();
        for (part, &rows) in self.parts.iter().enumerate() {
            let between = between.narrow(1, part * rank, rank)?;
            added.push(between.matmul(&adapter.up.narrow(1, row, rows)?)?);
            row += rows;
        }
        self.composed(input)? + Tensor::cat(&added, 1)?
    }

    fn forward(&self, input: &CpuStorage, layout: &Layout) -> Result<Vec<f32>> {
        let (storage, weight) = self.weight.storage_and_layout();
        let Storage::Cpu(storage) = &*storage else {
            bail!("the weights are not on the processor");
        };
        let tokens = layout.dims()[0];
        let mut out = product(
            (input, layout),
            (storage, &weight.transpose(0, 1)?),
            [tokens, self.rows(), self.columns()],
        )?;
        if let Some(bias) = &self.bias {
            for row in out.chunks_exact_mut(bias.len()) {
                row.iter_mut()
                    .zip(bias)
                    .for_each(|(out, bias)| *out += bias);
            }
        }
        Ok(out)
    }

    /// The gradient of the input.
    fn backward(&self, gradient: &Tensor) -> Result<Vec<f32>> {
        let gradient = gradient.contiguous()?;
        let (held, layout) = gradient.storage_and_layout();
        let (storage, weight) = self.weight.storage_and_layout();
        let (Storage::Cpu(held), Storage::Cpu(storage)) = (&*held, &*storage) else {
            bail!("the weights are not on the processor");
        };
        let sizes = [layout.dims()[0], self.columns(), self.rows()];
        product((held, layout), (storage, weight), sizes)
    }

    /// The columns of activations that each part is for.
    fn spans(&self) -> impl Iterator<Item = Span> + '_ {
        let stride = self.rows();
        let mut first = 0;
        self.parts.iter().map(move |&length| {
            let span = Span {
                stride,
                first,
                length,
            };
            first += length;
            span
        })
    }
}

/// The product of two matrices: `[m][k]` and `[k][n]`, from `[m, n, k]`.
pub(super) fn product(
    left: (&CpuStorage, &Layout),
    right: (&CpuStorage, &Layout),
    [m, n, k]: [usize; 3],
) -> Result<Vec<f32>> {
    match left.0.matmul(right.0, (1, m, n, k), left.1, right.1)? {
        CpuStorage::F32(numbers) => Ok(numbers),
        other => bail!("a product of floats is {:?}", other.dtype()),
    }
}

struct Plain(Frozen);

impl CustomOp1 for Plain {
    fn name(&self) -> &'static str {
        "frozen"
    }

    fn cpu_fwd(&self, input: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let out = self.0.forward(input, layout)?;
        let shape = (layout.dims()[0], self.0.rows());
        Ok((CpuStorage::F32(out), shape.into()))
    }

    fn bwd(&self, input: &Tensor, _: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        let out = self.0.backward(gradient)?;
        Ok(Some(Tensor::from_vec(out, input.shape(), input.device())?))
    }
}

struct Adapted {
    frozen: Frozen,
    scale: f32,
}

impl Adapted {
    /// Calls `work` for each part with its columns, its rows of the first matrix and
    /// those columns of the second, `[rank][rows of the part]`.
    fn each_part(
        &self,
        (down, up): (&[f32], &[f32]),
        mut work: impl FnMut(usize, Span, Rows<'_>, Rows<'_>),
    ) {
        let (rows, columns) = (self.frozen.rows(), self.frozen.columns());
        let rank = up.len() / rows;
        let downs = down.chunks_exact(rank * columns);
        for (part, (span, down)) in self.frozen.spans().zip(downs).enumerate() {
            let up: Vec<f32> = up
                .chunks_exact(rows)
                .flat_map(|row| &row[span.first..][..span.length])
                .copied()
                .collect();
            let up = Rows {
                numbers: &up,
                columns: span.length,
            };
            let down = Rows {
                numbers: down,
                columns,
            };
            work(part, span, down, up);
        }
    }
}

impl CustomOp3 for Adapted {
    fn name(&self) -> &'static str {
        "adapted"
    }

    fn cpu_fwd(
        &self,
        input: &CpuStorage,
        layout: &Layout,
        down: &CpuStorage,
        down_layout: &Layout,
        up: &CpuStorage,
        up_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let tokens = layout.dims()[0];
        let mut out = self.frozen.forward(input, layout)?;
        let input = floats(input, layout)?;
        let (down, up) = (floats(down, down_layout)?, floats(up, up_layout)?);
        let whole = Span::whole(self.frozen.columns());
        let mut between = vec![0.0; tokens * up.len() / self.frozen.rows()];
        self.each_part((down, up), |_, span, down, up| {
            low_rank::project(input, whole, down, self.scale, &mut between);
            low_rank::expand(&between, up, &mut out, span);
        });
        let shape = (tokens, self.frozen.rows());
        Ok((CpuStorage::F32(out), shape.into()))
    }

    fn bwd(
        &self,
        input: &Tensor,
        down: &Tensor,
        up: &Tensor,
        _: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let mut back = self.frozen.backward(gradient)?;
        let (rows, columns) = (self.frozen.rows(), self.frozen.columns());
        let mut down_gradient = vec![0.0; down.elem_count()];
        let mut up_gradient = vec![0.0; up.elem_count()];
        let whole = Span::whole(columns);
        with_floats([input, down, up, gradient], |[input, d, u, gradient]| {
            let rank = u.len() / rows;
            let mut between = vec![0.0; input.len() / columns * rank];
            self.each_part((d, u), |part, span, down, up| {
                low_rank::project(input, whole, down, self.scale, &mut between);
                let mut sums = vec![0.0; rank * span.length];
                low_rank::gather(&between, gradient, span, &mut sums);
                let pairs = up_gradient.chunks_exact_mut(rows);
                for (out, sums) in pairs.zip(sums.chunks_exact(span.length)) {
                    out[span.first..][..span.length].copy_from_slice(sums);
                }
                low_rank::project(gradient, span, up, self.scale, &mut between);
                low_rank::expand(&between, down, &mut back, whole);
                let out = &mut down_gradient[part * rank * columns..][..rank * columns];
                low_rank::gather(&between, input, whole, out);
            });
            Ok(())
        })?;
        let device = input.device();
        Ok((
            Some(Tensor::from_vec(back, input.shape(), device)?),
            Some(Tensor::from_vec(down_gradient, down.shape(), device)?),
            Some(Tensor::from_vec(up_gradient, up.shape(), device)?),
        ))
    }
}

/// `weight · input + bias`, all of it trained. `weight` is `[rows][columns]`.
pub(crate) fn trained(input: &Tensor, weight: &Tensor, bias: &Tensor) -> Result<Tensor> {
    match input.device().is_cpu() {
        true => input.apply_op3(weight, bias, Trained),
        false => input.matmul(&weight.t()?)?.broadcast_add(bias),
    }
}

struct Trained;

impl CustomOp3 for Trained {
    fn name(&self) -> &'static str {
        "trained"
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
        let (rows, columns) = weight_layout.shape().dims2()?;
        let tokens = layout.dims()[0];
        let turned = weight_layout.transpose(0, 1)?;
        let sizes = [tokens, rows, columns];
        let mut out = product((input, layout), (weight, &turned), sizes)?;
        let bias = floats(bias, bias_layout)?;
        for row in out.chunks_exact_mut(rows) {
            row.iter_mut()
                .zip(bias)
                .for_each(|(out, bias)| *out += bias);
        }
        Ok((CpuStorage::F32(out), (tokens, rows).into()))
    }

    fn bwd(
        &self,
        input: &Tensor,
        weight: &Tensor,
        bias: &Tensor,
        _: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let mut sums = vec![0.0; bias.elem_count()];
        with_floats([gradient], |[gradient]| {
            for row in gradient.chunks_exact(sums.len()) {
                sums.iter_mut().zip(row).for_each(|(sum, x)| *sum += x);
            }
            Ok(())
        })?;
        // Detached, or what is computed here would be kept for gradients of its own.
        let (input, weight) = (input.detach(), weight.detach());
        Ok((
            Some(gradient.matmul(&weight)?),
            Some(gradient.t()?.matmul(&input)?),
            Some(Tensor::from_vec(sums, bias.shape(), bias.device())?),
        ))
    }
}
