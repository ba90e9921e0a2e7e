//! BERT encoders (Devlin et al. 2019) and those of the XLM-R kind (Conneau et al.
//! 2020), which differ in vocabulary and positions alone.
//!
//! [`safetensors`] and [`gguf`] read them; the layers below are one for both.

use std::sync::Arc;

use andon_kernels::Kernels;
use andon_kernels::activation::{Activations, Input, Precision, Transform};
use andon_kernels::attention::{Queries, View};
use andon_kernels::kv::{self, BLOCK, Heads};
use andon_kernels::matmul::{Output, row_stride};
use andon_kernels::matrix::Matrix;
use andon_kernels::norm::LayerNorm;

use crate::error::{LoadError, damaged};

pub(crate) mod gguf;
mod numbers;
pub(crate) mod safetensors;
mod tuned;

/// The shape of an encoder.
#[derive(Clone, Debug)]
pub(crate) struct Shape {
    layers: usize,
    /// Numbers in a token's state.
    width: usize,
    /// Numbers between the products of a feed-forward block.
    inner: usize,
    heads: usize,
    vocabulary: usize,
    /// Tokens that a text may have.
    context: usize,
    /// Added to the variance in norms.
    epsilon: f32,
}

impl Shape {
    /// The shape, if it is one: nothing absurd passes.
    fn checked(self) -> Result<Self, LoadError> {
        let fits = |size: usize, most: usize| (1..=most).contains(&size);
        if !(fits(self.width, 1 << 14)
            && fits(self.inner, 1 << 16)
            && fits(self.context, 1 << 16)
            && fits(self.layers, 256)
            && fits(self.vocabulary, 1 << 21)
            && fits(self.heads, self.width)
            && self.width.is_multiple_of(16 * self.heads))
        {
            return Err(damaged!("the shape of the encoder is none: {self:?}"));
        }
        Ok(self)
    }

    fn heads(&self) -> Heads {
        Heads {
            queries: self.heads,
            keys: self.heads,
            size: self.width / self.heads,
        }
    }
}

/// What becomes of the states of a text's tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pooling {
    /// Their mean (Reimers and Gurevych 2019).
    Mean,
    /// The state of the first, which stands for the text.
    First,
}

/// An encoder: shape and packed weights, never changed.
pub(crate) struct Bert {
    shape: Shape,
    pooling: Pooling,
    /// The vectors of the vocabulary.
    words: Arc<Matrix>,
    /// A row for each place of a text; the vector of the first text's type is in
    /// them or in the words.
    positions: Arc<Vec<f32>>,
    norm: Norm,
    layers: Vec<Layer>,
}

struct Layer {
    /// Queries, keys and values: one matrix where they are kept alike.
    qkv: Vec<Matrix>,
    attention_output: Matrix,
    attention_norm: Norm,
    up: Matrix,
    down: Matrix,
    output_norm: Norm,
}

#[derive(Clone)]
struct Norm {
    weight: Vec<f32>,
    bias: Vec<f32>,
    epsilon: f32,
}

impl Norm {
    fn view(&self) -> LayerNorm<'_> {
        LayerNorm {
            weight: &self.weight,
            bias: &self.bias,
            epsilon: self.epsilon,
        }
    }
}

impl Bert {
    /// Numbers of a token's state.
    pub(crate) fn width(&self) -> usize {
        self.shape.width
    }

    /// Tokens that a text may have.
    pub(crate) fn context(&self) -> usize {
        self.shape.context
    }

    /// Tokens of the vocabulary.
    pub(crate) fn vocabulary(&self) -> usize {
        self.shape.vocabulary
    }

    /// What makes one vector of a text's states.
    pub(crate) fn pooling(&self) -> Pooling {
        self.pooling
    }

    /// Adds the vectors of a text's tokens, before the first norm.
    fn embed(&self, text: &[u32], states: &mut Vec<f32>) {
        let width = self.shape.width;
        let mut word = vec![0.0; width];
        for (&token, position) in text.iter().zip(self.positions.chunks_exact(width)) {
            self.words.row(token as usize, &mut word);
            states.extend(word.iter().zip(position).map(|(x, y)| x + y));
        }
    }

