//! Encoders, tuned so that texts of one label come to lie together.

use std::collections::HashMap;
use std::ops::ControlFlow;

use andon_task::digest::Digest;
use andon_task::weights::{EncoderShape, EncoderWeights};
use candle_core::{Result, Tensor};
use half::f16;
use safetensors::Dtype;
use safetensors::tensor::TensorView;

use crate::adam::Parameter;
use crate::course::{self, Epoch, Progress, Purpose, Resume, Schedule, Trainee};
use crate::encoder::Encoder;
use crate::error::TrainError;
use crate::low_rank::device;
use crate::op::{Dropout, cross_entropy};

/// Fewer texts teach nothing that holds.
const FEWEST: usize = 8;

/// Where the file names the encoder that it was tuned from.
const BASE: &str = "andon.base";

/// A text in tokens, and the position of its label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text {
    /// Its tokens, with those that begin and end it.
    pub tokens: Vec<u32>,
    /// The position of its label.
    pub label: usize,
}

/// How an encoder is tuned.
#[derive(Clone, Debug, PartialEq)]
pub struct EncoderSettings {
    /// Epochs, batches and learning rate.
    pub schedule: Schedule,
    /// The learning rate of the head, relative to that of the layers.
    pub head_rate: f64,
    /// The share of numbers that are left out at random.
    pub dropout: f32,
    /// The share of each label's probability that all labels are to have.
    pub smoothing: f32,
    /// Bytes of memory that may be used; `None`: it is not asked.
    pub memory: Option<u64>,
}

impl Default for EncoderSettings {
    fn default() -> Self {
        Self {
            schedule: Schedule {
                epochs: 12,
                batch: 16,
                rate: 3e-4,
                patience: 12,
                seed: 0,
            },
            head_rate: 10.0 / 3.0,
            dropout: 0.1,
            smoothing: 0.1,
            memory: None,
        }
    }
}

/// An encoder's tuned layers.
#[derive(Clone, Debug, PartialEq)]
pub struct TunedEncoder {
    /// A file that the engine loads beside the encoder that was tuned.
    pub file: Vec<u8>,
    /// What came of each epoch.
    pub history: Vec<Epoch>,
    /// The linear classifier that was trained with it, over vectors of unit length: a row
    /// for each dimension and one for the constant 1, in each a column for each label.
    pub classifier: Vec<f32>,
}

/// Tunes the layers of an encoder on texts; its embeddings stay as they are. `base` is
/// the digest of the encoder, `labels` their number.
///
/// # Errors
/// If texts or memory do not suffice, a checkpoint cannot be written, the loss is no
/// number any more, or `report` breaks.
pub fn tune_encoder(
    weights: &dyn EncoderWeights,
    base: Digest,
    (texts, labels): (&[Text], usize),
    settings: &EncoderSettings,
    resume: Option<Resume<'_>>,
    report: &mut dyn FnMut(Progress) -> ControlFlow<()>,
) -> std::result::Result<TunedEncoder, TrainError> {
    let shape = weights.shape();
    let unknown = |text: &Text| (text.label >= labels).then_some("has a label that is not known");
    let encoder = to_tune(weights, labels, texts, settings, unknown)?;
    let trainee = Tuning {
        parameters: encoder.parameters(settings.head_rate),
        encoder,
        texts,
        settings,
    };
    let key = Digest::of(format!("{base} {shape:?} {settings:?} {labels} {texts:?}").as_bytes());
    let history = course::run(&trainee, &settings.schedule, key, resume, report)?;
    Ok(TunedEncoder {
        file: encoder_file(&trainee.encoder, base)?,
        history,
        classifier: trainee.encoder.classifier()?,
    })
}

/// An encoder with a linear layer of `outputs` numbers behind it, if `texts` and memory suffice.
pub(crate) fn to_tune<'a, T: Shown>(
    weights: &'a dyn EncoderWeights,
    outputs: usize,
    texts: &[T],
    settings: &EncoderSettings,
    wrong: impl Fn(&T) -> Option<&'static str>,
) -> std::result::Result<Encoder<'a>, TrainError> {
    let shape = weights.shape();
    check(texts, &shape, wrong)?;
    if let Some(allowed) = settings.memory {
        let needed = encoder_memory(&shape, texts, settings);
        if needed > allowed {
            return Err(TrainError::Memory { needed, allowed });
        }
    }
    Ok(Encoder::new(weights, outputs, &device())?)
}

/// A text that an encoder is shown.
pub trait Shown {
    /// Its tokens, with those that begin and end it.
    fn tokens(&self) -> &[u32];
}

