//! Training on the node: encoders that heads are trained on, and adapters of the
//! language model.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use andon_engine::decoder::Decoder;
use andon_engine::{Encoder, LanguageModel};
use andon_learn::evaluate::Evaluation;
use andon_learn::extract::{MarkedPlace, MarkedText, TuneWords, TunedWords};
use andon_learn::interval::Estimate;
use andon_learn::promotion::{Verdict, identify};
use andon_learn::{Labelled, LearnError, Tune, Tuned, calibrate_labels, folds, score_labels};
use andon_store::Kind;
use andon_task::adapter::TaskAdapter;
use andon_task::digest::Digest;
use andon_task::engine::{Embed, Generate, Score};
use andon_task::example::LabelledText;
use andon_task::plant::Plant;
use andon_task::prompt;
use andon_task::task::Task;
use andon_task::weights::DecoderWeights;
use andon_train::{
    AdapterSettings, EncoderSettings, Epoch, Lesson, Resume, Text, TrainError, TrainedAdapter,
    adapter_memory, tune_encoder, tune_words,
};
use anyhow::{Context, anyhow, bail};
use serde::Serialize;
use sysinfo::{MemoryRefreshKind, RefreshKind, System};

use crate::artefacts::Artefacts;
use crate::engine::Loader;
use crate::learning::{Figures, Promote, Trained, all_examples};
use crate::node;
use crate::progress::{Progress, line};
use crate::settings::Settings;

mod written;

pub(crate) use written::{LearnedWriter, learn_writer};

/// Steps between two checkpoints.
const CHECKPOINT_STEPS: usize = 16;

/// Bytes that a training of an adapter takes at most, where smaller steps can help it.
const MOST_MEMORY: u64 = 3 << 30;

/// Tunes the encoder that a plant names.
pub(crate) struct EncoderTuner<'a> {
    pub(crate) encoder: &'a Arc<Encoder>,
    /// How often the examples are seen at most; `None`: as is usual.
    pub(crate) epochs: Option<usize>,
}

impl EncoderTuner<'_> {
    fn settings(&self) -> EncoderSettings {
        let mut settings = EncoderSettings {
            memory: Some(memory()),
            ..EncoderSettings::default()
        };
        if let Some(epochs) = self.epochs {
            settings.schedule.epochs = epochs;
        }
        settings
    }
}

impl Tune for EncoderTuner<'_> {
    fn tune(
        &self,
        examples: &[Labelled<'_>],
        labels: usize,
        progress: &mut dyn FnMut(usize, usize),
    ) -> Result<Tuned, LearnError> {
        let failed = |error: anyhow::Error| LearnError::Tuning(error.into());
        let texts = examples.iter().map(|example| {
            let tokens = self.encoder.tokenize(example.text)?;
            Ok(Text {
                tokens,
                label: example.label,
            })
        });
        let texts = texts.collect::<anyhow::Result<Vec<_>>>().map_err(failed)?;
        let settings = self.settings();
        let base = self.encoder.identity().digest;
        let mut report = |at: andon_train::Progress| {
            progress((at.epoch - 1) * at.steps + at.step, at.epochs * at.steps);
            ControlFlow::Continue(())
        };
        let task = (texts.as_slice(), labels);
        let tuned = tune_encoder(&**self.encoder, base, task, &settings, None, &mut report)
            .map_err(|error| failed(error.into()))?;
        let encoder = self
            .encoder
            .tuned(&tuned.file)
            .map_err(|error| failed(error.into()))?;
        Ok(Tuned {
            encoder: Box::new(encoder),
            classifier: tuned.classifier,
            bytes: tuned.file,
        })
    }
}

impl TuneWords for EncoderTuner<'_> {
    fn tune(
        &self,
        texts: &[MarkedText<'_>],
        fields: usize,
        what: &str,
    ) -> Result<TunedWords, LearnError> {
        let failed = |error: anyhow::Error| LearnError::Tuning(error.into());
        let texts = texts.iter().map(|text| tokenized(self.encoder, text));
        let texts = texts.collect::<anyhow::Result<Vec<_>>>().map_err(failed)?;
        let settings = self.settings();
        let base = self.encoder.identity().digest;
        let mut bar = None;
        let mut report = |at: andon_train::Progress| {
            let bar = bar.get_or_insert_with(|| Progress::of_parts(what, at.epochs * at.steps));
            bar.reach(((at.epoch - 1) * at.steps + at.step) as u64);
            ControlFlow::Continue(())
        };
        let task = (texts.as_slice(), fields);
        let tuned = tune_words(&**self.encoder, base, task, &settings, None, &mut report)
            .map_err(|error| failed(error.into()))?;
        let encoder = self
            .encoder
            .tuned(&tuned.file)
            .map_err(|error| failed(error.into()))?;
        Ok(TunedWords {
            encoder: Box::new(encoder),
            weights: tuned.weights,
            bytes: tuned.file,
        })
    }
}

