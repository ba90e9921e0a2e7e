//! AdamW (Loshchilov and Hutter 2019), whose state can be kept and taken up again.

use std::cell::RefCell;

use candle_core::{CpuStorage, InplaceOp2, Layout, Result, Tensor, Var, bail};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::kernel::widest;

const MEAN_DECAY: f64 = 0.9;
const SQUARE_DECAY: f64 = 0.999;
const EPSILON: f32 = 1e-8;

/// Numbers that one thread updates at a time.
const PIECE: usize = 1 << 14;

/// What is trained, and how fast.
#[derive(Clone, Debug)]
pub(crate) struct Parameter {
    pub(crate) values: Var,
    /// What the learning rate is multiplied by.
    pub(crate) rate: f64,
    /// How much of itself it loses at each step, times the learning rate.
    pub(crate) decay: f64,
}

/// What is known of the gradients of a parameter.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Moments {
    mean: Vec<f32>,
    square: Vec<f32>,
}

/// The optimiser of some parameters.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Adam {
    steps: u32,
    moments: Vec<Moments>,
}

impl Adam {
    pub(crate) fn new(parameters: &[Parameter]) -> Self {
        let moments = parameters.iter().map(|parameter| {
            let zeros = || vec![0.0; parameter.values.elem_count()];
            Moments {
                mean: zeros(),
                square: zeros(),
            }
        });
        Self {
            steps: 0,
            moments: moments.collect(),
        }
    }

    /// Whether it was made for parameters of these sizes.
    pub(crate) fn fits(&self, parameters: &[Parameter]) -> bool {
        let fits = |(moments, parameter): (&Moments, &Parameter)| {
            let count = parameter.values.elem_count();
            moments.mean.len() == count && moments.square.len() == count
        };
        self.moments.len() == parameters.len() && self.moments.iter().zip(parameters).all(fits)
    }

    /// Moves all parameters against their gradients.
    pub(crate) fn step(
        &mut self,
        parameters: &[Parameter],
        gradients: &candle_core::backprop::GradStore,
        rate: f64,
    ) -> Result<()> {
        self.steps += 1;
        let steps = f64::from(self.steps);
        for (parameter, moments) in parameters.iter().zip(&mut self.moments) {
            let Some(gradient) = gradients.get(&parameter.values) else {
                continue;
            };
            let step = Step {
                rate: (rate * parameter.rate / (1.0 - MEAN_DECAY.powf(steps))) as f32,
                square_share: (1.0 / (1.0 - SQUARE_DECAY.powf(steps))) as f32,
                kept: (1.0 - rate * parameter.rate * parameter.decay) as f32,
            };
            match gradient.device().is_cpu() {
                true => {
                    let update = Update {
                        step,
                        moments: RefCell::new(moments),
                    };
                    let gradient = gradient.contiguous()?;
                    parameter.values.inplace_op2(&gradient, &update)?;
                }
                false => step.elsewhere(&parameter.values, gradient, moments)?,
            }
        }
        Ok(())
    }
}

/// How far a parameter moves.
#[derive(Clone, Copy)]
struct Step {
    rate: f32,
    square_share: f32,
    kept: f32,
}

impl Step {
    #[inline(always)]
    fn take(self, values: &mut [f32], gradient: &[f32], mean: &mut [f32], square: &mut [f32]) {
        let (mean_decay, square_decay) = (MEAN_DECAY as f32, SQUARE_DECAY as f32);
        for (((value, &slope), mean), square) in
            values.iter_mut().zip(gradient).zip(mean).zip(square)
        {
            *mean = mean_decay * *mean + (1.0 - mean_decay) * slope;
            *square = square_decay * *square + (1.0 - square_decay) * slope * slope;
            let size = (*square * self.square_share).sqrt() + EPSILON;
            *value = self.kept * *value - self.rate * *mean / size;
        }
    }

    /// On a device whose memory is not at hand: there and back.
    fn elsewhere(self, values: &Var, gradient: &Tensor, moments: &mut Moments) -> Result<()> {
        let mut numbers = values.flatten_all()?.to_vec1::<f32>()?;
        let slopes = gradient.flatten_all()?.to_vec1::<f32>()?;
        self.take(
            &mut numbers,
            &slopes,
            &mut moments.mean,
            &mut moments.square,
        );
        values.set(&Tensor::from_vec(numbers, values.shape(), values.device())?)
    }
}

struct Update<'a> {
    step: Step,
    moments: RefCell<&'a mut Moments>,
}

impl InplaceOp2 for Update<'_> {
    fn name(&self) -> &'static str {
        "adamw"
    }

    fn cpu_fwd(
        &self,
        values: &mut CpuStorage,
        layout: &Layout,
        gradient: &CpuStorage,
        gradient_layout: &Layout,
    ) -> Result<()> {
        let Some((start, end)) = layout.contiguous_offsets() else {
            bail!("a parameter has gaps");
        };
        let CpuStorage::F32(values) = values else {
            bail!("a parameter is no float");
        };
        let gradient = crate::op::floats(gradient, gradient_layout)?;
        let mut moments = self.moments.borrow_mut();
        let Moments { mean, square } = &mut **moments;
        let step = self.step;
        values[start..end]
            .par_chunks_mut(PIECE)
            .zip(gradient.par_chunks(PIECE))
            .zip(mean.par_chunks_mut(PIECE).zip(square.par_chunks_mut(PIECE)))
            .for_each(|((values, gradient), (mean, square))| {
                widest(
                    #[inline(always)]
                    || step.take(values, gradient, mean, square),
                );
            });
        Ok(())
    }
}