impl Shown for Text {
    fn tokens(&self) -> &[u32] {
        &self.tokens
    }
}

/// Looks whether texts can be learnt from; `wrong` says what else may be wrong with one.
fn check<T: Shown>(
    texts: &[T],
    shape: &EncoderShape,
    wrong: impl Fn(&T) -> Option<&'static str>,
) -> std::result::Result<(), TrainError> {
    if texts.len() < FEWEST {
        return Err(TrainError::TooFew {
            found: texts.len(),
            needed: FEWEST,
        });
    }
    for (index, text) in texts.iter().enumerate() {
        let example = index + 1;
        let tokens = text.tokens().len();
        if tokens > shape.context {
            return Err(TrainError::TooLong {
                example,
                tokens,
                context: shape.context,
            });
        }
        let empty = (tokens == 0).then_some("is empty");
        if let Some(reason) = empty.or_else(|| wrong(text)) {
            return Err(TrainError::Unfit { example, reason });
        }
    }
    Ok(())
}

/// Bytes that tuning takes at most, beside what the engine holds.
pub fn encoder_memory(
    shape: &EncoderShape,
    texts: &[impl Shown],
    settings: &EncoderSettings,
) -> u64 {
    let (width, inner) = (shape.width, shape.feed_forward);
    let mut lengths: Vec<usize> = texts.iter().map(|text| text.tokens().len()).collect();
    lengths.sort_unstable_by(|one, other| other.cmp(one));
    let tokens: usize = lengths.iter().take(settings.schedule.batch).sum();
    let weights = shape.layers * (4 * width * width + 2 * width * inner + 9 * width + inner);
    let kept = shape.layers * (14 * width + 2 * inner);
    // Weights, gradients and two moments; a checkpoint holds the first and last again,
    // and once more as bytes.
    let numbers = 10 * weights + tokens * (kept + 4 * (width + inner));
    (numbers * size_of::<f32>()) as u64
}

/// The tuned layers and the digest of all of it: matrices in half precision, as the
/// engine rounds them further anyhow.
pub(crate) fn encoder_file(encoder: &Encoder<'_>, base: Digest) -> Result<Vec<u8>> {
    let mut data = Vec::new();
    for (name, values) in encoder.tensors() {
        let numbers = values.flatten_all()?.to_vec1::<f32>()?;
        let (kind, bytes) = match values.rank() {
            2 => {
                let halves = numbers.iter().map(|&x| f16::from_f32(x));
                (Dtype::F16, halves.flat_map(f16::to_le_bytes).collect())
            }
            _ => {
                let bytes: Vec<u8> = numbers.iter().flat_map(|x| x.to_le_bytes()).collect();
                (Dtype::F32, bytes)
            }
        };
        data.push((name, kind, values.dims().to_vec(), bytes));
    }
    let views = data
        .iter()
        .map(|(name, kind, shape, bytes)| {
            let view = TensorView::new(*kind, shape.clone(), bytes);
            Ok((name, view.map_err(candle_core::Error::wrap)?))
        })
        .collect::<Result<Vec<_>>>()?;
    let metadata = HashMap::from([(BASE.to_owned(), base.to_string())]);
    let mut file =
        safetensors::serialize(views, Some(metadata)).map_err(candle_core::Error::wrap)?;
    let seal = Digest::of(&file);
    file.extend(seal.as_bytes());
    Ok(file)
}

/// An encoder and what it learns from.
struct Tuning<'a> {
    encoder: Encoder<'a>,
    parameters: Vec<Parameter>,
    texts: &'a [Text],
    settings: &'a EncoderSettings,
}

impl Trainee for Tuning<'_> {
    fn examples(&self) -> usize {
        self.texts.len()
    }

    fn held_out(&self) -> usize {
        0
    }

    fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    fn loss(&self, indices: &[usize], purpose: Purpose) -> Result<Tensor> {
        let texts: Vec<&Text> = indices.iter().map(|&index| &self.texts[index]).collect();
        let tokens: Vec<&[u32]> = texts.iter().map(|text| text.tokens.as_slice()).collect();
        let right: Vec<usize> = texts.iter().map(|text| text.label).collect();
        let (dropout, smoothing) = match purpose {
            Purpose::Learn { seed } => (
                Dropout::new(self.settings.dropout, seed),
                self.settings.smoothing,
            ),
            Purpose::Measure => (Dropout::new(0.0, 0), 0.0),
        };
        let logits = self.encoder.logits(&tokens, dropout)?;
        cross_entropy(&logits, &right, smoothing)
    }
}
