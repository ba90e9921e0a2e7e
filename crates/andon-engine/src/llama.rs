//! The Llama family: a decoder with RMS norms, rotary positions, grouped
//! queries and SwiGLU (Touvron et al. 2023).

use andon_kernels::Kernels;
use andon_kernels::activation::{Activations, Input, Precision, Transform};
use andon_kernels::attention::{Queries, View};
use andon_kernels::kv;
use andon_kernels::matmul::{Output, row_stride};
use andon_kernels::matrix::Matrix;
use andon_kernels::rope::{Angles, Pairing, Span};

use crate::block;
use crate::config::Config;
use crate::error::LoadError;
use crate::gguf::Gguf;

/// A model of the Llama family: shape and packed weights, never changed.
pub struct Llama {
    config: Config,
    embedding: Matrix,
    layers: Vec<Layer>,
    norm: Vec<f32>,
    /// The output projection; the embedding serves where the model has none.
    head: Option<Matrix>,
}

struct Layer {
    attention_norm: Vec<f32>,
    /// Queries, keys and values: one matrix where they are kept alike.
    qkv: Vec<Matrix>,
    attention_output: Matrix,
    feed_forward_norm: Vec<f32>,
    /// Gate and up, one matrix where they are kept alike.
    gate_up: Vec<Matrix>,
    down: Matrix,
}

/// One token of a step.
#[derive(Clone, Copy, Debug)]
pub struct Slot<'a> {
    /// The token.
    pub token: u32,
    /// Its position in its sequence, from 0.
    pub position: usize,
    /// The blocks of its sequence, up to its own at least.
    pub blocks: &'a [u32],
    /// Whether the logits after it are wanted.
    pub wants_logits: bool,
}

impl Slot<'_> {
    fn place(&self) -> kv::Place {
        kv::Place {
            block: self.blocks[self.position / kv::BLOCK],
            slot: self.position % kv::BLOCK,
        }
    }
}

impl Llama {
    /// Reads shape and weights and packs them.
    ///
    /// # Errors
    /// If a tensor is missing or has another shape than the metadata say.
    pub fn from_gguf(gguf: &Gguf<'_>, vocabulary: usize) -> Result<Self, LoadError> {
        let config = Config::from_gguf(gguf, vocabulary)?;
        let width = config.width;
        let matrix = |name: &str, rows, columns| {
            Ok::<_, LoadError>(block::pack(&[gguf.tensor(name, rows, columns)?]))
        };
        let vector = |name: &str| Ok::<_, LoadError>(block::floats(gguf.tensor(name, 1, width)?));
        let embedding = matrix("token_embd.weight", vocabulary, width)?;
        let layers = (0..config.layers)
            .map(|layer| {
                let name = |part: &str| format!("blk.{layer}.{part}.weight");
                let (queries, keys) = (config.query_width(), config.key_width());
                Ok(Layer {
                    attention_norm: vector(&name("attn_norm"))?,
                    qkv: stack(&[
                        gguf.tensor(&name("attn_q"), queries, width)?,
                        gguf.tensor(&name("attn_k"), keys, width)?,
                        gguf.tensor(&name("attn_v"), keys, width)?,
                    ]),
                    attention_output: matrix(&name("attn_output"), width, queries)?,
                    feed_forward_norm: vector(&name("ffn_norm"))?,
                    gate_up: stack(&[
                        gguf.tensor(&name("ffn_gate"), config.feed_forward, width)?,
                        gguf.tensor(&name("ffn_up"), config.feed_forward, width)?,
                    ]),
                    down: matrix(&name("ffn_down"), width, config.feed_forward)?,
                })
            })
            .collect::<Result<_, LoadError>>()?;
        let head = match gguf.has_tensor("output.weight") {
            true => Some(matrix("output.weight", vocabulary, width)?),
            false => None,
        };
        Ok(Self {
            embedding,
            layers,
            norm: vector("output_norm.weight")?,
            head,
            config,
        })
    }

    /// The most tokens that a sequence may have.
    pub fn context(&self) -> usize {
        self.config.context
    }

    /// Tokens of the vocabulary: logits of a row.
    pub fn vocabulary(&self) -> usize {
        self.config.vocabulary
    }

    /// Room for the keys and values of `blocks` blocks in every layer.
    pub fn new_cache(&self, blocks: usize) -> Vec<kv::Layer> {
        (0..self.config.layers)
            .map(|_| kv::Layer::new(self.config.heads, blocks))
            .collect()
    }