/// A text as an encoder is tuned on it.
fn tokenized(encoder: &Encoder, text: &MarkedText<'_>) -> anyhow::Result<andon_train::MarkedText> {
    let Some(spanned) = encoder.tokens_with_spans(text.text)? else {
        bail!(
            "the encoder '{}' does not say which tokens '{}' has: take minilm:l6, or a shorter text",
            encoder.identity().name,
            text.text
        );
    };
    let tokens_of = |&(start, end): &(usize, usize)| {
        let within = |&(from, to): &(usize, usize)| from < end && to > start;
        let first = spanned.spans.iter().position(within).unwrap_or(0);
        let last = spanned.spans.iter().rposition(within);
        first..last.map_or(first, |last| last + 1)
    };
    let place = |place: &MarkedPlace| andon_train::Place {
        words: place.words,
        field: place.field,
    };
    Ok(andon_train::MarkedText {
        words: text.words.iter().map(tokens_of).collect(),
        places: text.places.iter().map(place).collect(),
        tokens: spanned.tokens,
    })
}

/// An adapter that was trained, and what is known of it.
#[derive(Debug, Serialize)]
pub(crate) struct LearnedAdapter {
    pub(crate) task: String,
    /// Its digest.
    pub(crate) adapter: Digest,
    /// Its weights: a GGUF file.
    pub(crate) file: PathBuf,
    /// The model that it is for.
    pub(crate) model: Digest,
    /// Whether it serves now.
    pub(crate) promoted: bool,
    /// How it compares with what served before.
    pub(crate) comparison: Verdict,
    /// Examples that it was trained on.
    pub(crate) examples: usize,
    /// Its figures on the others, by which it was stopped and calibrated, in the engine
    /// that serves.
    pub(crate) evaluation: Evaluation,
    /// The share of these that the model answers rightly without it.
    pub(crate) accuracy_without: Estimate,
    pub(crate) temperature: f64,
    pub(crate) epochs: Vec<Epoch>,
    pub(crate) took_s: f64,
}

/// Trains an adapter of the plant's language model for a task on four fifths of its
/// examples, measures and calibrates it on the others, keeps it, and promotes it if it
/// may be.
pub(crate) fn learn_adapter(
    settings: &Settings,
    loader: &Loader,
    plant: &Plant,
    task: &Task,
    epochs: Option<usize>,
    promote: (Promote, Option<&str>),
) -> anyhow::Result<LearnedAdapter> {
    if settings.language_model.is_some() {
        bail!("an adapter is trained for a model of this node: leave `--language-model` out");
    }
    let began = Instant::now();
    let store = node::store(&settings.state)?;
    let all = all_examples(&store, plant, task)?;
    if all.is_empty() {
        bail!(
            "task '{0}' has no examples: add lines to examples/{0}.jsonl",
            task.name
        );
    }
    let (model, weights) = loader.language_model_to_train(&plant.settings.language_model)?;
    let (fold_of, _) = folds(&all, &plant.glossary);
    let part = |is_held_out: bool| -> Vec<LabelledText> {
        let kept = all.iter().zip(&fold_of);
        let kept = kept.filter(|&(_, &fold)| (fold == 0) == is_held_out);
        kept.map(|(example, _)| example.clone()).collect()
    };
    let (learnt, held_out) = (part(false), part(true));
    let base = Generate::identity(&model).digest;
    let of_part = |part: &[LabelledText]| lessons(&model, task, part);
    let parts = cannot_train(
        task,
        of_part(&learnt).and_then(|a| Ok((a, of_part(&held_out)?))),
    )?;
    let form = Form {
        batch: AdapterSettings::default().schedule.batch,
        epochs,
        checkpoint: CHECKPOINT_STEPS,
    };
    let trained = train(settings, (base, &weights), task, parts, form)?;

    let file = Digest::of(&trained.file);
    model
        .hold_adapter(&trained.file)
        .context("the trained adapter cannot be loaded")?;
    let raw = TaskAdapter::new(task, file, base);
    let clock = || began.elapsed();
    let bar = Progress::of_parts(
        &format!("{}: answering held-out examples", task.name),
        2 * held_out.len(),
    );
    let calibrated = calibrate_labels(task, (&model, &raw), &held_out, &clock, &mut |done| {
        bar.reach(done as u64);
    })?;
    let without = score_labels(task, &model, &held_out, &clock, &mut |done| {
        bar.reach((held_out.len() + done) as u64);
    })?;
    drop(bar);
    let adapter = raw.calibrated(calibrated.temperature);
    let encoder = Arc::new(loader.encoder(&plant.settings.encoder)?);
    let artefacts = Artefacts::of(settings, plant, loader, &encoder);
    artefacts
        .adapters
        .save(&adapter, &trained.file)
        .with_context(|| format!("cannot keep the adapter in '{}'", settings.state.display()))?;
    let kept = Trained {
        kind: Kind::Adapter,
        digest: adapter.digest(),
        figures: Figures {
            evaluation: calibrated.evaluation.clone(),
            outcomes: calibrated.outcomes,
            trained_on: learnt
                .iter()
                .map(|example| identify(task, example))
                .collect(),
        },
    };
    let (comparison, promoted) = kept.keep(&store, &artefacts, task, promote)?;
    crate::pruning::prune(settings, &store, &task.name, promote.1)?;
    Ok(LearnedAdapter {
        task: task.name.clone(),
        adapter: kept.digest,
        file: artefacts.adapters.weights_path(file),
        model: base,
        promoted,
        comparison,
        examples: learnt.len(),
        evaluation: calibrated.evaluation,
        accuracy_without: without.evaluation.accuracy,
        temperature: calibrated.temperature,
        epochs: trained.history,
        took_s: began.elapsed().as_secs_f64(),
    })
}

