//! The shape of a language model, from the metadata of its file.

use andon_kernels::kv::Heads;
use andon_kernels::matmul::row_stride;

use crate::error::{LoadError, damaged, unsupported};
use crate::gguf::Gguf;

/// No part of a layer is as many times as wide as a token's state: what is
/// allocated for keys, values and steps stays in proportion to the weights.
const WIDEST_PART: usize = 32;

/// The shape of a model of the Llama family.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    pub(crate) layers: usize,
    /// Numbers in a token's state.
    pub(crate) width: usize,
    pub(crate) feed_forward: usize,
    pub(crate) heads: Heads,
    pub(crate) vocabulary: usize,
    pub(crate) context: usize,
    pub(crate) epsilon: f32,
    /// How far each pair of a head turns a token, in radians.
    pub(crate) frequencies: Vec<f64>,
}

impl Config {
    /// Reads and checks the shape: nothing absurd passes, so that what is
    /// allocated by it is bounded by the tensors, which are checked later.
    pub(crate) fn from_gguf(gguf: &Gguf<'_>, vocabulary: usize) -> Result<Self, LoadError> {
        let architecture = gguf.text("general.architecture")?;
        if architecture != "llama" {
            return Err(unsupported!(
                "the architecture '{architecture}'; this version runs 'llama'"
            ));
        }
        let size = |key: &str, most: usize| {
            let key = format!("{architecture}.{key}");
            match gguf.size(&key)? {
                size if size <= most => Ok(size),
                size => Err(damaged!("'{key}' is {size}, more than {most}")),
            }
        };
        let layers = size("block_count", 512)?;
        let width = size("embedding_length", 1 << 16)?;
        let feed_forward = size("feed_forward_length", 1 << 18)?;
        let context = size("context_length", 1 << 24)?;
        let queries = size("attention.head_count", 1 << 10)?;
        let keys = gguf.size_or("llama.attention.head_count_kv", queries)?;
        let head = gguf.size_or("llama.attention.key_length", width / queries)?;
        if keys == 0 || !queries.is_multiple_of(keys) {
            return Err(damaged!(
                "{queries} query heads do not share {keys} key heads"
            ));
        }
        if !head.is_multiple_of(16) || head == 0 || head > 1024 {
            return Err(unsupported!(
                "heads of {head} numbers; this version runs multiples of 16"
            ));
        }
        let broad = WIDEST_PART * width;
        if queries * head > broad || feed_forward > broad {
            return Err(damaged!(
                "{queries} heads of {head} and a feed-forward of {feed_forward} are out of proportion to a width of {width}"
            ));
        }
        let rotated = gguf.size_or("llama.rope.dimension_count", head)?;
        if rotated > head || rotated % 2 != 0 {
            return Err(damaged!(
                "{rotated} of {head} numbers of a head are rotated"
            ));
        }
        for scaling in ["llama.rope.scaling.type", "llama.expert_count"] {
            if gguf.get(scaling).is_some() {
                return Err(unsupported!("'{scaling}'"));
            }
        }
        if gguf.has_tensor("rope_freqs.weight") {
            return Err(unsupported!(
                "scaled rotary embeddings ('rope_freqs.weight')"
            ));
        }
        let base = match gguf.get("llama.rope.freq_base") {
            None => 10_000.0,
            Some(_) => gguf.float("llama.rope.freq_base")?,
        };
        let epsilon = gguf.float("llama.attention.layer_norm_rms_epsilon")? as f32;
        if !(base > 0.0 && epsilon > 0.0) {
            return Err(damaged!(
                "the rotary base is {base}, the norm's epsilon {epsilon}"
            ));
        }
        Ok(Self {
            layers,
            width,
            feed_forward,
            heads: Heads {
                queries,
                keys,
                size: head,
            },
            vocabulary,
            context,
            epsilon,
            frequencies: (0..rotated / 2)
                .map(|pair| base.powf(-2.0 * pair as f64 / rotated as f64))
                .collect(),
        })
    }

    /// Numbers of a token's queries.
    pub(crate) fn query_width(&self) -> usize {
        self.heads.queries * self.heads.size
    }

    /// Numbers of a token between the products of a layer, at most.
    pub(crate) fn wide(&self) -> usize {
        let attention = self.query_width() + 2 * self.key_width();
        attention.max(row_stride(2 * self.feed_forward))
    }

    /// Numbers of a token's keys, and of its values.
    pub(crate) fn key_width(&self) -> usize {
        self.heads.keys * self.heads.size
    }
}
