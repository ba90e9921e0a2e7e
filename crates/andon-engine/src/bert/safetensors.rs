//! Encoders from `model.safetensors` and `config.json`.

use std::sync::Arc;

use andon_kernels::activation::GROUP;
use andon_kernels::matrix::{Group8, Matrix};
use safetensors::SafeTensors;
use serde::Deserialize;

use super::{Bert, Layer, Norm, Pooling, Shape};
use crate::block;
use crate::error::{LoadError, damaged, unsupported};

/// What `config.json` says.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Config {
    model_type: String,
    hidden_act: String,
    hidden_size: usize,
    intermediate_size: usize,
    layer_norm_eps: f64,
    max_position_embeddings: usize,
    num_attention_heads: usize,
    num_hidden_layers: usize,
    vocab_size: usize,
    #[serde(default = "two")]
    type_vocab_size: usize,
    #[serde(default)]
    pad_token_id: Option<usize>,
    #[serde(default = "absolute")]
    position_embedding_type: String,
}

fn two() -> usize {
    2
}

fn absolute() -> String {
    "absolute".into()
}

/// What the `config.json` of a pooling layer says.
#[derive(Deserialize)]
struct PoolingConfig {
    #[serde(default)]
    pooling_mode_cls_token: bool,
    #[serde(default)]
    pooling_mode_mean_tokens: bool,
}

/// The pooling that a file asks for.
pub(crate) fn pooling(json: &[u8]) -> Result<Pooling, LoadError> {
    let config: PoolingConfig =
        serde_json::from_slice(json).map_err(|error| damaged!("the pooling's config: {error}"))?;
    match (
        config.pooling_mode_cls_token,
        config.pooling_mode_mean_tokens,
    ) {
        (true, false) => Ok(Pooling::First),
        (false, true) => Ok(Pooling::Mean),
        _ => Err(unsupported!(
            "a pooling that is neither that of the first token nor the mean"
        )),
    }
}

impl Config {
    pub(crate) fn parse(json: &[u8]) -> Result<Self, LoadError> {
        let config: Self =
            serde_json::from_slice(json).map_err(|error| damaged!("config.json: {error}"))?;
        if !["bert", "xlm-roberta", "roberta"].contains(&config.model_type.as_str()) {
            return Err(unsupported!(
                "the encoder '{}'; this version runs 'bert', 'roberta' and 'xlm-roberta'",
                config.model_type
            ));
        }
        if config.hidden_act != "gelu" || config.position_embedding_type != "absolute" {
            return Err(unsupported!(
                "an encoder with '{}' and {} positions",
                config.hidden_act,
                config.position_embedding_type
            ));
        }
        if config.type_vocab_size == 0
            || config.max_position_embeddings > 1 << 16
            || config.first_position() >= config.max_position_embeddings
        {
            return Err(damaged!("config.json has a shape that is none: {config:?}"));
        }
        Ok(config)
    }

    /// The position of a text's first token: RoBERTa's come after the padding's.
    fn first_position(&self) -> usize {
        match self.model_type.as_str() {
            "bert" => 0,
            _ => self
                .pad_token_id
                .map_or(2, |padding| padding.saturating_add(1)),
        }
    }

    fn shape(&self) -> Result<Shape, LoadError> {
        let shape = Shape {
            layers: self.num_hidden_layers,
            width: self.hidden_size,
            inner: self.intermediate_size,
            heads: self.num_attention_heads,
            vocabulary: self.vocab_size,
            context: self.max_position_embeddings - self.first_position(),
            epsilon: self.layer_norm_eps as f32,
        };
        shape.checked()
    }
}

