//! The weights of a model as an engine holds them, for training against them.
//!
//! An engine keeps weights in few bits. Training computes with the numbers that these
//! bits stand for, so that what quantisation loses is part of what is learnt.

/// A family's function between the products of a feed-forward block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gate {
    /// `silu(gate) * up`.
    Silu,
    /// `gelu(gate) * up`, with the approximation by the hyperbolic tangent.
    Gelu,
}

/// Which numbers of a head are rotated together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pairing {
    /// Neighbours: 0 with 1, 2 with 3.
    Neighbours,
    /// The first half with the second.
    Halves,
}

/// What a decoder computes, whatever its weights.
#[derive(Clone, Debug, PartialEq)]
pub struct DecoderShape {
    /// As GGUF files name it.
    pub architecture: String,
    /// Layers.
    pub layers: usize,
    /// Numbers in a token's state.
    pub width: usize,
    /// Numbers between the products of a feed-forward block.
    pub feed_forward: usize,
    /// Heads of queries.
    pub query_heads: usize,
    /// Heads of keys, and of values.
    pub key_heads: usize,
    /// Numbers in a head.
    pub head: usize,
    /// Tokens of the vocabulary.
    pub vocabulary: usize,
    /// Tokens that a sequence may have.
    pub context: usize,
    /// Added to the mean square in norms.
    pub epsilon: f32,
    /// How far each pair of a head turns a token, in radians.
    pub frequencies: Vec<f64>,
    /// What the turned queries and keys are multiplied by.
    pub turned_length: f64,
    /// Which numbers of a head are turned together.
    pub pairing: Pairing,
    /// What embeddings are multiplied by.
    pub embedding_scale: f32,
    /// What the products of queries and keys are multiplied by.
    pub query_scale: f32,
    /// What those products are softly kept below.
    pub attention_cap: Option<f32>,
    /// What logits are softly kept below.
    pub logit_cap: Option<f32>,
    /// For each layer, how many tokens back it sees; `None`: all.
    pub windows: Vec<Option<usize>>,
    /// Whether queries, keys and values are one matrix in files, and gate and up too.
    pub is_fused: bool,
    /// What a gate is passed through.
    pub gate: Gate,
}

impl DecoderShape {
    /// Numbers of a token's queries.
    pub fn query_width(&self) -> usize {
        self.query_heads * self.head
    }

    /// Numbers of a token's keys, and of its values.
    pub fn key_width(&self) -> usize {
        self.key_heads * self.head
    }
}

/// A product and its addend: `weight · x + bias`.
#[derive(Clone, Debug, PartialEq)]
pub struct Linear {
    /// Outputs.
    pub rows: usize,
    /// Inputs.
    pub columns: usize,
    /// Row after row.
    pub weight: Vec<f32>,
    /// One for each row.
    pub bias: Option<Vec<f32>>,
}

/// A layer of a decoder.
#[derive(Clone, Debug, PartialEq)]
pub struct DecoderLayer {
    /// The norm before the attention.
    pub attention_norm: Vec<f32>,
    /// Queries, keys and values, one below the other.
    pub qkv: Linear,
    /// The output of the attention.
    pub output: Linear,
    /// The norm of what the attention adds.
    pub attention_post_norm: Option<Vec<f32>>,
    /// The norm before the feed-forward block.
    pub feed_forward_norm: Vec<f32>,
    /// Gate and up, one below the other.
    pub gate_up: Linear,
    /// Back to the width of the state.
    pub down: Linear,
    /// The norm of what the feed-forward block adds.
    pub feed_forward_post_norm: Option<Vec<f32>>,
}

/// The weights of a decoder, as numbers.
pub trait DecoderWeights {
    /// What it computes.
    fn shape(&self) -> DecoderShape;

    /// One of its layers.
    fn layer(&self, index: usize) -> DecoderLayer;

    /// The norm before the output.
    fn output_norm(&self) -> Vec<f32>;

    /// The embedding of a token, as the table has it.
    fn embedding(&self, token: u32) -> Vec<f32>;

    /// The row of the output projection that gives a token's logit.
    fn output(&self, token: u32) -> Vec<f32>;
}

/// The shape of an encoder: attention and feed-forward blocks, each followed by a norm
/// (Devlin et al. 2019).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncoderShape {
    /// Layers.
    pub layers: usize,
    /// Numbers in a token's state.
    pub width: usize,
    /// Numbers between the products of a feed-forward block.
    pub feed_forward: usize,
    /// Heads.
    pub heads: usize,
    /// Tokens that a text may have.
    pub context: usize,
    /// Whether the vector of a text is the state of its first token; if not, the mean.
    pub pools_first: bool,
}

/// Weights and bias of a norm with a mean.
#[derive(Clone, Debug, PartialEq)]
pub struct LayerNorm {
    /// What the normalised numbers are multiplied by.
    pub weight: Vec<f32>,
    /// What is added to them.
    pub bias: Vec<f32>,
    /// Added to the variance.
    pub epsilon: f32,
}

/// A layer of an encoder.
#[derive(Clone, Debug, PartialEq)]
pub struct EncoderLayer {
    /// Queries, keys and values, one below the other.
    pub qkv: Linear,
    /// The output of the attention.
    pub output: Linear,
    /// The norm after the attention.
    pub attention_norm: LayerNorm,
    /// Up.
    pub up: Linear,
    /// Down.
    pub down: Linear,
    /// The norm after the feed-forward block.
    pub output_norm: LayerNorm,
}

/// The weights of an encoder, as numbers.
pub trait EncoderWeights {
    /// What it computes.
    fn shape(&self) -> EncoderShape;

    /// One of its layers.
    fn layer(&self, index: usize) -> EncoderLayer;

    /// The states of a text's tokens before the first layer.
    fn embed_tokens(&self, tokens: &[u32]) -> Vec<f32>;
}
