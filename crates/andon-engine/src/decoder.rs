//! Decoders with RMS norms, rotary positions, grouped queries and gated
//! feed-forward blocks: Llama (Touvron et al. 2023), Qwen 2, Gemma 2 and Phi 3.
//!
//! What a family has that others have not is in its [`config`]; the step below is
//! one for all.

use std::collections::BTreeSet;

use andon_kernels::Kernels;
use andon_kernels::activation::{Activations, Input, Precision, Transform};
use andon_kernels::attention::{Queries, View};
use andon_kernels::kv;
use andon_kernels::matmul::{Output, row_stride};
use andon_kernels::matrix::{Matrix, PANEL};
use andon_kernels::norm::RmsNorm;
use andon_kernels::rope::{Angles, Pairing, Span};

use crate::adapter::{Applied, Company, Layout, Rows, Scratch, Site};
use crate::error::LoadError;
use crate::gguf::Gguf;
use crate::source::Source;

mod config;
pub(crate) mod numbers;
mod rotation;

use config::{Config, Gate};

/// A decoder: shape and packed weights, never changed.
pub struct Decoder {
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
    attention_post_norm: Option<Vec<f32>>,
    feed_forward_norm: Vec<f32>,
    /// Gate and up, one matrix where they are kept alike.
    gate_up: Vec<Matrix>,
    down: Matrix,
    feed_forward_post_norm: Option<Vec<f32>>,
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
    /// Blocks of other sequences that get its keys and values as well, at the same
    /// place: those that begin as this one does.
    pub copies: &'a [u32],
    /// Which logits after it are wanted.
    pub wants: Wants<'a>,
    /// The adapter of its sequence.
    pub adapter: Option<&'a Applied>,
}

/// Which logits after a token are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wants<'a> {
    /// None.
    Nothing,
    /// Those of the whole vocabulary.
    Everything,
    /// Those of these tokens.
    Tokens(&'a [u32]),
}

/// The logits of a step, in the order of its slots.
#[derive(Debug, Default)]
pub struct Logits {
    /// For each slot that wants everything, a row over the vocabulary.
    pub whole: Vec<f32>,
    /// For each slot that wants some tokens, a row of the same length in which
    /// these have their logits; the others say nothing.
    pub partial: Vec<f32>,
}

impl Slot<'_> {
    /// Where its keys and values go, as token number `token` of the step.
    fn places(&self, token: usize) -> impl Iterator<Item = kv::Place> {
        let own = self.blocks[self.position / kv::BLOCK];
        let slot = self.position % kv::BLOCK;
        let copies = self.copies.iter().copied();
        std::iter::once(own)
            .chain(copies)
            .map(move |block| kv::Place { token, block, slot })
    }
}