    /// Computes one step: writes the keys and values of every token into
    /// `cache` and returns the logits of those that want them, row after row.
    pub fn step(
        &self,
        kernels: &Kernels,
        workspace: &mut Workspace,
        cache: &mut [kv::Layer],
        slots: &[Slot<'_>],
    ) -> Vec<f32> {
        let width = self.config.width;
        let positions = slots.iter().map(|slot| slot.position);
        let angles = Angles::new(positions, &self.config.frequencies);
        let states = at_least(&mut workspace.states, slots.len() * width);
        for (slot, state) in slots.iter().zip(states.chunks_exact_mut(width)) {
            self.embedding.row(slot.token as usize, state);
        }
        let mut step = Step {
            kernels,
            config: &self.config,
            slots,
            angles,
            states,
            activations: &mut workspace.activations,
            wide: at_least(&mut workspace.wide, slots.len() * self.config.wide()),
            attended: at_least(
                &mut workspace.attended,
                slots.len() * self.config.query_width(),
            ),
        };
        for (layer, cache) in self.layers.iter().zip(cache) {
            step.attend(layer, cache);
            step.feed_forward(layer);
        }
        step.logits(&self.norm, self.head.as_ref().unwrap_or(&self.embedding))
    }
}

/// The weights of tensors over the same inputs: one matrix if they are kept alike.
fn stack(tensors: &[&crate::gguf::Tensor<'_>]) -> Vec<Matrix> {
    if tensors.iter().all(|tensor| tensor.kind == tensors[0].kind) {
        vec![block::pack(tensors)]
    } else {
        tensors
            .iter()
            .map(|tensor| block::pack(&[tensor]))
            .collect()
    }
}

/// Memory that one step after the other computes in: fresh memory for every step
/// would cost more than some of its work.
#[derive(Default)]
pub struct Workspace {
    states: Vec<f32>,
    wide: Vec<f32>,
    attended: Vec<f32>,
    activations: Activations,
}

/// The first `length` numbers of a buffer, which grows if it has to.
fn at_least(buffer: &mut Vec<f32>, length: usize) -> &mut [f32] {
    if buffer.len() < length {
        buffer.resize(length, 0.0);
    }
    &mut buffer[..length]
}

/// A step while it is computed.
struct Step<'a> {
    kernels: &'a Kernels,
    config: &'a Config,
    slots: &'a [Slot<'a>],
    angles: Angles,
    /// `[token][width]`.
    states: &'a mut [f32],
    activations: &'a mut Activations,
    /// What a layer computes between its products.
    wide: &'a mut [f32],
    /// What its attention gives.
    attended: &'a mut [f32],
}

impl Step<'_> {
    fn attend(&mut self, layer: &Layer, cache: &mut kv::Layer) {
        let (queries, keys) = (self.config.query_width(), self.config.key_width());
        let heads = self.config.heads;
        let stride = queries + 2 * keys;
        self.normed_product(&layer.attention_norm, &layer.qkv, stride);

        let span = Span {
            stride,
            heads: heads.queries + heads.keys,
            size: heads.size,
        };
        let qkv = &mut self.wide[..self.slots.len() * stride];
        self.kernels
            .rope(qkv, span, Pairing::Neighbours, &self.angles);
        let places: Vec<kv::Place> = self.slots.iter().map(Slot::place).collect();
        let fresh = kv::Fresh {
            rows: &qkv[queries..],
            stride,
        };
        self.kernels.store(cache, fresh, &places);

        let views: Vec<View<'_>> = self
            .slots
            .iter()
            .map(|slot| View {
                blocks: slot.blocks,
                visible: slot.position + 1,
            })
            .collect();
        let inputs = Queries {
            rows: qkv,
            stride,
            scale: 1.0 / (heads.size as f32).sqrt(),
        };
        let attended = &mut self.attended;
        self.kernels.attention(cache, inputs, &views, attended);
        let input = Input::of(attended, queries, queries);
        self.activations
            .fill(self.kernels, input, Transform::None, Precision::Single);
        self.add_product(&layer.attention_output);
    }

    fn feed_forward(&mut self, layer: &Layer) {
        let inner = self.config.feed_forward;
        let stride = row_stride(2 * inner);
        self.normed_product(&layer.feed_forward_norm, &layer.gate_up, stride);
        let gate_up = &self.wide[..self.slots.len() * stride];
        let input = Input::of(gate_up, stride, inner);
        self.activations
            .fill(self.kernels, input, Transform::SwiGlu, Precision::Single);
        self.add_product(&layer.down);
    }

    /// `wide = matrices · norm(states)`, the products side by side.
    fn normed_product(&mut self, norm: &[f32], matrices: &[Matrix], stride: usize) {
        let width = self.config.width;
        let input = Input::of(self.states, width, width);
        let transform = Transform::RmsNorm {
            weight: norm,
            epsilon: self.config.epsilon,
        };
        self.activations
            .fill(self.kernels, input, transform, Precision::Single);
        let mut column = 0;
        for matrix in matrices {
            let out = &mut self.wide[column..self.slots.len() * stride];
            self.kernels
                .matmul(matrix, self.activations, Output::Replace, out, stride);
            column += matrix.rows();
        }
    }

    /// `states += matrix · activations`.
    fn add_product(&mut self, matrix: &Matrix) {
        let (width, out) = (self.config.width, &mut self.states);
        self.kernels
            .matmul(matrix, self.activations, Output::Add, out, width);
    }

    fn logits(self, norm: &[f32], head: &Matrix) -> Vec<f32> {
        let width = self.config.width;
        let wanted: Vec<f32> = self
            .slots
            .iter()
            .zip(self.states.chunks_exact(width))
            .filter(|(slot, _)| slot.wants_logits)
            .flat_map(|(_, state)| state.iter().copied())
            .collect();
        let input = Input::of(&wanted, width, width);
        let transform = Transform::RmsNorm {
            weight: norm,
            epsilon: self.config.epsilon,
        };
        // Logits are exact to what the states hold: the products read the
        // largest matrix once all the same.
        self.activations
            .fill(self.kernels, input, transform, Precision::Double);
        let mut logits = vec![0.0; input.tokens * head.rows()];
        let output = Output::Replace;
        self.kernels
            .matmul(head, self.activations, output, &mut logits, head.rows());
        logits
    }
}