/// Reads and packs the weights.
pub(crate) fn load(config: &Config, pooling: Pooling, file: &[u8]) -> Result<Bert, LoadError> {
    let shape = config.shape()?;
    let tensors = SafeTensors::deserialize(file)
        .map_err(|error| damaged!("the safetensors header: {error}"))?;
    let source = Source {
        tensors,
        epsilon: shape.epsilon,
    };
    let Shape {
        width,
        inner,
        vocabulary,
        ..
    } = shape;
    let kinds = source.floats(
        "embeddings.token_type_embeddings.weight",
        &[config.type_vocab_size, width],
    )?;
    let words = source.floats("embeddings.word_embeddings.weight", &[vocabulary, width])?;
    let words = pack_rows(&words, width);
    let mut positions = source.floats(
        "embeddings.position_embeddings.weight",
        &[config.max_position_embeddings, width],
    )?;
    positions.drain(..config.first_position() * width);
    // Exact there, where they are few.
    for row in positions.chunks_exact_mut(width) {
        row.iter_mut().zip(&kinds).for_each(|(x, kind)| *x += kind);
    }
    let layers = (0..shape.layers)
        .map(|layer| {
            let name = |part: &str| format!("encoder.layer.{layer}.{part}");
            let parts = ["query", "key", "value"].map(|part| {
                let part = name(&format!("attention.self.{part}"));
                source.linear(&part, width, width)
            });
            let [query, key, value] = parts;
            Ok(Layer {
                qkv: vec![pack(&[query?, key?, value?], width)],
                attention_output: pack(
                    &[source.linear(&name("attention.output.dense"), width, width)?],
                    width,
                ),
                attention_norm: source.norm(&name("attention.output.LayerNorm"), width)?,
                up: pack(
                    &[source.linear(&name("intermediate.dense"), inner, width)?],
                    width,
                ),
                down: pack(
                    &[source.linear(&name("output.dense"), width, inner)?],
                    inner,
                ),
                output_norm: source.norm(&name("output.LayerNorm"), width)?,
            })
        })
        .collect::<Result<_, LoadError>>()?;
    Ok(Bert {
        norm: source.norm("embeddings.LayerNorm", width)?,
        words: Arc::new(words),
        positions: Arc::new(positions),
        layers,
        pooling,
        shape,
    })
}

/// Weights and bias of a linear layer, as floats.
pub(super) struct Linear {
    pub(super) weight: Vec<f32>,
    pub(super) bias: Vec<f32>,
}

/// Layers over the same inputs, one below the other, in 8 bits.
pub(super) fn pack(layers: &[Linear], columns: usize) -> Matrix {
    let weight: Vec<f32> = layers
        .iter()
        .flat_map(|layer| layer.weight.iter().copied())
        .collect();
    let bias: Vec<f32> = layers
        .iter()
        .flat_map(|layer| layer.bias.iter().copied())
        .collect();
    pack_rows(&weight, columns).with_bias(bias)
}

/// Rows of `columns` numbers in 8 bits.
fn pack_rows(numbers: &[f32], columns: usize) -> Matrix {
    Matrix::int8(numbers.len() / columns, columns, |row, group| {
        let row = &numbers[row * columns..][..columns];
        Group8::quantise(&row[group * GROUP..columns.min((group + 1) * GROUP)])
    })
}

/// The tensors of a file, under names with or without the prefix of a family.
struct Source<'a> {
    tensors: SafeTensors<'a>,
    epsilon: f32,
}

impl Source<'_> {
    fn floats(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, LoadError> {
        let tensor = ["", "bert.", "roberta."]
            .into_iter()
            .find_map(|prefix| self.tensors.tensor(&format!("{prefix}{name}")).ok())
            .ok_or_else(|| damaged!("the tensor '{name}' is missing"))?;
        if tensor.shape() != shape {
            return Err(damaged!(
                "the tensor '{name}' has the shape {:?}, not {shape:?}",
                tensor.shape()
            ));
        }
        block::view_floats(name, &tensor)
    }

    fn linear(&self, name: &str, rows: usize, columns: usize) -> Result<Linear, LoadError> {
        Ok(Linear {
            weight: self.floats(&format!("{name}.weight"), &[rows, columns])?,
            bias: self.floats(&format!("{name}.bias"), &[rows])?,
        })
    }

    fn norm(&self, name: &str, width: usize) -> Result<Norm, LoadError> {
        Ok(Norm {
            weight: self.floats(&format!("{name}.weight"), &[width])?,
            bias: self.floats(&format!("{name}.bias"), &[width])?,
            epsilon: self.epsilon,
        })
    }
}
