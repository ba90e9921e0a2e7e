//! Encoders from GGUF files.

use std::sync::Arc;

use super::{Bert, Layer, Norm, Pooling, Shape};
use crate::error::{LoadError, unsupported};
use crate::gguf::{Gguf, Value};
use crate::source::Source;

/// Reads shape and weights and packs them.
pub(crate) fn load(gguf: &Gguf<'_>, vocabulary: usize) -> Result<Bert, LoadError> {
    let architecture = gguf.text("general.architecture")?;
    if architecture != "bert" {
        return Err(unsupported!(
            "the encoder '{architecture}'; this version runs 'bert'"
        ));
    }
    let pooling = pooling(gguf)?;
    let shape = Shape {
        layers: gguf.size("bert.block_count")?,
        width: gguf.size("bert.embedding_length")?,
        inner: gguf.size("bert.feed_forward_length")?,
        heads: gguf.size("bert.attention.head_count")?,
        vocabulary,
        context: gguf.size("bert.context_length")?,
        epsilon: gguf.positive_or("bert.attention.layer_norm_epsilon", 1e-12)? as f32,
    };
    let shape = shape.checked()?;
    let source = Source::new(gguf);
    let (width, inner) = (shape.width, shape.inner);
    let mut positions = source.table("position_embd", shape.context, width)?;
    if source.has("token_types") {
        let types = gguf.size_or("tokenizer.ggml.token_type_count", 2)?;
        let types = source.table("token_types", types, width)?;
        for position in positions.chunks_exact_mut(width) {
            position.iter_mut().zip(&types).for_each(|(x, y)| *x += y);
        }
    }
    let norm = |name: &str| {
        Ok::<_, LoadError>(Norm {
            weight: source.vector(name, width)?,
            bias: source.bias(name, width)?,
            epsilon: shape.epsilon,
        })
    };
    let layers = (0..shape.layers)
        .map(|layer| {
            let name = |part: &str| format!("blk.{layer}.{part}");
            let qkv = match source.has(&name("attn_qkv")) {
                true => vec![(name("attn_qkv"), 3 * width)],
                false => ["attn_q", "attn_k", "attn_v"]
                    .map(|part| (name(part), width))
                    .to_vec(),
            };
            Ok(Layer {
                qkv: source.stack(&qkv, width)?,
                attention_output: source.matrix(&name("attn_output"), width, width)?,
                attention_norm: norm(&name("attn_output_norm"))?,
                up: source.matrix(&name("ffn_up"), inner, width)?,
                down: source.matrix(&name("ffn_down"), width, inner)?,
                output_norm: norm(&name("layer_output_norm"))?,
            })
        })
        .collect::<Result<_, LoadError>>()?;
    let bert = Bert {
        pooling,
        words: Arc::new(source.matrix("token_embd", vocabulary, width)?),
        positions: Arc::new(positions),
        norm: norm("token_embd_norm")?,
        layers,
        shape,
    };
    source.finish()?;
    Ok(bert)
}

/// The pooling by the format's numbers; the mean where none is named.
fn pooling(gguf: &Gguf<'_>) -> Result<Pooling, LoadError> {
    match gguf.get("bert.pooling_type") {
        None | Some(Value::Unsigned(0 | 1)) => Ok(Pooling::Mean),
        Some(Value::Unsigned(2)) => Ok(Pooling::First),
        Some(other) => Err(unsupported!(
            "the pooling {other:?} of an encoder; this version knows 1, the mean, and 2, the first token"
        )),
    }
}
