//! Attention with rotary positions, from rows of queries, keys and values.

use std::sync::Arc;

use andon_task::weights::Pairing;
use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};
use rayon::prelude::*;

use super::{floats, with_floats};
use crate::kernel::attention::{self, Both, Order, Sight, Sizes};

/// How queries and keys are turned, for each token.
#[derive(Clone, Debug)]
pub(crate) struct Turn {
    pub(crate) pairing: Pairing,
    /// Cosine and sine of each pair of a head, `[token][pair]`.
    pub(crate) angles: Vec<(f32, f32)>,
}

/// An attention of several heads.
#[derive(Clone, Debug)]
pub(crate) struct Attention {
    pub(crate) query_heads: usize,
    pub(crate) key_heads: usize,
    pub(crate) sizes: Sizes,
    pub(crate) sight: Arc<Sight>,
    /// Where positions are turned.
    pub(crate) turn: Option<Arc<Turn>>,
}

/// Which way numbers are turned.
#[derive(Clone, Copy)]
enum Way {
    Forth,
    Back,
}

impl Attention {
    /// What the heads attend to, from queries, keys and values side by side.
    pub(crate) fn apply(&self, input: &Tensor) -> Result<Tensor> {
        match input.device().is_cpu() {
            true => input.apply_op1(self.clone()),
            false => self.composed(input),
        }
    }

    fn stride(&self) -> usize {
        (self.query_heads + 2 * self.key_heads) * self.sizes.head
    }

    /// A head's rows, one after the other.
    fn head(&self, rows: &[f32], stride: usize, head: usize) -> Vec<f32> {
        let size = self.sizes.head;
        let mut numbers = Vec::with_capacity(rows.len() / stride * size);
        for row in rows.chunks_exact(stride) {
            numbers.extend_from_slice(&row[head * size..][..size]);
        }
        numbers
    }

    /// A head's queries or keys, turned.
    fn turned(&self, rows: &[f32], head: usize) -> Vec<f32> {
        let mut numbers = self.head(rows, self.stride(), head);
        self.rotate(&mut numbers, Way::Forth);
        numbers
    }

    fn rotate(&self, numbers: &mut [f32], way: Way) {
        let Some(turn) = &self.turn else {
            return;
        };
        let pairs = turn.angles.len() / self.sizes.tokens;
        let rows = numbers.chunks_exact_mut(self.sizes.head);
        for (row, angles) in rows.zip(turn.angles.chunks_exact(pairs)) {
            for (pair, &(cos, sin)) in angles.iter().enumerate() {
                let (first, second) = match turn.pairing {
                    Pairing::Neighbours => (2 * pair, 2 * pair + 1),
                    Pairing::Halves => (pair, pairs + pair),
                };
                let sin = match way {
                    Way::Forth => sin,
                    Way::Back => -sin,
                };
                let (x, y) = (row[first], row[second]);
                row[first] = x * cos - y * sin;
                row[second] = x * sin + y * cos;
            }
        }
    }

    /// Queries, keys and values of a head of queries.
    fn parts(&self, rows: &[f32], head: usize) -> (Vec<f32>, Both, Both) {
        let group = self.query_heads / self.key_heads;
        let key = self.query_heads + head / group;
        let keys = Both::new(self.turned(rows, key), &self.sizes);
        let values = self.head(rows, self.stride(), key + self.key_heads);
        let values = Both::new(values, &self.sizes);
        (self.turned(rows, head), keys, values)
    }

    pub(super) fn composed(&self, input: &Tensor) -> Result<Tensor> {
        let Sizes { tokens, head, .. } = self.sizes;
        let (queries, keys) = (self.query_heads * head, self.key_heads * head);
        let heads = |from: usize, count: usize| {
            let rows = input.narrow(1, from, count * head)?;
            rows.reshape((tokens, count, head))?
                .transpose(0, 1)?
                .contiguous()
        };
        let group = self.query_heads / self.key_heads;
        let spread = |heads: Tensor| {
            let shape = (self.key_heads, group, tokens, head);
            let heads = heads.unsqueeze(1)?.broadcast_as(shape)?.contiguous()?;
            heads.reshape((self.query_heads, tokens, head))
        };
        let q = self.rotate_composed(&heads(0, self.query_heads)?)?;
        let k = spread(self.rotate_composed(&heads(queries, self.key_heads)?)?)?;
        let v = spread(heads(queries + keys, self.key_heads)?)?;
        let scores = (q.matmul(&k.t()?)? * f64::from(self.sizes.scale))?;
        let scores = match self.sizes.cap {
            Some(cap) => ((scores / f64::from(cap))?.tanh()? * f64::from(cap))?,
            None => scores,
        };
        let hidden = self.hidden(input)?;
        let scores = scores.broadcast_add(&hidden)?;
        let most = scores.max_keepdim(2)?.detach();
        let powers = scores.broadcast_sub(&most)?.exp()?;
        let shares = powers.broadcast_div(&powers.sum_keepdim(2)?)?;
        let out = shares.matmul(&v)?.transpose(0, 1)?.contiguous()?;
        out.reshape((tokens, queries))
    }

