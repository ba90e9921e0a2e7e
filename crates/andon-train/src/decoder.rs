//! A decoder's forward pass over packed sequences, as the serving engine computes it but
//! for the rounding of activations.

use std::collections::BTreeSet;
use std::sync::Arc;

use andon_task::weights::{DecoderShape, DecoderWeights, Linear};
use candle_core::{Device, Result, Tensor};

use crate::adapter::{Adapter, Site};
use crate::batch::{Aims, Batch};
use crate::kernel::attention::Sizes;
use crate::lesson::Lesson;
use crate::op::{Attention, Frozen, RmsNorm, Turn, Vocabulary, choices_loss};

/// A decoder, its weights as floats.
pub(crate) struct Decoder<'a> {
    weights: &'a dyn DecoderWeights,
    pub(crate) shape: DecoderShape,
    layers: Vec<Layer>,
    norm: RmsNorm,
    head: Frozen,
    /// The tokens whose logits the head gives, in order; `None`: all.
    named: Option<Vec<u32>>,
    device: Device,
}

struct Layer {
    attention_norm: RmsNorm,
    attention_post_norm: Option<RmsNorm>,
    feed_forward_norm: RmsNorm,
    feed_forward_post_norm: Option<RmsNorm>,
    /// By [`Site`].
    products: [Frozen; Site::COUNT],
}

/// The tokens that any lesson has to choose among; `None`: all of the vocabulary.
pub(crate) fn named<'a>(lessons: impl Iterator<Item = &'a Lesson>) -> Option<Vec<u32>> {
    let mut named = BTreeSet::new();
    for target in lessons.flat_map(|lesson| &lesson.targets) {
        named.extend(target.among.as_ref()?);
    }
    Some(named.into_iter().collect())
}

impl<'a> Decoder<'a> {
    /// Takes the weights over as floats, those of the output only for `named`.
    pub(crate) fn new(
        weights: &'a dyn DecoderWeights,
        named: Option<Vec<u32>>,
        device: &Device,
    ) -> Result<Self> {
        let shape = weights.shape();
        let frozen = |linear: Linear, parts: Vec<usize>| {
            let weight = (linear.rows, linear.columns);
            let weight = Tensor::from_vec(linear.weight, weight, device)?;
            Ok::<_, candle_core::Error>(Frozen::new(weight, linear.bias, parts))
        };
        let norm = |weight| RmsNorm {
            weight,
            epsilon: shape.epsilon,
        };
        let layers = (0..shape.layers).map(|index| {
            let layer = weights.layer(index);
            let parts = |site: Site| site.parts(&shape).into_iter().map(|part| part.1).collect();
            Ok(Layer {
                attention_norm: norm(layer.attention_norm),
                attention_post_norm: layer.attention_post_norm.map(norm),
                feed_forward_norm: norm(layer.feed_forward_norm),
                feed_forward_post_norm: layer.feed_forward_post_norm.map(norm),
                products: [
                    frozen(layer.qkv, parts(Site::Qkv))?,
                    frozen(layer.output, parts(Site::Output))?,
                    frozen(layer.gate_up, parts(Site::GateUp))?,
                    frozen(layer.down, parts(Site::Down))?,
                ],
            })
        });
        let layers = layers.collect::<Result<_>>()?;
        let rows: Vec<f32> = match &named {
            Some(named) => named
                .iter()
                .flat_map(|&token| weights.output(token))
                .collect(),
            None => (0..shape.vocabulary as u32)
                .flat_map(|token| weights.output(token))
                .collect(),
        };
        let rows = Tensor::from_vec(rows, ((), shape.width), device)?;
        Ok(Self {
            norm: norm(weights.output_norm()),
            head: Frozen::new(rows, None, Vec::new()),
            weights,
            layers,
            named,
            device: device.clone(),
            shape,
        })
    }

    /// Packs lessons that begin with the same `shared` tokens.
    pub(crate) fn pack(&self, lessons: &[&Lesson], shared: usize) -> Batch {
        Batch::pack(lessons, shared, self.head.rows(), |token| {
            match &self.named {
                // Lessons were gathered before: each of their tokens is there.
                Some(named) => named.binary_search(&token).unwrap_or(0),
                None => token as usize,
            }
        })
    }