/// How lessons are gone through.
struct Form {
    /// Lessons of a step.
    batch: usize,
    /// How often they are seen at most; `None`: as is usual.
    epochs: Option<usize>,
    /// Steps between two checkpoints.
    checkpoint: usize,
}

fn cannot_train<T>(task: &Task, outcome: anyhow::Result<T>) -> anyhow::Result<T> {
    outcome.with_context(|| format!("cannot train an adapter for '{}'", task.name))
}

/// Trains an adapter of a model, by its digest and weights, on some lessons and stops by
/// others.
fn train(
    settings: &Settings,
    (base, weights): (Digest, &Decoder),
    task: &Task,
    (learnt, held_out): (Vec<Lesson>, Vec<Lesson>),
    form: Form,
) -> anyhow::Result<TrainedAdapter> {
    let folder = settings.state.join("adapters");
    std::fs::create_dir_all(&folder)
        .with_context(|| format!("cannot create '{}'", folder.display()))?;
    let checkpoint = folder.join(format!("{}.checkpoint", task.name));
    let resume = Resume {
        path: &checkpoint,
        every: form.checkpoint,
    };
    let mut options = AdapterSettings::default();
    options.schedule.batch = form.batch;
    if let Some(epochs) = form.epochs {
        options.schedule.epochs = epochs;
    }
    // By a bound that is the same on every machine: what a step holds shapes the result.
    while options.schedule.batch > 1
        && adapter_memory(&weights.shape(), &learnt, &held_out, &options) > MOST_MEMORY
    {
        options.schedule.batch /= 2;
    }
    // What is free is no part of the settings by which a checkpoint is known.
    let needed = adapter_memory(&weights.shape(), &learnt, &held_out, &options);
    let allowed = memory();
    if needed > allowed {
        return cannot_train(task, Err(TrainError::Memory { needed, allowed }.into()));
    }
    let mut shown = Shown::new(&task.name);
    let trained = andon_train::train_adapter(
        weights,
        base,
        &learnt,
        &held_out,
        &options,
        Some(resume),
        &mut |at| shown.show(at),
    );
    cannot_train(task, trained.map_err(Into::into))
}

/// The examples as the model is asked and answered when it serves.
fn lessons(
    model: &LanguageModel,
    task: &Task,
    examples: &[LabelledText],
) -> anyhow::Result<Vec<Lesson>> {
    let names = task.labels().names();
    let labels: Vec<Vec<u32>> = names
        .iter()
        .map(|name| model.tokenize_answer(name))
        .collect();
    let lessons = examples.iter().map(|example| {
        let beginning: String = example.text.chars().take(60).collect();
        let prompt = model.tokenize(&prompt::adapted(task, &example.text));
        let prompt = prompt.with_context(|| format!("the example '{beginning}'"))?;
        Lesson::label(&prompt, &labels, example.label)
            .map_err(|reason| anyhow!("the example '{beginning}' {reason}"))
    });
    lessons.collect()
}

/// Bytes that are free for a training.
fn memory() -> u64 {
    let memory = RefreshKind::nothing().with_memory(MemoryRefreshKind::nothing().with_ram());
    let system = System::new_with_specifics(memory);
    let available = system.available_memory();
    system
        .cgroup_limits()
        .map_or(available, |limits| limits.free_memory.min(available))
}

/// Shows how far the training of an adapter has come.
struct Shown<'a> {
    task: &'a str,
    bar: Option<Progress>,
    epoch: usize,
}

impl<'a> Shown<'a> {
    fn new(task: &'a str) -> Self {
        Self {
            task,
            bar: None,
            epoch: 0,
        }
    }

    fn show(&mut self, at: andon_train::Progress) -> ControlFlow<()> {
        let task = self.task;
        let bar = self.bar.get_or_insert_with(|| {
            let what = format!("{task}: training an adapter");
            Progress::of_parts(&what, at.epochs * at.steps)
        });
        if at.epoch != self.epoch
            && let Some(loss) = at.held_out
        {
            let before = at.epoch - 1;
            line(&format!(
                "{task}: epoch {before}, loss on held-out examples {loss:.3}"
            ));
        }
        self.epoch = at.epoch;
        bar.rename(&format!(
            "{task}: epoch {} of {}, loss {:.3}",
            at.epoch, at.epochs, at.loss
        ));
        bar.reach(((at.epoch - 1) * at.steps + at.step) as u64);
        ControlFlow::Continue(())
    }
}
