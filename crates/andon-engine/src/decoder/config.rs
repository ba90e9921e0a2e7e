//! The shape of a language model and what its family has that others have not,
//! from the metadata of its file.

use andon_kernels::kv::Heads;
use andon_kernels::matmul::row_stride;
use andon_kernels::rope::Pairing;

use super::rotation::{self, Rotation};
use crate::error::{LoadError, damaged, unsupported};
use crate::gguf::Gguf;
use crate::source::Source;

/// No part of a layer is as many times as wide as a token's state: what is
/// allocated for keys, values and steps stays in proportion to the weights.
const WIDEST_PART: usize = 32;

/// The layers of the one Gemma 2 whose queries are scaled by its width.
const GEMMA2_27B_LAYERS: usize = 46;

/// Keys of models that do something that is not computed here.
const STRANGE: [&str; 6] = [
    "expert_count",
    "attention.scale",
    "attention.clamp_kqv",
    "embedding_scale",
    "residual_scale",
    "logit_scale",
];

/// A family of language models.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    Llama,
    Qwen2,
    Gemma2,
    Phi3,
}

impl Family {
    /// The name of its architecture in files.
    fn name(self) -> &'static str {
        match self {
            Self::Llama => "llama",
            Self::Qwen2 => "qwen2",
            Self::Gemma2 => "gemma2",
            Self::Phi3 => "phi3",
        }
    }

    fn parse(architecture: &str) -> Result<Self, LoadError> {
        match architecture {
            "llama" => Ok(Self::Llama),
            "qwen2" => Ok(Self::Qwen2),
            "gemma2" => Ok(Self::Gemma2),
            "phi3" => Ok(Self::Phi3),
            other => Err(unsupported!(
                "the architecture '{other}'; this version runs 'llama', 'qwen2', 'gemma2' and 'phi3'"
            )),
        }
    }
}

/// The shape of a decoder.
#[derive(Clone, Debug)]
pub(super) struct Config {
    /// As files name it.
    pub(super) architecture: &'static str,
    pub(super) layers: usize,
    /// Numbers in a token's state.
    pub(super) width: usize,
    pub(super) feed_forward: usize,
    pub(super) heads: Heads,
    pub(super) vocabulary: usize,
    /// Tokens that a sequence may have.
    pub(super) context: usize,
    pub(super) epsilon: f32,
    pub(super) rotation: Rotation,
    /// What embeddings are multiplied by.
    pub(super) embedding_scale: f32,
    /// What the products of queries and keys are multiplied by.
    pub(super) query_scale: f32,
    /// What those products are softly kept below.
    pub(super) attention_cap: Option<f32>,
    /// What logits are softly kept below.
    pub(super) logit_cap: Option<f32>,
    /// Tokens that are seen in every second layer, the first included.
    window: Option<usize>,
    /// Whether what a block adds is normalised first.
    pub(super) has_post_norms: bool,
    /// Whether gate and up are one tensor.
    pub(super) has_fused_gate: bool,
    pub(super) gate: Gate,
}

/// What a gate is passed through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Gate {
    Silu,
    Gelu,
}

