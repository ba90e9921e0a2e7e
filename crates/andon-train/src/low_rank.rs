//! Adapters of language models, trained on lessons.

use std::ops::ControlFlow;

use andon_task::digest::Digest;
use andon_task::weights::{DecoderShape, DecoderWeights};
use candle_core::{Device, Result, Tensor};

use crate::adam::Parameter;
use crate::adapter::Adapter;
use crate::course::{self, Epoch, Progress, Purpose, Resume, Schedule, Trainee};
use crate::decoder::{Decoder, named};
use crate::error::TrainError;
use crate::lesson::{self, Lesson, beginning};
use crate::op::ROWS;

/// Fewer lessons teach nothing that holds.
const FEWEST: usize = 8;

/// How an adapter is trained.
#[derive(Clone, Debug, PartialEq)]
pub struct AdapterSettings {
    /// Rows of the first matrices.
    pub rank: usize,
    /// What the adapter counts, times its rank.
    pub alpha: f32,
    /// Epochs, batches and learning rate.
    pub schedule: Schedule,
    /// Bytes of memory that may be used; `None`: it is not asked.
    pub memory: Option<u64>,
}

impl Default for AdapterSettings {
    fn default() -> Self {
        Self {
            rank: 8,
            alpha: 16.0,
            schedule: Schedule {
                epochs: 6,
                batch: 16,
                rate: 1e-3,
                patience: 2,
                seed: 0,
            },
            memory: None,
        }
    }
}

/// A trained adapter.
#[derive(Clone, Debug, PartialEq)]
pub struct TrainedAdapter {
    /// A GGUF file as llama.cpp's converter writes it.
    pub file: Vec<u8>,
    /// What came of each epoch.
    pub history: Vec<Epoch>,
}

/// Trains an adapter of a model on `lessons`, and keeps that of the epoch which does
/// best on the held-out ones. `base` is the digest of the model.
///
/// # Errors
/// If lessons or memory do not suffice, a checkpoint cannot be written, the loss is no
/// number any more, or `report` breaks.
pub fn train_adapter(
    weights: &dyn DecoderWeights,
    base: Digest,
    lessons: &[Lesson],
    held_out: &[Lesson],
    settings: &AdapterSettings,
    resume: Option<Resume<'_>>,
    report: &mut dyn FnMut(Progress) -> ControlFlow<()>,
) -> std::result::Result<TrainedAdapter, TrainError> {
    let shape = weights.shape();
    if lessons.len() < FEWEST {
        return Err(TrainError::TooFew {
            found: lessons.len(),
            needed: FEWEST,
        });
    }
    check_lessons(weights, lessons)?;
    check_lessons(weights, held_out)?;
    if let Some(allowed) = settings.memory {
        let needed = adapter_memory(&shape, lessons, held_out, settings);
        if needed > allowed {
            return Err(TrainError::Memory { needed, allowed });
        }
    }
    let device = device();
    let all = lessons.iter().chain(held_out);
    let decoder = Decoder::new(weights, named(all.clone()), &device)?;
    let form = (settings.rank, settings.alpha);
    let adapter = Adapter::new(&shape, form, settings.schedule.seed, &device)?;
    let trainee = Tuning {
        parameters: adapter.parameters(),
        shared: beginning(all),
        decoder,
        adapter,
        lessons,
        held_out,
    };
    let described = format!("{base} {shape:?} {settings:?} {lessons:?} {held_out:?}");
    let key = Digest::of(described.as_bytes());
    let history = course::run(&trainee, &settings.schedule, key, resume, report)?;
    Ok(TrainedAdapter {
        file: trainee.adapter.file(&shape, base)?,
        history,
    })
}

/// Makes sure that lessons fit a model.
///
/// # Errors
/// The first that does not, by its position.
pub fn check_lessons(
    weights: &dyn DecoderWeights,
    lessons: &[Lesson],
) -> std::result::Result<(), TrainError> {
    let shape = weights.shape();
    lesson::check(lessons, shape.context, shape.vocabulary)
}

/// Bytes that [`train_adapter`] takes at most, beside what the engine holds.
pub fn adapter_memory(
    shape: &DecoderShape,
    lessons: &[Lesson],
    held_out: &[Lesson],
    settings: &AdapterSettings,
) -> u64 {
    let (width, inner) = (shape.width, shape.feed_forward);
    let (queries, keys) = (shape.query_width(), shape.key_width());
    let qkv = queries + 2 * keys;
    let products = qkv * width + queries * width + 3 * inner * width;
    let all = lessons.iter().chain(held_out);
    let named = named(all.clone());
    let head = named.as_ref().map_or(shape.vocabulary, Vec::len);
    let shared = beginning(all.clone());
    let mut lengths: Vec<usize> = all
        .clone()
        .map(|lesson| lesson.tokens.len() - shared)
        .collect();
    lengths.sort_unstable_by(|one, other| other.cmp(one));
    let batch = lengths.iter().take(settings.schedule.batch);
    let tokens = shared + batch.sum::<usize>();
    let mut targets: Vec<usize> = all.map(|lesson| lesson.targets.len()).collect();
    targets.sort_unstable_by(|one, other| other.cmp(one));
    let targets: usize = targets.iter().take(settings.schedule.batch).sum();
    // What the way back needs of each layer, and the widest gradients on the way.
    let kept = shape.layers * (6 * width + qkv + queries + 3 * inner);
    let passing = 4 * width + 8 * inner + 3 * qkv;
    let sums = qkv + queries + 3 * inner + 4 * width;
    let adapter = shape.layers * settings.rank * (sums + 4 * width);
    let logits = match named {
        Some(_) => 4 * targets * head,
        None => 2 * ROWS * head + 4 * targets * width,
    };
    let numbers =
        shape.layers * products + head * width + tokens * (kept + passing) + logits + 6 * adapter;
    (numbers * size_of::<f32>()) as u64
}

/// Where is trained: an NVIDIA GPU if this build knows them and there is one, else the
/// processor.
pub(crate) fn device() -> Device {
    Device::new_cuda(0).unwrap_or(Device::Cpu)
}

/// An adapter and what it learns from.
struct Tuning<'a> {
    decoder: Decoder<'a>,
    adapter: Adapter,
    parameters: Vec<Parameter>,
    /// Tokens that all lessons begin with.
    shared: usize,
    lessons: &'a [Lesson],
    held_out: &'a [Lesson],
}

impl Trainee for Tuning<'_> {
    fn examples(&self) -> usize {
        self.lessons.len()
    }

    fn held_out(&self) -> usize {
        self.held_out.len()
    }

    fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    fn loss(&self, indices: &[usize], purpose: Purpose) -> Result<Tensor> {
        let lessons = match purpose {
            Purpose::Learn { .. } => self.lessons,
            Purpose::Measure => self.held_out,
        };
        let lessons: Vec<&Lesson> = indices.iter().map(|&index| &lessons[index]).collect();
        let batch = self.decoder.pack(&lessons, self.shared);
        self.decoder.loss(batch, &self.adapter)
    }
}
