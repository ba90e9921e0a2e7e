//! Norms and gates, row by row, forward and backward.

use andon_task::weights::Gate;
use rayon::prelude::*;

use super::math::{erf, exp, sigmoid, tanh};
use super::{LANES, dot, widest};

/// `sqrt(2 / pi)`.
const GELU: f32 = 0.797_884_6;
const GELU_CUBE: f32 = 0.044_715;

/// Calls `work(out row, row of each input)` for all rows, on all threads.
fn each<const N: usize>(
    out: &mut [f32],
    out_width: usize,
    inputs: [(&[f32], usize); N],
    work: impl Fn(&mut [f32], [&[f32]; N]) + Sync,
) {
    let rows = out.par_chunks_mut(out_width).with_min_len(8);
    rows.enumerate().for_each(|(index, out)| {
        let inputs = inputs.map(|(input, width)| &input[index * width..][..width]);
        work(out, inputs);
    });
}

/// Divided by the root of the mean square and multiplied by a weight
/// (Zhang and Sennrich 2019).
pub(crate) fn rms_norm(input: &[f32], weight: &[f32], epsilon: f32, out: &mut [f32]) {
    let width = weight.len();
    each(out, width, [(input, width)], |out, [row]| {
        widest(
            #[inline(always)]
            || {
                let scale = 1.0 / (dot(row, row) / width as f32 + epsilon).sqrt();
                for ((out, x), weight) in out.iter_mut().zip(row).zip(weight) {
                    *out = x * scale * weight;
                }
            },
        );
    });
}

/// The gradient of [`rms_norm`]'s input.
pub(crate) fn rms_norm_back(
    input: &[f32],
    weight: &[f32],
    epsilon: f32,
    gradient: &[f32],
    out: &mut [f32],
) {
    let width = weight.len();
    let inputs = [(input, width), (gradient, width)];
    each(out, width, inputs, |out, [row, gradient]| {
        widest(
            #[inline(always)]
            || {
                let scale = 1.0 / (dot(row, row) / width as f32 + epsilon).sqrt();
                for ((out, gradient), weight) in out.iter_mut().zip(gradient).zip(weight) {
                    *out = gradient * weight;
                }
                let along = dot(out, row) * scale * scale / width as f32;
                for (out, x) in out.iter_mut().zip(row) {
                    *out = scale * (*out - along * x);
                }
            },
        );
    });
}

/// Mean 0 and variance 1, then weight and bias (Ba et al. 2016).
pub(crate) fn layer_norm(
    input: &[f32],
    weight: &[f32],
    bias: &[f32],
    epsilon: f32,
    out: &mut [f32],
) {
    let width = weight.len();
    each(out, width, [(input, width)], |out, [row]| {
        widest(
            #[inline(always)]
            || {
                normalise(row, epsilon, out);
                for ((out, weight), bias) in out.iter_mut().zip(weight).zip(bias) {
                    *out = *out * weight + bias;
                }
            },
        );
    });
}

/// The gradient of [`layer_norm`]'s input.
pub(crate) fn layer_norm_back(
    input: &[f32],
    weight: &[f32],
    epsilon: f32,
    gradient: &[f32],
    out: &mut [f32],
) {
    let width = weight.len();
    let inputs = [(input, width), (gradient, width)];
    each(out, width, inputs, |out, [row, gradient]| {
        widest(
            #[inline(always)]
            || {
                let mut normal = vec![0.0; width];
                let scale = normalise(row, epsilon, &mut normal);
                for ((out, gradient), weight) in out.iter_mut().zip(gradient).zip(weight) {
                    *out = gradient * weight;
                }
                let mean = out.iter().sum::<f32>() / width as f32;
                let along = dot(out, &normal) / width as f32;
                for (out, x) in out.iter_mut().zip(&normal) {
                    *out = scale * (*out - mean - along * x);
                }
            },
        );
    });
}

/// The gradients of [`layer_norm`]'s weight and bias, summed over the rows in order.
pub(crate) fn layer_norm_weights(
    input: &[f32],
    epsilon: f32,
    gradient: &[f32],
    weight: &mut [f32],
    bias: &mut [f32],
) {
    let width = weight.len();
    let mut normal = vec![0.0; width];
    for (row, gradient) in input.chunks_exact(width).zip(gradient.chunks_exact(width)) {
        widest(
            #[inline(always)]
            || {
                normalise(row, epsilon, &mut normal);
                let sums = weight.iter_mut().zip(bias.iter_mut());
                for ((weight, bias), (gradient, x)) in sums.zip(gradient.iter().zip(&normal)) {
                    *weight += gradient * x;
                    *bias += gradient;
                }
            },
        );
    }
}

/// A row with mean 0 and variance 1; returns what its numbers were multiplied by.
#[inline(always)]
fn normalise(row: &[f32], epsilon: f32, out: &mut [f32]) -> f32 {
    let width = row.len() as f32;
    let mean = row.iter().sum::<f32>() / width;
    out.iter_mut().zip(row).for_each(|(out, x)| *out = x - mean);
    let scale = 1.0 / (dot(out, out) / width + epsilon).sqrt();
    out.iter_mut().for_each(|out| *out *= scale);
    scale
}

