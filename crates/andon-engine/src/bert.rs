//! BERT encoders (Devlin et al. 2019), from safetensors.

use andon_kernels::Kernels;
use andon_kernels::activation::{Activations, GROUP, Input, Precision, Transform};
use andon_kernels::attention::{Queries, View};
use andon_kernels::kv::{self, BLOCK, Heads};
use andon_kernels::matmul::{Output, row_stride};
use andon_kernels::matrix::{Group8, Matrix};
use andon_kernels::norm::LayerNorm;
use half::{bf16, f16};
use safetensors::{Dtype, SafeTensors};
use serde::Deserialize;

use crate::error::{LoadError, damaged, unsupported};

/// The shape of an encoder, from its `config.json`.
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
    #[serde(default = "absolute")]
    position_embedding_type: String,
}

fn absolute() -> String {
    "absolute".into()
}

impl Config {
    pub(crate) fn parse(json: &[u8]) -> Result<Self, LoadError> {
        let config: Self =
            serde_json::from_slice(json).map_err(|error| damaged!("config.json: {error}"))?;
        if config.model_type != "bert" {
            return Err(unsupported!(
                "the encoder '{}'; this version runs 'bert'",
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
        let heads = config.num_attention_heads;
        let fits = |size: usize, most: usize| (1..=most).contains(&size);
        if !(fits(config.hidden_size, 1 << 14)
            && fits(config.intermediate_size, 1 << 16)
            && fits(config.max_position_embeddings, 1 << 16)
            && fits(config.num_hidden_layers, 256)
            && fits(config.vocab_size, 1 << 21)
            && fits(heads, config.hidden_size)
            && config.hidden_size.is_multiple_of(16 * heads))
        {
            return Err(damaged!("config.json has a shape that is none: {config:?}"));
        }
        Ok(config)
    }

    fn heads(&self) -> Heads {
        Heads {
            queries: self.num_attention_heads,
            keys: self.num_attention_heads,
            size: self.hidden_size / self.num_attention_heads,
        }
    }
}

/// An encoder: shape and packed weights, never changed.
pub(crate) struct Bert {
    config: Config,
    /// A row for each token, with the vector of the first text's type added.
    words: Vec<f32>,
    positions: Vec<f32>,
    norm: Norm,
    layers: Vec<Layer>,
}

struct Layer {
    qkv: Matrix,
    attention_output: Matrix,
    attention_norm: Norm,
    up: Matrix,
    down: Matrix,
    output_norm: Norm,
}

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
    pub(crate) fn load(config: Config, file: &[u8]) -> Result<Self, LoadError> {
        let tensors = SafeTensors::deserialize(file)
            .map_err(|error| damaged!("the safetensors header: {error}"))?;
        let source = Source {
            tensors,
            epsilon: config.layer_norm_eps as f32,
        };
        let (width, inner) = (config.hidden_size, config.intermediate_size);
        let kinds = source.floats("embeddings.token_type_embeddings.weight", &[2, width])?;
        let mut words = source.floats(
            "embeddings.word_embeddings.weight",
            &[config.vocab_size, width],
        )?;
        for row in words.chunks_exact_mut(width) {
            row.iter_mut().zip(&kinds).for_each(|(x, kind)| *x += kind);
        }
        let positions = source.floats(
            "embeddings.position_embeddings.weight",
            &[config.max_position_embeddings, width],
        )?;
        let layers = (0..config.num_hidden_layers)
            .map(|layer| {
                let name = |part: &str| format!("encoder.layer.{layer}.{part}");
                let parts = ["query", "key", "value"].map(|part| {
                    let part = name(&format!("attention.self.{part}"));
                    source.linear(&part, width, width)
                });
                let [query, key, value] = parts;
                Ok(Layer {
                    qkv: pack(&[query?, key?, value?], width),
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
        Ok(Self {
            norm: source.norm("embeddings.LayerNorm", width)?,
            words,
            positions,
            layers,
            config,
        })
    }

    /// Numbers of a token's state.
    pub(crate) fn width(&self) -> usize {
        self.config.hidden_size
    }

    /// Tokens that a text may have.
    pub(crate) fn context(&self) -> usize {
        self.config.max_position_embeddings
    }

    /// Tokens of the vocabulary.
    pub(crate) fn vocabulary(&self) -> usize {
        self.config.vocab_size
    }

    /// The states of all tokens of all texts, `[token][width]`, text after text.
    pub(crate) fn states(&self, kernels: &Kernels, texts: &[Vec<u32>]) -> Vec<f32> {
        let width = self.config.hidden_size;
        let inner = self.config.intermediate_size;
        let heads = self.config.heads();
        let tokens: usize = texts.iter().map(Vec::len).sum();

        let mut states = Vec::with_capacity(tokens * width);
        for text in texts {
            for (position, &token) in text.iter().enumerate() {
                let word = &self.words[token as usize * width..][..width];
                let position = &self.positions[position * width..][..width];
                states.extend(word.iter().zip(position).map(|(x, y)| x + y));
            }
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
        let places: Vec<kv::Place> = texts
            .iter()
            .zip(&blocks)
            .flat_map(|(text, blocks)| {
                (0..text.len()).map(|position| kv::Place {
                    block: blocks[position / BLOCK],
                    slot: position % BLOCK,
                })
            })
            .collect();
        let count = blocks.iter().map(Vec::len).sum();
        let mut cache = kv::Layer::new(heads, count);
        let mut activations = Activations::default();
        let inner_stride = row_stride(inner);
        let mut wide = vec![0.0; tokens * (3 * width).max(inner_stride)];
        for (index, layer) in self.layers.iter().enumerate() {
            // Attention multiplies errors, and those of the later layers are not
            // evened out any more: their inputs are worth a second pass.
            let precision = match index < self.layers.len() / 2 {
                true => Precision::Single,
                false => Precision::Double,
            };
            let input = Input::of(&states, width, width);
            activations.fill(kernels, input, Transform::None, precision);
            let qkv = &mut wide[..tokens * 3 * width];
            kernels.matmul(&layer.qkv, &activations, Output::Replace, qkv, 3 * width);
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

/// Weights and bias of a linear layer, as floats.
struct Linear {
    weight: Vec<f32>,
    bias: Vec<f32>,
}

/// Layers over the same inputs, one below the other, in 8 bits.
fn pack(layers: &[Linear], columns: usize) -> Matrix {
    let weight: Vec<f32> = layers
        .iter()
        .flat_map(|layer| layer.weight.iter().copied())
        .collect();
    let bias: Vec<f32> = layers
        .iter()
        .flat_map(|layer| layer.bias.iter().copied())
        .collect();
    let group = |row: usize, group: usize| {
        let row = &weight[row * columns..][..columns];
        Group8::quantise(&row[group * GROUP..columns.min((group + 1) * GROUP)])
    };
    Matrix::int8(bias.len(), columns, group).with_bias(bias)
}

/// The tensors of a file, under names with or without the prefix `bert.`.
struct Source<'a> {
    tensors: SafeTensors<'a>,
    epsilon: f32,
}

impl Source<'_> {
    fn floats(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, LoadError> {
        let tensor = self
            .tensors
            .tensor(name)
            .or_else(|_| self.tensors.tensor(&format!("bert.{name}")))
            .map_err(|_| damaged!("the tensor '{name}' is missing"))?;
        if tensor.shape() != shape {
            return Err(damaged!(
                "the tensor '{name}' has the shape {:?}, not {shape:?}",
                tensor.shape()
            ));
        }
        let bytes = tensor.data();
        let halves = bytes.as_chunks::<2>().0;
        Ok(match tensor.dtype() {
            Dtype::F32 => bytes
                .as_chunks::<4>()
                .0
                .iter()
                .map(|x| f32::from_le_bytes(*x))
                .collect(),
            Dtype::F16 => halves
                .iter()
                .map(|x| f16::from_le_bytes(*x).to_f32())
                .collect(),
            Dtype::BF16 => halves
                .iter()
                .map(|x| bf16::from_le_bytes(*x).to_f32())
                .collect(),
            other => return Err(unsupported!("the tensor '{name}' of type {other:?}")),
        })
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