impl Decoder {
    /// Reads shape and weights and packs them. `most_context` says how many tokens
    /// a sequence gets at most, whatever the model was made for, from the bytes that
    /// keys and values of a token take.
    ///
    /// # Errors
    /// If the family is not supported, or a tensor is missing, has another shape
    /// than the metadata say, or is not known.
    pub fn from_gguf(
        gguf: &Gguf<'_>,
        vocabulary: usize,
        most_context: impl FnOnce(usize) -> usize,
    ) -> Result<Self, LoadError> {
        let source = Source::new(gguf);
        let config = Config::read(gguf, &source, vocabulary, most_context)?;
        let width = config.width;
        let embedding = source.matrix("token_embd", vocabulary, width)?;
        let layers = (0..config.layers)
            .map(|layer| Layer::read(&source, &config, layer))
            .collect::<Result<_, _>>()?;
        let head = match source.has("output") {
            true => Some(source.matrix("output", vocabulary, width)?),
            false => None,
        };
        let norm = source.vector("output_norm", width)?;
        source.finish()?;
        Ok(Self {
            embedding,
            layers,
            norm,
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

    /// What adapters must fit.
    pub(crate) fn layout(&self) -> Layout {
        let config = &self.config;
        Layout {
            architecture: config.architecture,
            layers: config.layers,
            width: config.width,
            queries: (config.query_width(), config.heads.queries),
            keys: (config.key_width(), config.heads.keys),
            feed_forward: config.feed_forward,
            is_fused: config.has_fused_gate,
            is_interleaved: config.rotation.pairing == Pairing::Neighbours,
        }
    }

    /// Room for the keys and values of `blocks` blocks in every layer.
    pub fn new_cache(&self, blocks: usize) -> Vec<kv::Layer> {
        (0..self.config.layers)
            .map(|_| kv::Layer::new(self.config.heads, blocks))
            .collect()
    }

    /// Computes one step: writes the keys and values of every token into
    /// `cache` and returns the logits that are wanted. `pause` is called behind every
    /// layer.
    pub fn step(
        &self,
        kernels: &Kernels,
        workspace: &mut Workspace,
        cache: &mut [kv::Layer],
        slots: &[Slot<'_>],
        pause: &mut Pause<'_>,
    ) -> Logits {
        let width = self.config.width;
        let positions = slots.iter().map(|slot| slot.position);
        let rotation = &self.config.rotation;
        let angles = Angles::new(positions, &rotation.frequencies, rotation.length);
        let states = at_least(&mut workspace.states, slots.len() * width);
        for (slot, state) in slots.iter().zip(states.chunks_exact_mut(width)) {
            self.embedding.row(slot.token as usize, state);
            if self.config.embedding_scale != 1.0 {
                state
                    .iter_mut()
                    .for_each(|x| *x *= self.config.embedding_scale);
            }
        }
        let mut step = Step {
            kernels,
            config: &self.config,
            slots,
            angles,
            states,
            activations: &mut workspace.activations,
            company: Company::of(slots.iter().map(|slot| slot.adapter)),
            scratch: &mut workspace.adapters,
            wide: at_least(&mut workspace.wide, slots.len() * self.config.wide()),
            attended: at_least(
                &mut workspace.attended,
                slots.len() * self.config.query_width(),
            ),
        };
        for (index, layer) in self.layers.iter().enumerate() {
            step.attend(index, layer, &mut cache[index]);
            step.feed_forward(index, layer);
            pause(cache);
        }
        step.logits(&self.norm, self.head.as_ref().unwrap_or(&self.embedding))
    }
}

impl Layer {
    fn read(source: &Source<'_, '_>, config: &Config, layer: usize) -> Result<Self, LoadError> {
        let (width, inner) = (config.width, config.feed_forward);
        let (queries, keys) = (config.query_width(), config.key_width());
        let name = |part: &str| format!("blk.{layer}.{part}");
        let post_norm = |part: &str| match config.has_post_norms {
            true => source.vector(&name(part), width).map(Some),
            false => Ok(None),
        };
        let qkv = match source.has(&name("attn_qkv")) {
            true => vec![(name("attn_qkv"), queries + 2 * keys)],
            false => vec![
                (name("attn_q"), queries),
                (name("attn_k"), keys),
                (name("attn_v"), keys),
            ],
        };
        let gate_up = match config.has_fused_gate {
            true => vec![(name("ffn_up"), 2 * inner)],
            false => vec![(name("ffn_gate"), inner), (name("ffn_up"), inner)],
        };
        Ok(Self {
            attention_norm: source.vector(&name("attn_norm"), width)?,
            qkv: source.stack(&qkv, width)?,
            attention_output: source.matrix(&name("attn_output"), width, queries)?,
            attention_post_norm: post_norm("post_attention_norm")?,
            feed_forward_norm: source.vector(&name("ffn_norm"), width)?,
            gate_up: source.stack(&gate_up, width)?,
            down: source.matrix(&name("ffn_down"), width, inner)?,
            feed_forward_post_norm: post_norm("post_ffw_norm")?,
        })
    }
}

/// What is done with the cache between two layers of a step, by others than those whose
/// step it is.
pub type Pause<'a> = dyn FnMut(&mut [kv::Layer]) + 'a;

/// Memory that one step after the other computes in: fresh memory for every step
/// would cost more than some of its work.
#[derive(Default)]
pub struct Workspace {
    states: Vec<f32>,
    wide: Vec<f32>,
    attended: Vec<f32>,
    activations: Activations,
    adapters: Scratch,
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
    company: Company<'a>,
    scratch: &'a mut Scratch,
    /// What a layer computes between its products.
    wide: &'a mut [f32],
    /// What its attention gives.
    attended: &'a mut [f32],
}

impl Step<'_> {
    fn attend(&mut self, index: usize, layer: &Layer, cache: &mut kv::Layer) {
        let (queries, keys) = (self.config.query_width(), self.config.key_width());
        let heads = self.config.heads;
        let stride = queries + 2 * keys;
        let at = (index, Site::Qkv);
        self.normed_product(at, &layer.attention_norm, &layer.qkv, stride);

        let span = Span {
            stride,
            heads: heads.queries + heads.keys,
            size: heads.size,
        };
        let qkv = &mut self.wide[..self.slots.len() * stride];
        let pairing = self.config.rotation.pairing;
        self.kernels.rope(qkv, span, pairing, &self.angles);
        let slots = self.slots.iter().enumerate();
        let places: Vec<kv::Place> = slots.flat_map(|(at, slot)| slot.places(at)).collect();
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
                from: self.config.seen_from(index, slot.position),
                visible: slot.position + 1,
            })
            .collect();
        let inputs = Queries {
            rows: qkv,
            stride,
            scale: self.config.query_scale,
            cap: self.config.attention_cap,
        };
        let attended = &mut self.attended;
        self.kernels.attention(cache, inputs, &views, attended);
        let input = Input::of(attended, queries, queries);
        self.activations
            .fill(self.kernels, input, Transform::None, Precision::Single);
        let norm = layer.attention_post_norm.as_deref();
        self.add_product((index, Site::Output), &layer.attention_output, norm);
    }

    fn feed_forward(&mut self, index: usize, layer: &Layer) {
        let inner = self.config.feed_forward;
        let stride = row_stride(2 * inner);
        let at = (index, Site::GateUp);
        self.normed_product(at, &layer.feed_forward_norm, &layer.gate_up, stride);
        let gate_up = &self.wide[..self.slots.len() * stride];
        let input = Input::of(gate_up, stride, inner);
        let transform = match self.config.gate {
            Gate::Silu => Transform::SwiGlu,
            Gate::Gelu => Transform::GeGlu,
        };
        self.activations
            .fill(self.kernels, input, transform, Precision::Single);
        let norm = layer.feed_forward_post_norm.as_deref();
        self.add_product((index, Site::Down), &layer.down, norm);
    }

    /// `wide = matrices · norm(states)`, the products side by side.
    fn normed_product(
        &mut self,
        at: (usize, Site),
        norm: &[f32],
        matrices: &[Matrix],
        stride: usize,
    ) {
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
        let out = Rows {
            numbers: &mut self.wide[..self.slots.len() * stride],
            stride,
        };
        self.company
            .add(self.kernels, self.scratch, at, self.activations, out);
    }

    /// `states += matrix · activations`, normalised where there is a norm.
    fn add_product(&mut self, at: (usize, Site), matrix: &Matrix, norm: Option<&[f32]>) {
        let stride = self.config.width;
        let (numbers, output) = match norm {
            None => (&mut *self.states, Output::Add),
            Some(_) => (&mut self.wide[..self.slots.len() * stride], Output::Replace),
        };
        self.kernels
            .matmul(matrix, self.activations, output, numbers, stride);
        let out = Rows { numbers, stride };
        self.company
            .add(self.kernels, self.scratch, at, self.activations, out);
        let Some(weight) = norm else {
            return;
        };
        let out = &self.wide[..self.slots.len() * stride];
        let norm = RmsNorm {
            weight,
            epsilon: self.config.epsilon,
        };
        self.kernels.add_rms_norm(out, norm, self.states);
    }

    fn logits(mut self, norm: &[f32], head: &Matrix) -> Logits {
        let all: Vec<usize> = (0..head.rows().div_ceil(PANEL)).collect();
        let tokens = self.slots.iter().filter_map(|slot| match slot.wants {
            Wants::Tokens(tokens) => Some(tokens),
            Wants::Nothing | Wants::Everything => None,
        });
        let some: BTreeSet<usize> = tokens
            .flatten()
            .map(|&token| token as usize / PANEL)
            .collect();
        let some: Vec<usize> = some.into_iter().collect();
        Logits {
            whole: self.head(norm, head, &all, |wants| wants == Wants::Everything),
            partial: self.head(norm, head, &some, |wants| matches!(wants, Wants::Tokens(_))),
        }
    }

    /// The logits of some panels of the head, for the slots that want them.
    fn head(
        &mut self,
        norm: &[f32],
        head: &Matrix,
        panels: &[usize],
        is_wanted: impl Fn(Wants<'_>) -> bool,
    ) -> Vec<f32> {
        let width = self.config.width;
        let wanted: Vec<f32> = self
            .slots
            .iter()
            .zip(self.states.chunks_exact(width))
            .filter(|(slot, _)| is_wanted(slot.wants))
            .flat_map(|(_, state)| state.iter().copied())
            .collect();
        if wanted.is_empty() {
            return Vec::new();
        }
        let input = Input::of(&wanted, width, width);
        let transform = Transform::RmsNorm {
            weight: norm,
            epsilon: self.config.epsilon,
        };
        // Logits are exact to what the states hold: the products read the
        // largest matrix once all the same.
        self.activations
            .fill(self.kernels, input, transform, Precision::Double);
        let stride = head.rows();
        let mut logits = vec![0.0; input.tokens * stride];
        let (activations, output) = (&*self.activations, Output::Replace);
        self.kernels
            .matmul_panels(head, activations, panels, output, &mut logits, stride);
        if let Some(cap) = self.config.logit_cap {
            self.kernels.soft_cap(&mut logits, cap);
        }
        logits
    }
}