    /// What is added to scores: nothing where a token sees another.
    fn hidden(&self, input: &Tensor) -> Result<Tensor> {
        let tokens = self.sizes.tokens;
        let shared = self.sight.shared;
        let branch_of = |token: usize| {
            let branches = &self.sight.branches;
            branches.iter().position(|branch| branch.contains(&token))
        };
        let position = |token: usize| match branch_of(token) {
            Some(branch) => shared + token - self.sight.branches[branch].start,
            None => token,
        };
        let sees = |token: usize, other: usize| {
            let is_kin = other < shared || branch_of(token) == branch_of(other);
            let is_past = position(other) <= position(token);
            let window = self.sizes.window.unwrap_or(usize::MAX);
            let is_near = position(other).saturating_add(window) > position(token);
            is_kin && is_near && (is_past || self.sight.order == Order::Both)
        };
        let mut mask = vec![0.0f32; tokens * tokens];
        for token in 0..tokens {
            for other in 0..tokens {
                if !sees(token, other) {
                    mask[token * tokens + other] = -1e9;
                }
            }
        }
        Tensor::from_vec(mask, (1, tokens, tokens), input.device())
    }

    fn rotate_composed(&self, heads: &Tensor) -> Result<Tensor> {
        let Some(turn) = &self.turn else {
            return Ok(heads.clone());
        };
        let (count, tokens, size) = heads.dims3()?;
        let pairs = turn.angles.len() / tokens;
        let table = |of: fn(&(f32, f32)) -> f32| {
            let numbers: Vec<f32> = turn.angles.iter().map(of).collect();
            let shape = match turn.pairing {
                Pairing::Neighbours => (1, tokens, pairs, 1),
                Pairing::Halves => (1, tokens, 1, pairs),
            };
            Tensor::from_vec(numbers, shape, heads.device())
        };
        let (cos, sin) = (table(|angle| angle.0)?, table(|angle| angle.1)?);
        let turned = heads.narrow(2, 0, 2 * pairs)?;
        let (turned, axis) = match turn.pairing {
            Pairing::Neighbours => (turned.reshape((count, tokens, pairs, 2))?, 3),
            Pairing::Halves => (turned.reshape((count, tokens, 2, pairs))?, 2),
        };
        let (x, y) = (turned.narrow(axis, 0, 1)?, turned.narrow(axis, 1, 1)?);
        let first = (x.broadcast_mul(&cos)? - y.broadcast_mul(&sin)?)?;
        let second = (x.broadcast_mul(&sin)? + y.broadcast_mul(&cos)?)?;
        let turned = Tensor::cat(&[first, second], axis)?.reshape((count, tokens, 2 * pairs))?;
        match size - 2 * pairs {
            0 => Ok(turned),
            rest => Tensor::cat(&[turned, heads.narrow(2, 2 * pairs, rest)?], 2),
        }
    }
}

impl CustomOp1 for Attention {
    fn name(&self) -> &'static str {
        "attention"
    }

    fn cpu_fwd(&self, input: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let rows = floats(input, layout)?;
        let heads: Vec<Vec<f32>> = (0..self.query_heads)
            .into_par_iter()
            .map(|head| {
                let (queries, keys, values) = self.parts(rows, head);
                attention::forward(&self.sizes, &self.sight, &queries, &keys, &values)
            })
            .collect();
        let (size, width) = (self.sizes.head, self.query_heads * self.sizes.head);
        let mut out = vec![0.0; self.sizes.tokens * width];
        for (head, numbers) in heads.iter().enumerate() {
            put(&mut out, width, head * size, numbers, size);
        }
        Ok((CpuStorage::F32(out), (self.sizes.tokens, width).into()))
    }

    fn bwd(&self, input: &Tensor, _: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        let size = self.sizes.head;
        let (stride, width) = (self.stride(), self.query_heads * size);
        let mut out = vec![0.0; input.elem_count()];
        with_floats([input, gradient], |[rows, gradient]| {
            let heads: Vec<_> = (0..self.query_heads)
                .into_par_iter()
                .map(|head| {
                    let (queries, keys, values) = self.parts(rows, head);
                    let gradient = self.head(gradient, width, head);
                    let (sizes, sight) = (&self.sizes, &self.sight);
                    let mut found =
                        attention::backward(sizes, sight, &queries, &keys, &values, &gradient);
                    self.rotate(&mut found.queries, Way::Back);
                    self.rotate(&mut found.keys, Way::Back);
                    found
                })
                .collect();
            let group = self.query_heads / self.key_heads;
            for (head, found) in heads.iter().enumerate() {
                let key = (self.query_heads + head / group) * size;
                put(&mut out, stride, head * size, &found.queries, size);
                put(&mut out, stride, key, &found.keys, size);
                let value = key + self.key_heads * size;
                put(&mut out, stride, value, &found.values, size);
            }
            Ok(())
        })?;
        Ok(Some(Tensor::from_vec(out, input.shape(), input.device())?))
    }
}

/// Adds the rows of a head to those of a buffer.
fn put(out: &mut [f32], stride: usize, first: usize, numbers: &[f32], size: usize) {
    for (out, row) in out.chunks_exact_mut(stride).zip(numbers.chunks_exact(size)) {
        let out = &mut out[first..][..size];
        out.iter_mut().zip(row).for_each(|(out, x)| *out += x);
    }
}