/// The function of a gate and its slope.
#[inline(always)]
fn gate_slope(gate: Gate, x: f32) -> (f32, f32) {
    match gate {
        Gate::Silu => {
            let share = sigmoid(x);
            (x * share, share * (1.0 + x * (1.0 - share)))
        }
        Gate::Gelu => {
            let inner = GELU * (x + GELU_CUBE * x * x * x);
            let share = tanh(inner);
            let inner_slope = GELU * (1.0 + 3.0 * GELU_CUBE * x * x);
            let slope = 0.5 * (1.0 + share) + 0.5 * x * (1.0 - share * share) * inner_slope;
            (0.5 * x * (1.0 + share), slope)
        }
    }
}

/// `gate(first half of a row) * second half`.
pub(crate) fn gated(gate: Gate, input: &[f32], inner: usize, out: &mut [f32]) {
    each(out, inner, [(input, 2 * inner)], |out, [row]| {
        widest(
            #[inline(always)]
            || {
                let (left, right) = row.split_at(inner);
                for ((out, x), y) in out.iter_mut().zip(left).zip(right) {
                    *out = gate_slope(gate, *x).0 * y;
                }
            },
        );
    });
}

/// The gradient of [`gated`]'s input.
pub(crate) fn gated_back(
    gate: Gate,
    input: &[f32],
    inner: usize,
    gradient: &[f32],
    out: &mut [f32],
) {
    let inputs = [(input, 2 * inner), (gradient, inner)];
    each(out, 2 * inner, inputs, |out, [row, gradient]| {
        widest(
            #[inline(always)]
            || {
                let (left, right) = row.split_at(inner);
                let (out_left, out_right) = out.split_at_mut(inner);
                for at in 0..inner {
                    let (value, slope) = gate_slope(gate, left[at]);
                    out_left[at] = gradient[at] * right[at] * slope;
                    out_right[at] = gradient[at] * value;
                }
            },
        );
    });
}

/// GELU with the error function (Hendrycks and Gimpel 2016).
pub(crate) fn gelu(input: &[f32], width: usize, out: &mut [f32]) {
    each(out, width, [(input, width)], |out, [row]| {
        widest(
            #[inline(always)]
            || {
                for (out, &x) in out.iter_mut().zip(row) {
                    *out = 0.5 * x * (1.0 + erf(x * std::f32::consts::FRAC_1_SQRT_2));
                }
            },
        );
    });
}

/// The gradient of [`gelu`]'s input.
pub(crate) fn gelu_back(input: &[f32], width: usize, gradient: &[f32], out: &mut [f32]) {
    /// `1 / sqrt(2 pi)`.
    const PEAK: f32 = 0.398_942_3;
    let inputs = [(input, width), (gradient, width)];
    each(out, width, inputs, |out, [row, gradient]| {
        widest(
            #[inline(always)]
            || {
                for ((out, &x), gradient) in out.iter_mut().zip(row).zip(gradient) {
                    let share = 0.5 * (1.0 + erf(x * std::f32::consts::FRAC_1_SQRT_2));
                    *out = gradient * (share + x * PEAK * exp(-0.5 * x * x));
                }
            },
        );
    });
}

/// Logits become how the sum of cross entropies changes with them, times `weight`; the sum
/// itself, times the same. `right` is the right column of each row.
pub(crate) fn cross_entropy(
    logits: &mut [f32],
    right: &[u32],
    cap: Option<f32>,
    weight: f32,
) -> f64 {
    let columns = logits.len() / right.len();
    let rows = logits.par_chunks_mut(columns).zip(right);
    let losses: Vec<f32> = rows
        .map(|(row, &right)| {
            widest(
                #[inline(always)]
                || cross_entropy_row(row, right as usize, cap, weight),
            )
        })
        .collect();
    losses.iter().map(|&loss| f64::from(loss)).sum::<f64>() * f64::from(weight)
}

#[inline(always)]
fn cross_entropy_row(row: &mut [f32], right: usize, cap: Option<f32>, weight: f32) -> f32 {
    if let Some(cap) = cap {
        row.iter_mut()
            .for_each(|logit| *logit = cap * tanh(*logit / cap));
    }
    let most = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let of_right = row[right] - most;
    let slope_of = |logit: f32| match cap {
        Some(cap) => 1.0 - (logit / cap) * (logit / cap),
        None => 1.0,
    };
    let slope_of_right = slope_of(row[right]);
    let mut lanes = [0.0f32; LANES];
    for chunk in row.chunks(LANES) {
        for (lane, logit) in lanes.iter_mut().zip(chunk) {
            *lane += exp(logit - most);
        }
    }
    let sum = super::lanes::total(&lanes);
    let scale = weight / sum;
    for logit in row.iter_mut() {
        *logit = scale * exp(*logit - most) * slope_of(*logit);
    }
    row[right] -= weight * slope_of_right;
    sum.ln() - of_right
}
