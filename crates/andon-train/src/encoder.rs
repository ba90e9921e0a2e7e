//! An encoder whose layers are trained, with a linear head over its vectors or over the
//! states of words.

use std::cell::RefCell;
use std::ops::Range;
use std::sync::Arc;

use andon_task::weights::{self, EncoderShape, EncoderWeights, Linear};
use candle_core::{DType, Device, Result, Tensor, Var};

use crate::adam::Parameter;
use crate::kernel::attention::{Order, Sight, Sizes};
use crate::op::{Attention, Dropout, LayerNorm, gelu, trained};

/// Matrices lose this share of themselves, times the learning rate, at each step.
const DECAY: f64 = 0.01;

/// The length that a text's vector is given before the head sees it.
const LENGTH: f64 = 5.0;

/// How far the numbers of a word's state are from zero, in the mean of squares, before the
/// head sees them.
pub(crate) const WORD_SPREAD: f64 = 1.0;

/// A weight and what is added.
struct Affine {
    weight: Var,
    bias: Var,
}

impl Affine {
    fn of(linear: Linear, device: &Device) -> Result<Self> {
        let bias = linear.bias.unwrap_or_else(|| vec![0.0; linear.rows]);
        let weight = Tensor::from_vec(linear.weight, (linear.rows, linear.columns), device)?;
        Ok(Self {
            weight: Var::from_tensor(&weight)?,
            bias: Var::from_vec(bias, linear.rows, device)?,
        })
    }

    fn apply(&self, input: &Tensor) -> Result<Tensor> {
        trained(input, &self.weight, &self.bias)
    }
}

/// A norm with weights of its own.
struct Norm {
    weight: Var,
    bias: Var,
    norm: LayerNorm,
}

impl Norm {
    fn of(norm: weights::LayerNorm, device: &Device) -> Result<Self> {
        let width = norm.weight.len();
        Ok(Self {
            weight: Var::from_vec(norm.weight, width, device)?,
            bias: Var::from_vec(norm.bias, width, device)?,
            norm: LayerNorm {
                epsilon: norm.epsilon,
            },
        })
    }

    fn apply(&self, input: &Tensor) -> Result<Tensor> {
        self.norm.apply(input, &self.weight, &self.bias)
    }
}

struct Layer {
    qkv: Affine,
    output: Affine,
    attention_norm: Norm,
    up: Affine,
    down: Affine,
    output_norm: Norm,
}

/// An encoder and its head.
pub(crate) struct Encoder<'a> {
    weights: &'a dyn EncoderWeights,
    shape: EncoderShape,
    layers: Vec<Layer>,
    head: Affine,
    device: Device,
}

impl<'a> Encoder<'a> {
    /// Takes the weights over, with a head of so many rows.
    pub(crate) fn new(
        weights: &'a dyn EncoderWeights,
        rows: usize,
        device: &Device,
    ) -> Result<Self> {
        let shape = weights.shape();
        let layers = (0..shape.layers).map(|index| {
            let layer = weights.layer(index);
            Ok(Layer {
                qkv: Affine::of(layer.qkv, device)?,
                output: Affine::of(layer.output, device)?,
                attention_norm: Norm::of(layer.attention_norm, device)?,
                up: Affine::of(layer.up, device)?,
                down: Affine::of(layer.down, device)?,
                output_norm: Norm::of(layer.output_norm, device)?,
            })
        });
        Ok(Self {
            weights,
            layers: layers.collect::<Result<_>>()?,
            head: Affine {
                weight: Var::zeros((rows, shape.width), DType::F32, device)?,
                bias: Var::zeros(rows, DType::F32, device)?,
            },
            shape,
            device: device.clone(),
        })
    }

    /// All that is trained; the head learns at `head_rate` times the rate.
    pub(crate) fn parameters(&self, head_rate: f64) -> Vec<Parameter> {
        let of = |values: &Var, rate| Parameter {
            values: values.clone(),
            rate,
            decay: match values.rank() {
                2 => DECAY,
                _ => 0.0,
            },
        };
        let layers = self.tensors().into_iter();
        let head = [&self.head.weight, &self.head.bias];
        layers
            .map(|(_, values)| of(values, 1.0))
            .chain(head.map(|values| of(values, head_rate)))
            .collect()
    }

    /// The tensors of the layers under the names that a file has for them.
    pub(crate) fn tensors(&self) -> Vec<(String, &Var)> {
        let layers = self.layers.iter().enumerate();
        layers
            .flat_map(|(index, layer)| {
                let affines = [
                    ("qkv", &layer.qkv),
                    ("output", &layer.output),
                    ("up", &layer.up),
                    ("down", &layer.down),
                ];
                let norms = [
                    ("attention_norm", &layer.attention_norm),
                    ("output_norm", &layer.output_norm),
                ];
                let affines = affines.map(|(name, part)| (name, &part.weight, &part.bias));
                let norms = norms.map(|(name, part)| (name, &part.weight, &part.bias));
                affines
                    .into_iter()
                    .chain(norms)
                    .flat_map(move |(name, weight, bias)| {
                        let name = |half: &str| format!("layer.{index}.{name}.{half}");
                        [(name("weight"), weight), (name("bias"), bias)]
                    })
            })
            .collect()
    }

