//! Minimising a smooth convex function: L-BFGS (Nocedal, 1980) with a
//! backtracking line search. Sums are taken in one order, so the result has the
//! same bits every time.

use std::collections::VecDeque;

/// How many past steps the curvature is estimated from.
const MEMORY: usize = 6;

/// When to stop walking.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Patience {
    /// The most steps.
    pub(crate) steps: usize,
    /// Ends when three steps in a row lower the value by less than this share of it.
    pub(crate) tolerance: f64,
}

/// A step must lower the value by this share of what the slope promises.
const SUFFICIENT: f64 = 1e-4;

struct Past {
    step: Vec<f32>,
    change: Vec<f32>,
    curvature: f64,
}

/// Walks from `point` to where `value_and_slope` is least. It writes the slope at
/// the point that it is given and returns the value there.
pub(crate) fn minimise(
    mut point: Vec<f32>,
    patience: Patience,
    mut value_and_slope: impl FnMut(&[f32], &mut [f32]) -> f64,
) -> Vec<f32> {
    let length = point.len();
    let mut slope = vec![0.0; length];
    let mut value = value_and_slope(&point, &mut slope);
    let mut past: VecDeque<Past> = VecDeque::with_capacity(MEMORY);
    let mut next = vec![0.0; length];
    let mut next_slope = vec![0.0; length];
    let mut small_steps = 0;
    for _ in 0..patience.steps {
        let direction = direction(&slope, &past);
        let descent = dot(&direction, &slope);
        if descent >= 0.0 {
            break;
        }
        let mut stride = if past.is_empty() {
            1.0 / dot(&slope, &slope).sqrt()
        } else {
            1.0
        };
        let next_value = loop {
            for ((next, &at), &along) in next.iter_mut().zip(&point).zip(&direction) {
                *next = at + stride as f32 * along;
            }
            let next_value = value_and_slope(&next, &mut next_slope);
            if next_value <= value + SUFFICIENT * stride * descent {
                break next_value;
            }
            stride *= 0.5;
            if stride < 1e-6 {
                // Below the resolution of the numbers: this is the bottom.
                return point;
            }
        };
        let recycled = if past.len() == MEMORY {
            past.pop_front()
        } else {
            None
        };
        let (mut step, mut change) = recycled.map_or_else(
            || (vec![0.0; length], vec![0.0; length]),
            |past| (past.step, past.change),
        );
        subtract(&mut step, &next, &point);
        subtract(&mut change, &next_slope, &slope);
        let curvature = dot(&step, &change);
        if curvature > 0.0 {
            past.push_back(Past {
                step,
                change,
                curvature,
            });
        }
        std::mem::swap(&mut point, &mut next);
        std::mem::swap(&mut slope, &mut next_slope);
        let lowered = value - next_value;
        value = next_value;
        // One small step may be the first of a long walk, or lead around a bend.
        small_steps = if lowered <= patience.tolerance * value.abs() {
            small_steps + 1
        } else {
            0
        };
        if small_steps == 3 {
            break;
        }
    }
    point
}

/// Where to go: the slope turned by the curvature of the past steps.
fn direction(slope: &[f32], past: &VecDeque<Past>) -> Vec<f32> {
    let mut direction: Vec<f32> = slope.iter().map(|slope| -slope).collect();
    let mut shares = Vec::with_capacity(past.len());
    for past in past.iter().rev() {
        let share = dot(&past.step, &direction) / past.curvature;
        add(&mut direction, -share, &past.change);
        shares.push(share);
    }
    if let Some(last) = past.back() {
        let scale = (last.curvature / dot(&last.change, &last.change)) as f32;
        for along in &mut direction {
            *along *= scale;
        }
    }
    for (past, share) in past.iter().zip(shares.into_iter().rev()) {
        let back = dot(&past.change, &direction) / past.curvature;
        add(&mut direction, share - back, &past.step);
    }
    direction
}

/// In eight interleaved sums: vectorises, and its order does not depend on the
/// machine.
fn dot(a: &[f32], b: &[f32]) -> f64 {
    let mut sums = [0f64; 8];
    let (a_blocks, b_blocks) = (a.chunks_exact(8), b.chunks_exact(8));
    let rest: f64 = a_blocks
        .remainder()
        .iter()
        .zip(b_blocks.remainder())
        .map(|(&a, &b)| f64::from(a) * f64::from(b))
        .sum();
    for (a, b) in a_blocks.zip(b_blocks) {
        for ((sum, &a), &b) in sums.iter_mut().zip(a).zip(b) {
            *sum += f64::from(a) * f64::from(b);
        }
    }
    sums.iter().sum::<f64>() + rest
}

fn add(to: &mut [f32], factor: f64, what: &[f32]) {
    let factor = factor as f32;
    for (to, &what) in to.iter_mut().zip(what) {
        *to += factor * what;
    }
}

fn subtract(result: &mut [f32], a: &[f32], b: &[f32]) {
    for ((result, &a), &b) in result.iter_mut().zip(a).zip(b) {
        *result = a - b;
    }
}

#[cfg(test)]
mod tests;
