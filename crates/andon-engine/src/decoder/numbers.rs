//! The weights of a decoder as numbers, for training.

use andon_kernels::matrix::Matrix;
use andon_kernels::rope::Pairing;
use andon_task::weights::{self, DecoderLayer, DecoderShape, DecoderWeights, Linear};

use super::config::Gate;
use super::{Decoder, Layer};

impl DecoderWeights for Decoder {
    fn shape(&self) -> DecoderShape {
        let config = &self.config;
        DecoderShape {
            architecture: config.architecture.to_owned(),
            layers: config.layers,
            width: config.width,
            feed_forward: config.feed_forward,
            query_heads: config.heads.queries,
            key_heads: config.heads.keys,
            head: config.heads.size,
            vocabulary: config.vocabulary,
            context: config.context,
            epsilon: config.epsilon,
            frequencies: config.rotation.frequencies.clone(),
            turned_length: config.rotation.length,
            pairing: match config.rotation.pairing {
                Pairing::Neighbours => weights::Pairing::Neighbours,
                Pairing::Halves => weights::Pairing::Halves,
            },
            embedding_scale: config.embedding_scale,
            query_scale: config.query_scale,
            attention_cap: config.attention_cap,
            logit_cap: config.logit_cap,
            windows: (0..config.layers)
                .map(|layer| config.window_of(layer))
                .collect(),
            is_fused: config.has_fused_gate,
            gate: match config.gate {
                Gate::Silu => weights::Gate::Silu,
                Gate::Gelu => weights::Gate::Gelu,
            },
        }
    }

    fn layer(&self, index: usize) -> DecoderLayer {
        let Layer {
            attention_norm,
            qkv,
            attention_output,
            attention_post_norm,
            feed_forward_norm,
            gate_up,
            down,
            feed_forward_post_norm,
        } = &self.layers[index];
        DecoderLayer {
            attention_norm: attention_norm.clone(),
            qkv: linear(qkv),
            output: linear(std::slice::from_ref(attention_output)),
            attention_post_norm: attention_post_norm.clone(),
            feed_forward_norm: feed_forward_norm.clone(),
            gate_up: linear(gate_up),
            down: linear(std::slice::from_ref(down)),
            feed_forward_post_norm: feed_forward_post_norm.clone(),
        }
    }

    fn output_norm(&self) -> Vec<f32> {
        self.norm.clone()
    }

    fn embedding(&self, token: u32) -> Vec<f32> {
        row(&self.embedding, token as usize)
    }

    fn output(&self, token: u32) -> Vec<f32> {
        row(
            self.head.as_ref().unwrap_or(&self.embedding),
            token as usize,
        )
    }
}

fn row(matrix: &Matrix, row: usize) -> Vec<f32> {
    let mut numbers = vec![0.0; matrix.columns()];
    matrix.row(row, &mut numbers);
    numbers
}

/// Matrices over the same inputs, one below the other.
pub(crate) fn linear(matrices: &[Matrix]) -> Linear {
    let columns = matrices[0].columns();
    let rows: usize = matrices.iter().map(Matrix::rows).sum();
    let mut weight = vec![0.0; rows * columns];
    let mut out = weight.chunks_exact_mut(columns);
    for matrix in matrices {
        for (index, out) in (0..matrix.rows()).zip(&mut out) {
            matrix.row(index, out);
        }
    }
    let has_bias = matrices.iter().any(|matrix| matrix.bias().is_some());
    let biases = matrices.iter().flat_map(|matrix| match matrix.bias() {
        Some(bias) => bias.to_vec(),
        None => vec![0.0; matrix.rows()],
    });
    Linear {
        rows,
        columns,
        bias: has_bias.then(|| biases.collect()),
        weight,
    }
}