    /// The vector of each text, before it gets unit length.
    pub(crate) fn vectors(&self, texts: &[&[u32]], dropout: Dropout) -> Result<Tensor> {
        let dropout = RefCell::new(dropout);
        let states = self.states(texts, &dropout)?;
        let vectors = self
            .pool(&branches(texts), states.dim(0)?)?
            .matmul(&states)?;
        dropout.borrow_mut().apply(&vectors)
    }

    /// What the last layer makes of each token, the texts one after the other.
    fn states(&self, texts: &[&[u32]], dropout: &RefCell<Dropout>) -> Result<Tensor> {
        let (width, heads) = (self.shape.width, self.shape.heads);
        let rows = texts
            .iter()
            .flat_map(|text| self.weights.embed_tokens(text));
        let states: Vec<f32> = rows.collect();
        let tokens = states.len() / width;
        let head = width / heads;
        let attention = Attention {
            query_heads: heads,
            key_heads: heads,
            sizes: Sizes {
                tokens,
                head,
                scale: 1.0 / (head as f32).sqrt(),
                cap: None,
                window: None,
            },
            sight: Arc::new(Sight {
                shared: 0,
                branches: branches(texts),
                order: Order::Both,
            }),
            turn: None,
        };
        let drop = |tensor: &Tensor| dropout.borrow_mut().apply(tensor);
        let mut states = drop(&Tensor::from_vec(states, (tokens, width), &self.device)?)?;
        for layer in &self.layers {
            let attended = attention.apply(&layer.qkv.apply(&states)?)?;
            let added = drop(&layer.output.apply(&attended)?)?;
            states = layer.attention_norm.apply(&(states + added)?)?;
            let inner = gelu(&layer.up.apply(&states)?)?;
            let added = drop(&layer.down.apply(&inner)?)?;
            states = layer.output_norm.apply(&(states + added)?)?;
        }
        Ok(states)
    }

    /// The logits of the labels for each text.
    pub(crate) fn logits(&self, texts: &[&[u32]], dropout: Dropout) -> Result<Tensor> {
        let vectors = self.vectors(texts, dropout)?;
        let lengths = vectors.sqr()?.sum_keepdim(1)?.sqrt()?;
        self.head
            .apply(&(vectors.broadcast_div(&lengths)? * LENGTH)?)
    }

    /// What the head makes of the words of each text: a row for each word.
    pub(crate) fn words(
        &self,
        texts: &[&[u32]],
        words: &[&[Range<usize>]],
        dropout: Dropout,
    ) -> Result<Tensor> {
        let dropout = RefCell::new(dropout);
        let states = self.states(texts, &dropout)?;
        let (tokens, width) = states.dims2()?;
        let branches = branches(texts).into_iter().zip(words);
        let all = branches.flat_map(|(branch, words)| {
            let place = move |word: &Range<usize>| {
                branch.start + word.start..(branch.start + word.end).min(branch.end)
            };
            words.iter().map(place)
        });
        let all: Vec<Range<usize>> = all.collect();
        let mut shares = vec![0.0f32; all.len() * tokens];
        for (row, word) in shares.chunks_exact_mut(tokens).zip(&all) {
            row[word.clone()].fill(1.0 / word.len().max(1) as f32);
        }
        let shares = Tensor::from_vec(shares, (all.len(), tokens), &self.device)?;
        let states = shares.matmul(&states)?;
        // A word without tokens has the state zero.
        let lengths = (states.sqr()?.sum_keepdim(1)? + 1e-12)?.sqrt()?;
        let scale = WORD_SPREAD * (width as f64).sqrt();
        let states = (states.broadcast_div(&lengths)? * scale)?;
        let states = dropout.borrow_mut().apply(&states)?;
        self.head.apply(&states)
    }

    /// The head over the states of words: `[row][width]`.
    pub(crate) fn head(&self) -> Result<Vec<f32>> {
        self.head.weight.flatten_all()?.to_vec1()
    }

    /// The head over vectors of unit length: a row for each dimension and one for the
    /// constant 1, in each a column for each label.
    pub(crate) fn classifier(&self) -> Result<Vec<f32>> {
        let of_vector = (self.head.weight.t()? * LENGTH)?;
        let constant = self.head.bias.as_tensor().unsqueeze(0)?;
        Tensor::cat(&[&of_vector, &constant], 0)?
            .flatten_all()?
            .to_vec1()
    }

    /// What makes one vector of a text's states: their mean or the first of them.
    fn pool(&self, branches: &[Range<usize>], tokens: usize) -> Result<Tensor> {
        let mut shares = vec![0.0f32; branches.len() * tokens];
        for (row, branch) in shares.chunks_exact_mut(tokens).zip(branches) {
            match self.shape.pools_first {
                true => row[branch.start] = 1.0,
                false => row[branch.clone()].fill(1.0 / branch.len() as f32),
            }
        }
        Tensor::from_vec(shares, (branches.len(), tokens), &self.device)
    }
}

/// Where each text lies in a row of all of their tokens.
fn branches(texts: &[&[u32]]) -> Vec<Range<usize>> {
    let mut from = 0;
    let branch = |text: &&[u32]| {
        let branch = from..from + text.len();
        from = branch.end;
        branch
    };
    texts.iter().map(branch).collect()
}

#[cfg(test)]
mod tests;
