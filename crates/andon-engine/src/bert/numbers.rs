//! The weights of an encoder as numbers, for training.

use andon_task::weights::{self, EncoderLayer, EncoderShape};

use super::{Bert, Norm, Pooling};
use crate::decoder::numbers::linear;

impl Bert {
    pub(crate) fn shape_to_train(&self) -> EncoderShape {
        EncoderShape {
            layers: self.shape.layers,
            width: self.shape.width,
            feed_forward: self.shape.inner,
            heads: self.shape.heads,
            context: self.shape.context,
            pools_first: self.pooling == Pooling::First,
        }
    }

    pub(crate) fn layer_to_train(&self, index: usize) -> EncoderLayer {
        let layer = &self.layers[index];
        EncoderLayer {
            qkv: linear(&layer.qkv),
            output: linear(std::slice::from_ref(&layer.attention_output)),
            attention_norm: numbers(&layer.attention_norm),
            up: linear(std::slice::from_ref(&layer.up)),
            down: linear(std::slice::from_ref(&layer.down)),
            output_norm: numbers(&layer.output_norm),
        }
    }

    /// The states of a text's tokens before the first layer.
    pub(crate) fn embedded(&self, kernels: &andon_kernels::Kernels, text: &[u32]) -> Vec<f32> {
        let mut states = Vec::with_capacity(text.len() * self.shape.width);
        self.embed(text, &mut states);
        kernels.layer_norm(&mut states, self.norm.view());
        states
    }
}

fn numbers(norm: &Norm) -> weights::LayerNorm {
    weights::LayerNorm {
        weight: norm.weight.clone(),
        bias: norm.bias.clone(),
        epsilon: norm.epsilon,
    }
}