    /// The states of all tokens of all texts, `[token][width]`, text after text.
    pub(crate) fn states(&self, kernels: &Kernels, texts: &[Vec<u32>]) -> Vec<f32> {
        self.states_behind(self.layers.len(), kernels, texts)
    }

    /// The same behind the first half of the layers.
    pub(crate) fn middle(&self, kernels: &Kernels, texts: &[Vec<u32>]) -> Vec<f32> {
        self.states_behind(self.layers.len() / 2, kernels, texts)
    }

    fn states_behind(&self, layers: usize, kernels: &Kernels, texts: &[Vec<u32>]) -> Vec<f32> {
        let width = self.shape.width;
        let inner = self.shape.inner;
        let heads = self.shape.heads();
        let tokens: usize = texts.iter().map(Vec::len).sum();

        let mut states = Vec::with_capacity(tokens * width);
        for text in texts {
            self.embed(text, &mut states);
        }
        kernels.layer_norm(&mut states, self.norm.view());

        let blocks = number_blocks(texts);
        let views: Vec<View<'_>> = texts
            .iter()
            .zip(&blocks)
            .flat_map(|(text, blocks)| {
                let view = View {
                    blocks,
                    from: 0,
                    visible: text.len(),
                };
                std::iter::repeat_n(view, text.len())
            })
            .collect();
        let spots = texts.iter().zip(&blocks).flat_map(|(text, blocks)| {
            (0..text.len()).map(|position| (blocks[position / BLOCK], position % BLOCK))
        });
        let places: Vec<kv::Place> = spots
            .enumerate()
            .map(|(token, (block, slot))| kv::Place { token, block, slot })
            .collect();
        let count = blocks.iter().map(Vec::len).sum();
        let mut cache = kv::Layer::new(heads, count);
        let mut activations = Activations::default();
        let inner_stride = row_stride(inner);
        let mut wide = vec![0.0; tokens * (3 * width).max(inner_stride)];
        for (index, layer) in self.layers[..layers].iter().enumerate() {
            // Attention multiplies errors, and those of the later layers are not
            // evened out any more: their inputs are worth a second pass.
            let precision = match index < self.layers.len() / 2 {
                true => Precision::Single,
                false => Precision::Double,
            };
            let input = Input::of(&states, width, width);
            activations.fill(kernels, input, Transform::None, precision);
            let qkv = &mut wide[..tokens * 3 * width];
            let mut column = 0;
            for matrix in &layer.qkv {
                let out = &mut qkv[column..];
                kernels.matmul(matrix, &activations, Output::Replace, out, 3 * width);
                column += matrix.rows();
            }
            let fresh = kv::Fresh {
                rows: &qkv[width..],
                stride: 3 * width,
            };
            kernels.store(&mut cache, fresh, &places);
            let queries = Queries {
                rows: qkv,
                stride: 3 * width,
                scale: 1.0 / (heads.size as f32).sqrt(),
                cap: None,
            };
            let mut attended = vec![0.0; tokens * width];
            kernels.attention(&cache, queries, &views, &mut attended);
            let input = Input::of(&attended, width, width);
            activations.fill(kernels, input, Transform::None, Precision::Single);
            let output = &layer.attention_output;
            kernels.matmul(output, &activations, Output::Add, &mut states, width);
            kernels.layer_norm(&mut states, layer.attention_norm.view());

            let input = Input::of(&states, width, width);
            activations.fill(kernels, input, Transform::None, Precision::Single);
            let up = &mut wide[..tokens * inner_stride];
            kernels.matmul(&layer.up, &activations, Output::Replace, up, inner_stride);
            let input = Input::of(up, inner_stride, inner);
            activations.fill(kernels, input, Transform::Gelu, Precision::Single);
            kernels.matmul(&layer.down, &activations, Output::Add, &mut states, width);
            kernels.layer_norm(&mut states, layer.output_norm.view());
        }
        states
    }
}

/// Blocks for every text, none shared.
fn number_blocks(texts: &[Vec<u32>]) -> Vec<Vec<u32>> {
    let mut next = 0u32;
    texts
        .iter()
        .map(|text| {
            let count = text.len().div_ceil(BLOCK) as u32;
            next += count;
            (next - count..next).collect()
        })
        .collect()
}