    /// How wrong is what the model says, as a mean over the batch.
    pub(crate) fn loss(&self, batch: Batch, adapter: &Adapter) -> Result<Tensor> {
        let states = self.states(&batch, Some(adapter))?;
        match batch.aims {
            Aims::Choices(choices) => choices_loss(&self.say(&states)?, choices),
            Aims::Tokens(right) => Vocabulary {
                head: self.head.clone(),
                cap: self.shape.logit_cap,
                right,
            }
            .loss(&states),
        }
    }

    /// The logits after the tokens that are wanted, `[wanted][named]`.
    #[cfg(test)]
    pub(crate) fn logits(&self, batch: &Batch, adapter: Option<&Adapter>) -> Result<Tensor> {
        self.say(&self.states(batch, adapter)?)
    }

    /// The states of the tokens that are wanted, behind the last norm.
    fn states(&self, batch: &Batch, adapter: Option<&Adapter>) -> Result<Tensor> {
        let mut states = self.embed(&batch.tokens)?;
        let turn = Arc::new(self.turn(&batch.positions));
        for (index, layer) in self.layers.iter().enumerate() {
            let product = |site: Site, input: &Tensor| {
                let frozen = &layer.products[site as usize];
                match adapter {
                    Some(adapter) => frozen.apply_with(input, adapter.at(index, site)),
                    None => frozen.apply(input),
                }
            };
            let input = layer.attention_norm.apply(&states)?;
            let attention = self.attention(index, batch, &turn);
            let attended = attention.apply(&product(Site::Qkv, &input)?)?;
            let added = product(Site::Output, &attended)?;
            states = (states + normed(layer.attention_post_norm.as_ref(), added)?)?;

            let input = layer.feed_forward_norm.apply(&states)?;
            let gated = crate::op::gated(&product(Site::GateUp, &input)?, self.shape.gate)?;
            let added = product(Site::Down, &gated)?;
            states = (states + normed(layer.feed_forward_post_norm.as_ref(), added)?)?;
        }
        let wanted = Tensor::from_slice(&batch.wanted, batch.wanted.len(), &self.device)?;
        self.norm.apply(&states.index_select(&wanted, 0)?)
    }

    fn say(&self, states: &Tensor) -> Result<Tensor> {
        let logits = self.head.apply(states)?;
        match self.shape.logit_cap {
            Some(cap) => (logits / f64::from(cap))?.tanh()? * f64::from(cap),
            None => Ok(logits),
        }
    }

    fn attention(&self, layer: usize, batch: &Batch, turn: &Arc<Turn>) -> Attention {
        let shape = &self.shape;
        Attention {
            query_heads: shape.query_heads,
            key_heads: shape.key_heads,
            sizes: Sizes {
                tokens: batch.tokens.len(),
                head: shape.head,
                scale: shape.query_scale,
                cap: shape.attention_cap,
                window: shape.windows[layer],
            },
            sight: Arc::clone(&batch.sight),
            turn: Some(Arc::clone(turn)),
        }
    }

    fn embed(&self, tokens: &[u32]) -> Result<Tensor> {
        let rows = tokens
            .iter()
            .flat_map(|&token| self.weights.embedding(token));
        let states: Vec<f32> = rows.map(|x| x * self.shape.embedding_scale).collect();
        Tensor::from_vec(states, (tokens.len(), self.shape.width), &self.device)
    }

    fn turn(&self, positions: &[usize]) -> Turn {
        let shape = &self.shape;
        let angles = positions.iter().flat_map(|&position| {
            shape.frequencies.iter().map(move |frequency| {
                let (sin, cos) = (position as f64 * frequency).sin_cos();
                let length = shape.turned_length;
                ((length * cos) as f32, (length * sin) as f32)
            })
        });
        Turn {
            pairing: shape.pairing,
            angles: angles.collect(),
        }
    }
}

fn normed(norm: Option<&RmsNorm>, added: Tensor) -> Result<Tensor> {
    match norm {
        Some(norm) => norm.apply(&added),
        None => Ok(added),
    }
}

#[cfg(test)]
mod tests;