impl Config {
    /// Reads and checks the shape: nothing absurd passes, so that what is
    /// allocated by it is bounded by the tensors, which are checked later. A
    /// sequence gets as many tokens as `most_context` says, at most.
    pub(super) fn read(
        gguf: &Gguf<'_>,
        source: &Source<'_, '_>,
        vocabulary: usize,
        most_context: impl FnOnce(usize) -> usize,
    ) -> Result<Self, LoadError> {
        let architecture = gguf.text("general.architecture")?;
        let family = Family::parse(architecture)?;
        let key = |part: &str| format!("{architecture}.{part}");
        if let Some(strange) = STRANGE.map(key).iter().find(|key| gguf.get(key).is_some()) {
            return Err(unsupported!("'{strange}'"));
        }
        let size = |part: &str, most: usize| match gguf.size(&key(part))? {
            size if size <= most => Ok(size),
            size => Err(damaged!("'{}' is {size}, more than {most}", key(part))),
        };
        let layers = size("block_count", 512)?;
        let width = size("embedding_length", 1 << 16)?;
        let feed_forward = size("feed_forward_length", 1 << 18)?;
        let trained = size("context_length", 1 << 24)?;
        let heads = heads(
            gguf,
            architecture,
            size("attention.head_count", 1 << 10)?,
            width,
        )?;
        let broad = WIDEST_PART * width;
        if heads.queries * heads.size > broad || feed_forward > broad {
            return Err(damaged!(
                "{} heads of {} and a feed-forward of {feed_forward} are out of proportion to a width of {width}",
                heads.queries,
                heads.size
            ));
        }
        let epsilon = key("attention.layer_norm_rms_epsilon");
        let epsilon = match gguf.float(&epsilon)? as f32 {
            x if x > 0.0 => x,
            x => return Err(damaged!("'{epsilon}' is {x}")),
        };
        let token_bytes = layers * heads.token_bytes();
        let context = trained.min(most_context(token_bytes));
        let pairing = match family {
            Family::Llama => Pairing::Neighbours,
            Family::Qwen2 | Family::Gemma2 | Family::Phi3 => Pairing::Halves,
        };
        let turned = rotation::Heads {
            size: heads.size,
            pairing,
            context,
            trained,
        };
        let rotation = Rotation::read(gguf, source, architecture, &turned)?;
        let plain = Self {
            architecture: family.name(),
            layers,
            width,
            feed_forward,
            heads,
            vocabulary,
            context,
            epsilon,
            rotation,
            embedding_scale: 1.0,
            query_scale: 1.0 / (heads.size as f32).sqrt(),
            attention_cap: None,
            logit_cap: None,
            window: None,
            has_post_norms: false,
            has_fused_gate: family == Family::Phi3,
            gate: Gate::Silu,
        };
        if family != Family::Gemma2 {
            // Converters write a window into files of Phi 3 models that have none;
            // as in llama.cpp, it is disregarded.
            return Ok(plain);
        }
        let shared = match layers == GEMMA2_27B_LAYERS {
            true => width / heads.queries,
            false => heads.size,
        };
        let cap = |part: &str, usual: f64| -> Result<_, LoadError> {
            Ok(Some(gguf.positive_or(&key(part), usual)? as f32))
        };
        Ok(Self {
            embedding_scale: (width as f32).sqrt(),
            query_scale: 1.0 / (shared as f32).sqrt(),
            attention_cap: cap("attn_logit_softcapping", 50.0)?,
            logit_cap: cap("final_logit_softcapping", 30.0)?,
            window: Some(gguf.size_or(&key("attention.sliding_window"), 4096)?),
            has_post_norms: true,
            gate: Gate::Gelu,
            ..plain
        })
    }

    /// The first token that a token at `position` sees in a layer.
    pub(super) fn seen_from(&self, layer: usize, position: usize) -> usize {
        match self.window_of(layer) {
            Some(window) => (position + 1).saturating_sub(window),
            None => 0,
        }
    }

    /// How many tokens back a layer sees; `None`: all.
    pub(super) fn window_of(&self, layer: usize) -> Option<usize> {
        self.window.filter(|_| layer.is_multiple_of(2))
    }

    /// Numbers of a token's queries.
    pub(super) fn query_width(&self) -> usize {
        self.heads.queries * self.heads.size
    }

    /// Numbers of a token between the products of a layer, at most.
    pub(super) fn wide(&self) -> usize {
        let attention = self.query_width() + 2 * self.key_width();
        attention
            .max(row_stride(2 * self.feed_forward))
            .max(self.width)
    }

    /// Numbers of a token's keys, and of its values.
    pub(super) fn key_width(&self) -> usize {
        self.heads.keys * self.heads.size
    }
}

fn heads(
    gguf: &Gguf<'_>,
    architecture: &str,
    queries: usize,
    width: usize,
) -> Result<Heads, LoadError> {
    let key = |part: &str| format!("{architecture}.attention.{part}");
    let keys = gguf.size_or(&key("head_count_kv"), queries)?;
    let size = gguf.size_or(&key("key_length"), width / queries)?;
    if keys == 0 || !queries.is_multiple_of(keys) {
        return Err(damaged!(
            "{queries} query heads do not share {keys} key heads"
        ));
    }
    if !size.is_multiple_of(16) || size == 0 || size > 1024 {
        return Err(unsupported!(
            "heads of {size} numbers; this version runs multiples of 16"
        ));
    }
    let values = gguf.size_or(&key("value_length"), size)?;
    if values != size {
        return Err(unsupported!(
            "values of {values} numbers a head beside keys of {size}"
        ));
    }
    Ok(Heads {
        queries,
        keys,
        size,
    })
}
